"""The spend explorer as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from afterlaunch.ground.errors import Invalid
from afterlaunch.look import charts, formats
from afterlaunch.look.requests import Request
from afterlaunch.spend.drivers import FACTORS, WORDS, Drivers
from afterlaunch.spend.drivers import Share as Moved
from afterlaunch.spend.explorer import BY, MEASURES, Explorer, chosen
from afterlaunch.spend.mix_judging import MIX
from afterlaunch.telemetry.attribution import Share
from afterlaunch.telemetry.ranked import Ranked
from afterlaunch.telemetry.views.asked import Asked, asked
from afterlaunch.telemetry.views.sheets import Section, Tile
from afterlaunch.verdicts.models import Verdict
from afterlaunch.verdicts.words import Status

MANIFOLD = 10  # from so many times more on a percentage is hard to read
KEEP = ("group_by", "measure")
PICKS = ("model", "agent", "route", "tenant", "version", "system", "environment", "provider", "client", "arm")
SHOWN, MOVED = 200, 8
API = "/api/v1/spend/explorer"


@require_safe
def explorer(request: Request) -> HttpResponse:
    if "by" in request.GET:  # as older links say it
        told = request.GET.copy()
        told["group_by"] = told.pop("by")[-1]
        return redirect(f"/spend?{told.urlencode()}")
    ask = asked(request, *KEEP, default="7d")
    names, measure = chosen(ask), ask.kept.get("measure", "cost")
    if measure not in MEASURES:
        raise Invalid(f"{measure!r} is no measure of spend.", "Measures: " + ", ".join(MEASURES))
    found = Explorer(ask, names, most=SHOWN)
    used = found.found.total.calls > 0
    section = Section(
        "rows", "By " + " and ".join(names), found.grid, empty="Nothing was spent in this time", most=SHOWN,
        advice="Choose a longer time, leave a filter out, or point an application here: the overview shows how.",
    )  # fmt: skip
    context: dict[str, Any] = {
        **ask.context(API),
        "files": _files(ask),
        "placeholder": "model:gpt-4o agent:triage",
        "picks": PICKS,
        "first": [(name, ask.link(group_by=name), name == names[0]) for name in BY],
        "second": _second(ask, names),
        "measures": [(name, ask.link(measure=name), name == measure) for name in MEASURES],
        "tiles": _tiles(found.found, ask),
        "chart": _chart(found, measure) if used else "",
        "chart_title": f"{measure.capitalize()} over time" + (f", by {names[0]}" if names[0] in PICKS else ""),
        "card": {"one": section, "files": ask.files(API), "cells": found.grid.cells(SHOWN)},
        "left": max(0, found.found.count - SHOWN),
        "why": why(found.drivers) if used else None,
        "mixes": _mixes(ask) if used else [],
    }
    return render(request, "spend/explorer.html", context)


def _mixes(ask: Asked) -> list[Verdict]:
    """Systems whose newest hour is divided as no usual one."""
    lasting = Verdict.objects.filter(judge=MIX.name, status__in=(Status.BREACH.value, Status.WARNING.value))
    return list((lasting if ask.clients is None else lasting.filter(client__in=ask.clients))[:MOVED])


def _second(ask: Asked, names: Sequence[str]) -> list[tuple[str, str, bool]]:
    if names[0] not in PICKS:
        return []
    more = names[1] if len(names) > 1 else ""
    offered = [name for name in PICKS if name != names[0]]
    return [("nothing else", ask.link(group_by=names[0]), not more)] + [
        (name, ask.link(group_by=f"{names[0]},{name}"), name == more) for name in offered
    ]


def _files(ask: Asked) -> list[tuple[str, str]]:
    return [
        (f"{title}, {word}", address)
        for key, title in (("rows", "Table"), ("drivers", "Drivers"))
        for word, address in ask.files(API, key)
    ]


def _chart(found: Explorer, measure: str) -> Any:
    zone = timezone.get_current_timezone()
    points = found.over_time(zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC"), measure)
    return charts.lines(points, MEASURES[measure], "bar", width=1_000, height=190)


def _tiles(found: Ranked, ask: Asked) -> list[Tile]:
    whole = found.total
    known = whole.calls - whole.calls_unknown_cost
    inputs, outputs = whole.input_tokens, whole.output_tokens
    was = found.was.cost_nano
    cost = whole.cost_nano if known > 0 or whole.cost_nano or not whole.calls else None
    return [
        Tile("Known cost", formats.money(cost), *_noted(whole.calls_unknown_cost, ask)),
        *([Tile("Before", formats.money(was), "the same length of time")] if was else []),
        Tile("Calls", formats.compact(whole.calls)),
        Tile("Per call", formats.money(whole.cost_nano // known if known > 0 else None), "of known cost"),
        *_extrapolated(whole),
        Tile("Tokens", formats.compact(inputs + outputs), f"{formats.compact(outputs)} of them output"),
        Tile("From prompt cache", formats.percent(whole.buckets["in_cache_read"], inputs), "of input"),
    ]


def _extrapolated(whole: Share) -> list[Tile]:
    """Beside the known cost: what samplers left out is in no sum."""
    if not whole.calls_sampled:
        return []
    sampled, meant = formats.compact(whole.calls_sampled), formats.compact(whole.calls_extrapolated)
    said = f"extrapolated, of {meant} calls: {sampled} sent are a sample"
    return [Tile("Stands for", formats.money(whole.cost_extrapolated_nano), said, "warning")]


def _noted(unknown: int, ask: Asked) -> tuple[str, str]:
    """Note and tone of the known cost."""
    return (f"{formats.count(unknown)} calls of unknown cost beside it", "warning") if unknown else (_range(ask), "")


def _range(ask: Asked) -> str:
    return f"in {ask.range}" if ask.range else "in this time"


@dataclass(frozen=True)
class Step:
    """One bar of the waterfall: where it lies (percent of the width), and what it says."""

    label: str
    said: str
    left: str
    width: str
    tone: str


@dataclass(frozen=True)
class Why:
    sentence: str
    steps: Sequence[Step]
    groups: Sequence[tuple[str, str, str, str]]


def why(found: Drivers) -> Why | None:
    """None where the time before has no known cost to compare with."""
    if not found.before_nano:
        return None
    return Why(_sentence(found), _steps(found), [_moved(one) for one in found.groups[:MOVED] if one.difference])


def signed(nano: int) -> str:
    return ("−" if nano < 0 else "+") + formats.money(abs(nano))


def _sentence(found: Drivers) -> str:
    if not found.difference:
        return "As much as in the time before."
    share = abs(found.difference) / found.before_nano
    main = max(FACTORS, key=lambda name: abs(found.parts[name]))
    word = "more" if found.difference > 0 else "less"
    size = formats.percent(share) if share < MANIFOLD else f"{formats.compact(round(share + 1))} times as much"
    return (
        f"{formats.money(abs(found.difference))} {word} than in the time before ({size});"
        f" most of it by {WORDS[main]} ({signed(found.parts[main])})."
    )


def _steps(found: Drivers) -> list[Step]:
    at, levels = found.before_nano, [0, found.before_nano]
    for name in FACTORS:
        at += found.parts[name]
        levels.append(at)
    low, high = min(0, *levels), max(levels) or 1
    span = high - low

    def bar(label: str, said: str, first: int, second: int, tone: str) -> Step:
        left, right = min(first, second), max(first, second)
        return Step(label, said, f"{(left - low) / span * 100:.2f}", f"{(right - left) / span * 100:.2f}", tone)

    out = [bar("Before", formats.money(found.before_nano), 0, found.before_nano, "whole")]
    at = found.before_nano
    for name in FACTORS:
        part = found.parts[name]
        label = WORDS[name][0].upper() + WORDS[name][1:]
        seen = abs(part) * 10_000 >= high  # what is less than a hair of the picture is rounding
        out.append(bar(label, signed(part) if seen else "—", at, at + part, "more" if part > 0 else "less"))
        at += part
    return [*out, bar("Now", formats.money(found.now_nano), 0, found.now_nano, "whole")]


def _moved(one: Moved) -> tuple[str, str, str, str]:
    name = " · ".join(part for part in one.key if part) or "not told"
    return name, formats.money(one.before_nano), formats.money(one.now_nano), f"{signed(one.difference)}, {_by(one)}"


def _by(one: Moved) -> str:
    if not one.before_nano:
        return "new"
    return "gone" if not one.now_nano else WORDS[one.main]
