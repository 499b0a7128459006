"""A system's performance as a page, and what people decide there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.drift.false_alarms import NOT_KNOWN, of_document, together
from afterlaunch.estate.actions import system_by_id
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.labels import decisions, views
from afterlaunch.labels.pictures import over_time
from afterlaunch.labels.rules import JUDGES, Named
from afterlaunch.look.requests import Request
from afterlaunch.performance.judging import NOT_ASSESSED

SCORE = {"classification": "Accuracy", "regression": "Error", "ranking": "nDCG"}
DAYS = 14  # in the table
NAMES = {
    "accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "f1": "F1", "auc": "AUC", "r2": "R²",
    "log_loss": "Log loss", "precision_macro": "Precision, mean", "recall_macro": "Recall, mean",
    "f1_macro": "F1, mean", "kappa": "Cohen's kappa",
    "kappa_weighted": "Kappa, weighted", "alpha": "Krippendorff's alpha",
    "positive_rate": "Positive, by outputs", "positive_rate_corrected": "Positive, corrected",
    "mean_output": "Mean of outputs", "mean_output_corrected": "Mean of outputs, corrected",
    "mrr": "Mean reciprocal rank",
    "nothing_relevant": "Nothing relevant shown", "mae": "Mean absolute error", "rmse": "Root mean square error",
    "bias": "Bias",
}  # fmt: skip
SHARES = {"accuracy", "precision", "recall", "f1", "precision_macro", "recall_macro", "f1_macro", "positive_rate",
    "positive_rate_corrected", "nothing_relevant"}  # fmt: skip


@require_safe
def performance(request: Request, pk: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    places, tasks = views.places(system), views.tasks(system)
    environments = sorted({one.environment for one in places} | set(tasks))
    environment = request.GET.get("environment") or (environments[0] if environments else "")
    if environment and environments and environment not in environments:
        raise NotFound(f"{system.name} has no predictions or labels in {environment}.")
    place = next((one for one in places if one.environment == environment), None)
    context: dict[str, Any] = {
        "system": system,
        "environments": environments,
        "environment": environment,
        "task": tasks.get(environment),
        "place": place,
        "may": request.actor.may(Role.OPERATOR, system.client.slug),
        "address": settings().public_url,
    }
    if place is not None:
        context["to_join"], context["waiting"] = views.waiting(place)
        if place.told:
            context |= _told(place.told)
    return render(request, "labels/performance.html", context)


def _told(told: dict[str, Any]) -> dict[str, Any]:
    versions = [{**views.timed(one), "scores": _scores(one["scores"])} for one in told["versions"]]
    accuracy = told["verdicts"]["performance.accuracy"]
    is_share = told["kind"] == "classification"
    days = [views.timed(one) for one in told["days"]]
    baseline = told["baseline"]
    return {
        "told": views.timed(told),
        "tiles": _tiles(told, is_share),
        "verdicts": [_verdict(told["verdicts"][one.name], one) for one in JUDGES if one.name in told["verdicts"]],
        "false_alarms": _false_alarms(told["verdicts"]),
        "is_share": is_share,
        "score": SCORE[told["kind"]],
        "versions": versions,
        "baseline": {**views.timed(baseline), "scores": _scores(baseline["scores"])} if baseline else None,
        "challengers": told.get("challengers", []),
        "slices": [_slice(one, is_share) for one in told["slices"]],
        "days": [_day(one, is_share) for one in reversed(days)][:DAYS],
        "has_estimate": told["kind"] != "ranking",
        "reliability": _reliability(told["reliability"], is_share) if told["kind"] != "ranking" else "",
        "checks": told.get("checks", []),
        "exposure": _exposure(told.get("exposure")),
        "sources": [
            {**views.timed(one), "echo": shown(one["equal_to_output"], True) if one["joined"] else "", **_wrong(one)}
            for one in told["sources"]
        ],
        "picture": over_time(
            told["days"], accuracy["line"] if told["kind"] != "regression" else None, _name(told["kind"]), is_share
        ),
    }


def _verdict(told: dict[str, Any], of: Named) -> dict[str, Any]:
    assessed = told["status"] != NOT_ASSESSED
    expected = of_document(told.get("false_alarms_per_month")).told if assessed else ""
    return {**told, "title": of.title, "false_alarms": expected}


def _false_alarms(verdicts: dict[str, dict[str, Any]]) -> str:
    """Of the verdicts together whose rates are known; the others are named."""
    judged = {
        one.title: of_document(verdicts[one.name].get("false_alarms_per_month"))
        for one in JUDGES
        if one.name in verdicts and verdicts[one.name]["status"] != NOT_ASSESSED
    }
    unknown = [title for title, one in judged.items() if one == NOT_KNOWN]
    known = [one for one in judged.values() if one != NOT_KNOWN]
    if not known:
        return ""
    rest = f"; of “{'” and “'.join(unknown)}” it is not known" if unknown else ""
    return f"{together(known).told}{rest}"


def _tiles(told: dict[str, Any], is_share: bool) -> list[tuple[str, str, str, str]]:
    """(label, value, note, tone)"""
    found = []
    for name, label, behind in (
        ("accuracy", SCORE[told["kind"]], "rankings" if told["kind"] == "ranking" else "mature labels"),
        ("estimate", "Expected, before labels", "predictions"),
    ):
        one = told["verdicts"][f"performance.{name}"]
        tone = one["status"] if one["status"] in ("breach", "warning") else ""
        if is_share or told["kind"] == ("ranking" if name == "accuracy" else "regression"):
            note = f"of {one['n']:,} {behind}" if one["value"] is not None else "not assessed"
            found.append((label, shown(one["value"], is_share), note, tone))
    share = shown(told["labelled"] / told["rows"], True) if told["rows"] else "—"
    found.append(("Labelled", share, f"of {told['rows']:,} predictions", ""))
    mark = views.instant(told["watermark"])
    late = told["delay"]["seconds"]
    takes = f"99 % come within {_long(late)}" if late is not None else "how long they take is not known"
    found.append(("Labels are there until", f"{mark:%d %b %H:%M}" if mark else "—", takes, ""))
    return found


def _long(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"


def _day(one: dict[str, Any], is_share: bool) -> dict[str, Any]:
    score, estimate = one["score"], one["estimate"]
    return {
        **one,
        "scored": shown(score["value"], is_share) if score else "—",
        "estimated": _estimated(estimate, is_share) if estimate else "—",
    }


def _estimated(one: dict[str, float], is_share: bool) -> str:
    """In brackets: weighted for the day's shares of a segment."""
    said = shown(one["value"], is_share)
    return f"{said} ({shown(one['weighted'], is_share)})" if "weighted" in one else said


