"""Making and altering an SLO, with a preview that follows what is typed; importing a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound, TooLarge
from afterlaunch.look.requests import Request
from afterlaunch.slo import actions, asked
from afterlaunch.slo.api import put
from afterlaunch.slo.durations import exact, short, written
from afterlaunch.slo.measures import OUTCOMES, SIGNALS
from afterlaunch.slo.models import Slo
from afterlaunch.slo.openslo import importing
from afterlaunch.slo.openslo.objects import OPERATORS
from afterlaunch.slo.openslo.problems import InvalidFile, Problem
from afterlaunch.slo.openslo.text import LARGEST
from afterlaunch.slo.preview import preview

KINDS = (
    ("availability", "Calls that do not fail"),
    ("latency", "Calls answered in time"),
    ("quality", "Good answers, by evaluations or ratings"),
    ("freshness", "Look-ups in a fresh index"),
    ("verdict", "Time without another judge's breach"),
)
PERIODS = ("7d", "14d", "28d", "30d", "90d")
DEFAULTS = {"kind": "availability", "objective": "99.5", "period": "30d", "pairs": "standard", "least_bad": "3"}


def _raw(given: Mapping[str, str]) -> dict[str, Any]:
    """What the form holds, as the API would be told it. Empty fields are not told."""
    client, _, system = given.get("system", "").partition("/")
    measure: dict[str, Any] = {
        "kind": given.get("kind", ""),
        "system": system,
        **_told(given, ("environment", "route", "model", "outcome", "time", "evaluation", "judge", "signal")),
    }
    measure |= {"finalEvaluation": given["final_evaluation"]} if given.get("final_evaluation", "").strip() else {}
    kind = measure["kind"]
    labels = [one.strip() for one in given.get("labels", "").split(",") if one.strip()]
    if kind == "quality" and labels:
        measure["labels"] = labels
    elif kind in ("latency", "quality", "freshness"):
        measure |= _told(given, ("value",))
        measure |= {"op": given["op"]} if kind == "quality" and given.get("op") else {}
    if kind == "quality" and given.get("sampling", "").strip():
        measure["sampling"] = _share(given["sampling"])
    raw = {
        "client": client,
        "name": given.get("name", "").strip(),
        "title": given.get("title", "").strip(),
        "description": given.get("description", "").strip(),
        "objective": f"{given.get('objective', '').strip().removesuffix('%').strip()} %",
        "period": given.get("period", "30d"),
        "measure": measure,
        "critical": bool(given.get("critical")),
        "always_busy": bool(given.get("always_busy")),
        "pairs": given.get("pairs") or "standard",
    }
    if given.get("zone", "").strip() and given.get("period") in ("1M", "1Q", "1Y"):
        raw["period"] = {"duration": given["period"], "time_zone": given["zone"].strip()}
    if given.get("slices", "").strip() and kind in ("availability", "latency"):
        raw |= {"method": "Timeslices", "slice_window": given["slices"].strip()}
        raw["slice_target"] = _share(given.get("slice_target", ""))
    least = given.get("least_bad", "").strip()
    return raw | ({"least_bad": int(least)} if least.isdigit() else {})


def _told(given: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: given[name].strip() for name in names if given.get(name, "").strip()}


def _share(text: str) -> str:
    """Percent in the form."""
    try:
        return written(exact(text.strip().removesuffix("%").strip()) / 100, 12)
    except ValueError:
        return text


def _filled(slo: Slo) -> dict[str, str]:
    """What the form shows of an SLO that exists."""
    version = actions.in_force(slo)
    out = {"name": slo.name, "title": slo.title, "description": slo.description}
    out |= {"critical": "1" if slo.critical else "", "always_busy": "1" if slo.busy else ""}
    if version is None:
        return {**DEFAULTS, **out}
    definition = version.definition
    measure = definition.measure
    pages = [one.least_bad for one in definition.nominal_pairs if one.severity == "page"]
    return {
        **out,
        "system": f"{slo.client.slug}/{measure.system}",
        "environment": measure.environment,
        "route": measure.route,
        "model": measure.model,
        "kind": measure.kind,
        "outcome": measure.outcome,
        "time": measure.time,
        "op": measure.op,
        "value": written(measure.value) if measure.value is not None else "",
        "evaluation": measure.evaluation,
        "labels": ", ".join(measure.labels),
        "final_evaluation": measure.final_evaluation,
        "sampling": written(measure.sampling * 100) if measure.sampling != 1 else "",
        "judge": measure.judge,
        "signal": measure.signal,
        "objective": written(definition.target * 100),
        "period": str(definition.period.duration),
        "zone": definition.period.zone,
        "slices": short(definition.slice_seconds) if definition.slice_seconds else "",
        "slice_target": written(definition.slice_target * 100) if definition.slice_target else "",
        "pairs": "standard" if definition.pairs is None else "usable",
        "least_bad": str(max(pages, default=3)),
    }


def _context(request: Request, values: Mapping[str, str], slo: Slo | None = None) -> dict[str, Any]:
    systems = [
        (f"{one.client.slug}/{one.key}", f"{one.name} · {one.client.slug}")
        for one in systems_seen_by(request.actor)
        if request.actor.may(Role.OPERATOR, one.client.slug)
    ]
    return {
        "values": values,
        "slo": slo,
        "systems": systems,
        "kinds": KINDS,
        "outcomes": OUTCOMES.items(),
        "operators": OPERATORS.items(),
        "signals": SIGNALS,
        "periods": list(dict.fromkeys([*PERIODS, values.get("period", "30d"), "1M", "1Q"])),
        "choices": asked.CHOICES.items(),
        **(_looked(request, values) if values.get("system") else {"looked": None, "wrong": ""}),
    }


def _looked(request: Request, values: Mapping[str, str]) -> dict[str, Any]:
    try:
        wanted = asked.read({"name": "preview"} | {k: v for k, v in _raw(values).items() if v != ""})
        client = client_by_slug(request.actor, wanted.client)
        return {"looked": preview(client, wanted.definition, clock.now()), "wrong": ""}
    except (Invalid, NotFound) as problem:
        return {"looked": None, "wrong": problem.message}


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: Request) -> HttpResponse:
    """Of one system, if `system` is told."""
    if request.method == "POST":
        return _put(request, None)
    values = {**DEFAULTS, **request.GET.dict()}
    context = _context(request, values)
    if not values.get("system") and context["systems"]:
        context = _context(request, {**values, "system": context["systems"][0][0]})
    return render(request, "slo/form.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: Request, pk: int) -> HttpResponse:
    slo = actions.slo_by_id(request.actor, pk)
    if request.method == "POST":
        return _put(request, slo)
    request.actor.require(Role.OPERATOR, slo.client.slug)
    return render(request, "slo/form.html", _context(request, _filled(slo), slo))


def _put(request: Request, slo: Slo | None) -> HttpResponse:
    """What is wrong is shown beside the form, which keeps what was typed."""
    values = request.POST.dict()
    if slo is not None:
        values["name"] = slo.name
    try:
        made = put(request.actor, _raw(values))
    except Invalid as problem:
        context = _context(request, values, slo) | {"refused": f"{problem.message} {problem.hint}".strip()}
        return render(request, "slo/form.html", context, status=400)
    messages.success(request, f"{made} is judged every 30 seconds from now on.")
    return redirect(f"/slos/{made.pk}")


@require_safe
def look(request: Request) -> HttpResponse:
    """The preview alone, for what the form holds now."""
    return render(request, "slo/_preview.html", _looked(request, {**DEFAULTS, **request.GET.dict()}))


@require_http_methods(["GET", "HEAD", "POST"])
def import_file(request: Request) -> HttpResponse:
    """All or nothing; errors say where they are."""
    clients = sorted(
        {one.client.slug for one in systems_seen_by(request.actor) if request.actor.may(Role.OPERATOR, one.client.slug)}
    )
    context: dict[str, Any] = {"clients": clients, "text": "", "errors": [], "done": None}
    if request.method != "POST":
        return render(request, "slo/import.html", context)
    text, name = _uploaded(request)
    client = client_by_slug(request.actor, request.POST["client"]) if request.POST.get("client") else None
    trial, join = bool(request.POST.get("trial")), bool(request.POST.get("join"))
    try:
        done = importing.import_files(request.actor, [(text, name)], client, join, trial)
    except InvalidFile as problem:
        return render(request, "slo/import.html", context | {"text": text, "errors": problem.errors}, status=400)
    if not trial:
        messages.success(request, _said(done.changes))
        if not done.notices:
            return redirect("/slos")
    notices: list[Problem] = done.notices
    return render(
        request, "slo/import.html", context | {"text": text, "done": done, "trial": trial, "notices": notices}
    )


def _said(changes: list[importing.Change]) -> str:
    return f"{len(changes)} documents changed." if changes else "Nothing to change: all of it is so already."


def _uploaded(request: Request) -> tuple[str, str]:
    given = request.FILES.get("file")
    if given is None:
        text = request.POST.get("text", "")
        if not text.strip():
            raise Invalid("There is nothing to import.", "Choose a file, or paste OpenSLO v1.")
        return text, "pasted"
    if (given.size or 0) > LARGEST:
        raise TooLarge(f"A file of objectives has at most {LARGEST // 1_000_000} MB.", "Split it.")
    try:
        return given.read().decode("utf-8"), str(given.name or "file")
    except UnicodeDecodeError:
        raise Invalid("The file is no text.", "OpenSLO is YAML in UTF-8.") from None
