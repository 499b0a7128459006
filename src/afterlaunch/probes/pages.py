"""Probes as pages: all of them, one of them, and the uptime of systems."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from afterlaunch.estate.actions import system_by_id, systems_seen_by
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.look import charts
from afterlaunch.look.requests import Request
from afterlaunch.probes import actions, judging, presence, prompts, rules
from afterlaunch.probes.actions import CAP_USD, NANO, Values, probe_by_id, probes_seen_by, put_probe
from afterlaunch.probes.assertions import KINDS as ASSERTIONS
from afterlaunch.probes.heartbeat_pages import TABS, systems_to_edit, whole
from afterlaunch.probes.kinds import KINDS, kind_named
from afterlaunch.probes.models import Probe, ProbeResult
from afterlaunch.probes.outcomes import ADVICE
from afterlaunch.probes.telling import incident_of
from afterlaunch.probes.times import records

WORST_FIRST = ("down", "no_data", "failing", "new", "up", "paused")
LISTS = ("expect",)
DEEDS = {
    "run": (actions.run_now, "is tried within seconds."),
    "pause": (actions.pause_probe, "is not tried until you resume it."),
    "resume": (actions.resume_probe, "is tried again."),
    "remove": (actions.remove_probe, "is removed."),
}
WORDS = {"u": "well", "r": "well when tried again", "d": "failed", "n": "not run"}


@dataclass(frozen=True)
class Shown:
    """A probe as the list shows it."""

    row: Probe
    subject: str
    bars: list[tuple[str, str]]
    milliseconds: float | None
    tried_at: Any


def bars_of(row: Probe) -> list[tuple[str, str]]:
    """(tone, word) of the last 90 rounds; what was before the first is empty."""
    marks = rules.combined([place.recent for place in row.places.all()], row.quorum)
    return [("", "")] * (rules.SHOWN - len(marks)) + [(rules.TONES[mark], WORDS[mark]) for mark in marks]


def _shown(row: Probe) -> Shown:
    places = list(row.places.all())
    timed = [place.milliseconds for place in places if place.milliseconds is not None]
    tried = [place.tried_at for place in places if place.tried_at is not None]
    return Shown(
        row,
        kind_named(row.kind).subject(row.config),
        bars_of(row),
        max(timed, default=None),
        max(tried, default=None),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def probes(request: Request) -> HttpResponse:
    """Those that are down first. `kind`: the form is one for that kind."""
    if request.method == "POST":
        system = system_by_id(request.actor, whole(request.POST.get("system", ""), 0, "The system"))
        made = put_probe(request.actor, system, request.POST.get("name", "").strip(), _values(request))
        messages.success(request, f"{made.name} is tried every {made.interval} s from now on.")
        return redirect(made.get_absolute_url())
    rows = probes_seen_by(request.actor).prefetch_related("places")
    rows_sorted = sorted(rows, key=lambda row: WORST_FIRST.index(row.state))
    kind = kind_named(request.GET.get("kind") or "http")
    return render(
        request,
        "probes/probes.html",
        {
            "tabs": TABS,
            "rows": [_shown(row) for row in rows_sorted],
            "counts": {state: sum(row.state == state for row in rows_sorted) for state in WORST_FIRST},
            "systems": systems_to_edit(request.actor),
            "absence": presence.newest_absence(),
            "waiting": prompts.waiting(request.actor)[:20],
            **_form(request, kind.name, None),
        },
    )


def _form(request: Request, kind: str, row: Probe | None) -> dict[str, Any]:
    config = row.config if row is not None else kind_defaults(kind)
    return {
        "kind": kind,
        "kinds": list(KINDS.values()),
        "config": config,
        "assertions_text": orjson.dumps(list(config.get("assertions", ())), option=orjson.OPT_INDENT_2).decode(),
        "headers_text": "\n".join(f"{name}: {value}" for name, value in config.get("headers", {}).items()),
        "expect_text": ", ".join(config["expect"]) if isinstance(config.get("expect"), list) else "",
        "assertion_kinds": ASSERTIONS,
        "trusted": request.actor.may(Role.ADMIN, None),
        "location": settings().text("LOCATION"),
        "interval": rules.INTERVAL if kind != "golden" else 900,
        "timeout": 10 if kind != "golden" else 60,
        "cap": Decimal(row.cap_nano) / NANO if row is not None and row.cap_nano else CAP_USD,
    }


def kind_defaults(kind: str) -> dict[str, Any]:
    return {"status": "200-299", "method": "GET", "follow": True, "port": 443 if kind == "tls" else "", "days": 14,
            "type": "A", "protocol": "chat", "max_tokens": 512, "assertions": []}  # fmt: skip


def _values(request: Request, row: Probe | None = None) -> Values:
    given = request.POST
    kind = row.kind if row is not None else given.get("kind", "http")
    return Values(
        kind=kind,
        config=_config(request, kind, row),
        environment=given.get("environment", "").strip() or "prod",
        interval=whole(given.get("interval", ""), rules.INTERVAL, "The interval"),
        timeout=whole(given.get("timeout", ""), 10, "The time limit"),
        retries=whole(given.get("retries", ""), 1, "The number of retries"),
        retry_seconds=whole(given.get("retry_seconds", ""), 15, "The wait before a retry"),
        locations=[one.strip() for one in given.get("locations", "").split(",") if one.strip()],
        quorum=whole(given.get("quorum", ""), 1, "The quorum"),
        severity=given.get("severity", "P2"),
        notify_after=whole(given.get("notify_after", ""), 1, "The number of failed rounds"),
        again_minutes=whole(given.get("again_minutes", ""), 0, "The minutes"),
        counts=bool(given.get("counts")),
        cap_usd=_money(given.get("cap_usd", "")),
        parents=[one.strip() for one in given.get("parents", "").split(",") if one.strip()],
    )


def _money(text: str) -> Decimal | None:
    try:
        found = Decimal(text.strip()) if text.strip() else None
    except InvalidOperation:
        raise Invalid("The spending of a day must be a number.") from None
    if found is not None and not found.is_finite():
        raise Invalid("The spending of a day must be a number.")
    return found


def _config(request: Request, kind: str, row: Probe | None = None) -> dict[str, Any]:
    """The fields `c-NAME` of the form, as the kind takes them."""
    told: dict[str, Any] = {}
    for key in request.POST:
        text = request.POST.get(key, "")
        if not key.startswith("c-") or not text.strip():
            continue
        name = key[2:]
        told[name] = text.replace("\r\n", "\n") if name in ("prompt", "system", "body") else text.strip()
    if "assertions" in told:
        try:
            told["assertions"] = orjson.loads(told["assertions"])
        except ValueError:
            raise Invalid("The assertions are no JSON.", "Write a list, or nothing.") from None
    if "headers" in told:
        lines = [line.partition(":") for line in told["headers"].splitlines() if line.strip()]
        told["headers"] = {name.strip(): value.strip() for name, _, value in lines}
    if kind == "http":
        told["follow"] = "follow" in told
    if kind == "golden" and row is not None and row.config.get("history"):
        told["history"] = row.config["history"]  # the form does not show it
    return told


@require_POST
def take_over(request: Request, pk: int) -> HttpResponse:
    """A probe of a golden prompt that a review made."""
    given = request.POST
    endpoint = {name: given.get(name, "").strip() for name in prompts.ENDPOINT}
    made = prompts.take_over(request.actor, pk, given.get("name", ""), endpoint)
    messages.success(request, f"{made.name} is tried every {made.interval} s from now on.")
    return redirect(made.get_absolute_url())


@require_http_methods(["GET", "HEAD", "POST"])
def probe(request: Request, pk: int) -> HttpResponse:
    row = probe_by_id(request.actor, pk)
    if request.method == "POST":
        put_probe(request.actor, row.system, row.name, _values(request, row))
        messages.success(request, f"{row.name} is altered.")
        return redirect(row.get_absolute_url())
    now = clock.now()
    results = actions.results_of(row, 50)
    client = row.system.client.slug
    parents = list(row.parents.all())
    return render(
        request,
        "probes/probe.html",
        {
            "row": row,
            "subject": kind_named(row.kind).subject(row.config),
            "bars": bars_of(row),
            "places": list(row.places.all()),
            "parents": parents,
            "parents_text": ", ".join(one.name for one in parents),
            "may": request.actor.may(Role.OPERATOR, client),
            "may_run": request.actor.may(Role.RESPONDER, client),
            "incident": incident_of(judging.trouble_of(row)),
            "results": [(one, ADVICE.get(one.reason, "")) for one in results],
            "chart": _latency(row, results),
            "hours": _hours(row),
            "spent": row.spent_nano if row.spent_on == now.date() else 0,
            **_form(request, row.kind, row),
        },
    )


def _latency(row: Probe, results: list[ProbeResult]) -> Any:
    """Mean and slowest by the hour, of the last ten days; of a young probe each try."""
    hours = list(row.hours.filter(timed__gt=0).order_by("begins"))
    if len({one.begins for one in hours}) < 3:
        points = [(one.at, {"each": one.milliseconds}) for one in reversed(results) if one.milliseconds is not None]
        return charts.lines(points, "ms") if points else None
    merged: dict[Any, list[float]] = {}
    for one in hours:
        sums = merged.setdefault(one.begins, [0.0, 0.0, 0.0])
        sums[0], sums[1], sums[2] = sums[0] + one.milliseconds, sums[1] + one.timed, max(sums[2], one.slowest)
    shown = [(at, {"mean": total / count, "slowest": slowest}) for at, (total, count, slowest) in merged.items()]
    return charts.lines(shown, "ms")


def _hours(row: Probe) -> dict[str, int]:
    """Rounds of the last day."""
    since = clock.now() - timedelta(hours=24)
    rows = row.hours.filter(begins__gte=since)
    return {name: sum(getattr(one, name) for one in rows) for name in ("ok", "failed", "not_run", "retried")}


@require_POST
def alter(request: Request, pk: int, deed: str) -> HttpResponse:
    if deed not in DEEDS:
        raise NotFound(f"A probe has no {deed!r}.")
    row = probe_by_id(request.actor, pk)
    do, said = DEEDS[deed]
    do(request.actor, row)
    messages.success(request, f"{row.name} {said}")
    return redirect("/probes" if deed == "remove" else row.get_absolute_url())


@require_GET
def uptime(request: Request) -> HttpResponse:
    """Every system the reader sees, over a day, 30 and 90."""
    systems = list(systems_seen_by(request.actor))
    return render(request, "probes/uptime.html", {"tabs": TABS, "records": records(systems, clock.now())})