def _reliability(told: dict[str, Any], is_share: bool) -> str:
    if not told["compared"]:
        return "No estimate could be compared with labels yet."
    said = f"Of {told['compared']} estimates that labels could prove, {told['held']} intervals held the truth;"
    off = f"{100 * told['mae']:.1f} points" if is_share else f"{told['mae']:.3g}"
    said += f" they were off by {off} on average."
    if other := told.get("weighted"):
        off, plain = (f"{100 * other[name]:.1f} points" for name in ("mae", "mae_plain"))
        said += f" Weighted for the shares of segments, {other['held']} of {other['compared']} held it, off by {off}"
        said += f" (unweighted, on the same days, by {plain})."
    return f"{said} Not relied on: {told['unreliable']}" if told["unreliable"] else said


def _name(kind: str) -> str:
    return {"classification": "by labels", "ranking": "nDCG"}.get(kind, "error")


def shown(value: float | None, is_share: bool) -> str:
    if value is None:
        return "—"
    return f"{100 * value:.1f} %" if is_share else f"{value:.3g}"


def _scores(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": _named(one["name"]),
            "value": shown(one["value"], one["name"] in SHARES),
            "range": ""
            if one["low"] is None
            else f"{shown(one['low'], one['name'] in SHARES)} to {shown(one['high'], one['name'] in SHARES)}",
            "n": one["n"],
        }
        for one in found
    ]


