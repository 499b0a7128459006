"""What a form or an API call asks for: a mapping to what an SLO is, with everything that is wrong named by its path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from afterlaunch.ground.errors import Invalid
from afterlaunch.slo import measures
from afterlaunch.slo.actions import About
from afterlaunch.slo.definition import Definition
from afterlaunch.slo.durations import exact
from afterlaunch.slo.openslo.members import Members
from afterlaunch.slo.openslo.objects import METHODS, OCCURRENCES, TIMESLICES, Period
from afterlaunch.slo.openslo.problems import Findings, Where
from afterlaunch.slo.pairs import GUARD, LEAST_BAD, MOST_BAD, PAGE, Pair, life, standard

STANDARD, USABLE, ALIVE = "standard", "usable", "alive"
CHOICES = {
    STANDARD: "the standard ones",
    USABLE: "the standard ones, with the largest usable factor for those that can never fire",
    ALIVE: "the standard ones without those that can never fire",
}


@dataclass(frozen=True)
class Asked:
    client: str
    name: str
    about: About
    definition: Definition


def read(raw: Mapping[str, Any]) -> Asked:
    """Raises Invalid. Dead pairs are not looked at here: the deed refuses them, a preview shows them."""
    findings = Findings()
    head = Members(dict(raw), Where("request", 1), findings)
    target = _target(head)
    period = _period(head)
    method = head.text("method", OCCURRENCES)
    if method not in METHODS:
        head.wrong("method", f"{method!r} is none of {', '.join(METHODS)}")
    slice_seconds, slice_target = None, None
    if method != OCCURRENCES:
        slice_seconds = head.lookback("slice_window")
        slice_target = head.number("slice_target") if method == TIMESLICES else None
    measure = measures.read(head.inside("measure"))
    name, client = head.text("name"), head.text("client")
    about = About(
        title=head.text("title", ""),
        description=head.text("description", ""),
        service=head.text("service", ""),
        critical=head.flag("critical", False),
        busy=head.flag("always_busy", False),
        paused=head.flag("paused", False),
    )
    pairs = _pairs(head)
    if findings.errors or target is None or period is None or measure is None:
        said = [f"{one.where.path}: {one.message}" for one in findings.errors]
        raise Invalid("; ".join(said) + ".", "See the fields that are named.")
    definition = Definition(target, period, measure, method, slice_target, slice_seconds)
    return Asked(client, name, about, replace(definition, pairs=_chosen(pairs, definition, head)))


def _target(head: Members) -> Fraction | None:
    """`objective`: a share such as 0.999, or text with a percent sign."""
    value = head.raw.get("objective")
    text = str(value).strip() if value is not None else ""
    try:
        number = exact(text.removesuffix("%").strip()) / (100 if text.endswith("%") else 1)
    except ValueError:
        head.wrong("objective", f"{value!r} is no share: write 0.999 or 99.9 %")
        return None
    if not 0 < number < 1:
        head.wrong("objective", "it must be above 0 and below 1 (0 % and 100 %)")
        return None
    return number


def _period(head: Members) -> Period | None:
    if isinstance(head.raw.get("period"), dict):
        inside = head.inside("period")
        length, zone, start = inside.duration("duration"), inside.text("time_zone", ""), inside.text("start", "")
        if not zone:
            return Period(length) if length else None
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            inside.wrong("time_zone", f"{zone!r} is no IANA time zone")
            return None
        start = start or "2024-01-01T00:00:00"
        return Period(length, start, zone) if length else None
    length = head.duration("period")
    return Period(length) if length else None


def _pairs(head: Members) -> str | list[Pair]:
    value = head.raw.get("pairs")
    if value is None or isinstance(value, str):
        chosen = value or STANDARD
        if chosen not in CHOICES:
            head.wrong("pairs", f"{chosen!r} is none of {', '.join(CHOICES)}, and no list")
        return str(chosen)
    return [one for row in head.each("pairs") if (one := _pair(row)) is not None]


def _pair(row: Members) -> Pair | None:
    long, brief, factor = row.lookback("long"), row.lookback("short"), row.number("factor")
    severity = row.text("severity")
    least = row.raw.get("least_bad", GUARD if severity == PAGE else LEAST_BAD)
    hold = row.lookback("for") if row.raw.get("for") not in (None, "0m") else 0
    if not isinstance(least, int) or not LEAST_BAD <= least <= MOST_BAD:
        row.wrong("least_bad", f"it must be a whole number from {LEAST_BAD} to {MOST_BAD}")
        return None
    if long is None or brief is None or factor is None:
        return None
    return Pair(severity, row.text("name", ""), long, brief, factor, least, hold or 0)


def _chosen(pairs: str | list[Pair], definition: Definition, head: Members) -> tuple[Pair, ...] | None:
    least = head.raw.get("least_bad")
    if isinstance(pairs, list):
        return tuple(pairs)
    found = standard(definition.period.seconds)
    if isinstance(least, int) and LEAST_BAD <= least <= MOST_BAD:
        found = tuple(replace(one, least_bad=least) if one.severity == PAGE else one for one in found)
    target, period = definition.target, definition.period.seconds
    lives = [(one, life(one, target, period)) for one in found]
    if pairs == ALIVE:
        found = tuple(one for one, told in lives if not told.dead)
    elif pairs == USABLE:
        found = tuple(
            replace(one, factor=told.offer.factor) if told.dead and told.offer else one for one, told in lives
        )
    return None if found == standard(period) else found