def _wrong(source: dict[str, Any]) -> dict[str, str]:
    if not (one := source.get("wrong")):
        return {}
    low, high = shown(one["low"], True), shown(one["high"], True)
    return {"wrong": f"{shown(one['share'], True)} ({low} to {high}), by {one['by']}"}


def _exposure(told: dict[str, Any] | None) -> str:
    if not told:
        return ""
    seen, unseen = (shown(told["equal_to_output"][name], True) for name in ("seen", "held_out"))
    said = f"Labels equal the output in {seen} where it was seen, in {unseen} of the {shown(told['held_out'], True)}"
    return f"{said} held out. {told['why']}".strip()


def _named(name: str) -> str:
    measure, at, cutoff = name.partition("@")
    if at:
        return f"{'nDCG' if measure == 'ndcg' else measure.capitalize()} at {cutoff}"
    return NAMES.get(name, name)


def _slice(one: dict[str, Any], is_share: bool) -> dict[str, Any]:
    words = {"worse": "failing", "better": "recovered", "no_change_found": "ok", "not_assessed": "no_data"}
    said = {"worse": "worse", "better": "better", "no_change_found": "no change found", "not_assessed": "not assessed"}
    return {
        **one,
        "tone": words[one["verdict"]],
        "said": said[one["verdict"]],
        "then": shown(one["before"], is_share),
        "is": shown(one["now"], is_share),
        "adds": None
        if one["q_value"] is None
        else f"{100 * (one['mix'] + one['within']):+.1f}"
        if is_share
        else f"{one['mix'] + one['within']:+.3g}",
    }


def _back(system: System, environment: str) -> HttpResponse:
    return redirect(f"/systems/{system.pk}/performance?{urlencode({'environment': environment})}")


@require_POST
def declare(request: Request, pk: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    given = request.POST
    environment = given.get("environment", "prod")
    fields: dict[str, Any] = {
        name: given[name].strip()
        for name in ("kind", "output", "probability", "confidence", "positive", "query")
        if name in given
    }
    for name in ("segments", "features"):
        if name in given:
            fields[name] = given[name].split(",")
    if given.get("cutoff", "").strip():
        fields["cutoff"] = int(_number(given["cutoff"], "cutoff") or 0)
    for name in ("floor", "delay_hours", "tolerance", "latency_ms"):
        if name in given:
            fields[name] = _number(given[name], name)
    if fields.get("tolerance", 0) is None:
        del fields["tolerance"]
    decisions.declare(request.actor, system, environment, fields)
    messages.success(request, "Declared. What is kept is counted anew within a minute.")
    return _back(system, environment)


def _number(text: str, name: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError as problem:
        raise Invalid(f"{name!r} is a number, not {text[:40]!r}.") from problem


@require_POST
def set_baseline(request: Request, pk: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    environment = request.POST.get("environment", "prod")
    start, end = (_instant(request.POST.get(name, "")) for name in ("start", "end"))
    made = decisions.set_baseline(request.actor, system, environment, start, end)
    messages.success(request, f"Baseline {made.version} is in force: {made.labelled:,} labels.")
    return _back(system, environment)


def _instant(text: str) -> datetime:
    """Of a form; in UTC where it has no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as problem:
        raise Invalid(f"{text[:40]!r} is no time.", "For example 2026-03-01T00:00") from problem
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@require_POST
def stop(request: Request, pk: int, source: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    found = decisions.stop(request.actor, system, source, request.POST.get("reason", ""))
    messages.success(request, f"Labels of {found.name} are set aside: kept and shown, not counted.")
    return _back(system, found.place.environment)


@require_POST
def resume(request: Request, pk: int, source: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    found = decisions.resume(request.actor, system, source)
    messages.success(request, f"Labels of {found.name} count again.")
    return _back(system, found.place.environment)
