"""What stands behind a finding of spend: how much it is beyond the usual, and which parts of it drive that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from afterlaunch.spend.comparing import GROUPED, weights
from afterlaunch.spend.drivers import (
    CACHE,
    FACTORS,
    MIX,
    OUTPUT,
    PRICE,
    TOKENS,
    VOLUME,
    Drivers,
    Group,
    explain,
    group_of,
)
from afterlaunch.telemetry.queries import judged_stretches
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import Finding, Scope, Status, View

NANO = 1_000_000_000
EXPLAINED = frozenset(
    {
        "spend.cost_per_hour",
        "spend.cost_per_call",
        "spend.input_per_call",
        "spend.output_per_call",
        "spend.cache_lost",
        "spend.retry_storm",
    }
)
DEARER = {
    VOLUME: "more calls",
    MIX: "dearer models, routes or agents",
    TOKENS: "more tokens per call",
    CACHE: "fewer prompt-cache hits",
    OUTPUT: "more output and reasoning",
    PRICE: "a higher price per token",
}
DAY = timedelta(days=1)
WORTH_NAMING = 0.2  # of the difference


def explained(view: View, finding: Finding) -> Finding:
    """A breach or a warning of spend with its drivers, against the last day at the same length; others as they are."""
    if finding.judge not in EXPLAINED or finding.status not in (Status.BREACH, Status.WARNING):
        return finding
    narrowed = {name: value for name in ("route", "arm", "provider") if (value := getattr(view.scope, name))}
    found = _drivers(view.scope, narrowed, view.recent.start, view.recent.end)
    if not found.before_nano:
        return finding
    left = _until_midnight(view.recent)
    said = f"{finding.explanation} {words(found, left)}"
    evidence = {
        **finding.evidence,
        "over_nano": found.difference,
        "until_midnight_nano": round(found.difference * left),
    }
    evidence |= {f"{name}_nano": found.parts[name] for name in FACTORS}
    return replace(finding, explanation=said, evidence=evidence)


def behind(scope: Scope, narrowed: Mapping[str, str], start: datetime, end: datetime) -> str:
    """In words, what made these calls cost more than the last day's in as long; "" where nothing is known of that."""
    found = _drivers(scope, narrowed, start, end)
    return words(found, 0) if found.before_nano and found.difference > 0 else ""


def _drivers(scope: Scope, narrowed: Mapping[str, str], start: datetime, end: datetime) -> Drivers:
    equals = {"system": scope.system, "environment": scope.environment, **narrowed}
    names = [name for name in GROUPED if name not in ("client", *equals) or name in ("client", "provider", "model")]
    bounds = [start - DAY, start, end]
    rows = judged_stretches(bounds, names, frozenset([scope.client]), **equals)
    share = (end - start) / DAY
    past = [scaled(group_of(row, names), share) for row in rows if row.start < start]
    now = [group_of(row, names) for row in rows if row.start >= start]
    return explain(past, now, weights(names, end))


def scaled(group: Group, share: float) -> Group:
    """The group as it would be over a time of this share; never without a call, where there were any."""
    return Group(
        group.key,
        max(1, round(group.calls * share)) if group.calls else 0,
        round(group.cost_nano * share),
        {name: round(tokens * share) for name, tokens in group.buckets.items()},
    )


def _until_midnight(recent: Window) -> float:
    """How many times the window fits into what is left of the day, UTC."""
    midnight = recent.end.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    return (midnight - recent.end) / (recent.end - recent.start)


def words(found: Drivers, left: float) -> str:
    over = found.difference
    if over <= 0:
        return f"In all, these calls cost {_usd(-over)} less than the last day's did in as long."
    said = f"{_usd(over)} more than the last day's calls cost in as long"
    said += f"; {_usd(round(over * left))} more by midnight UTC at this rate." if left >= 1 else "."
    parts = sorted(((found.parts[name], name) for name in FACTORS), reverse=True)
    driving = [f"{DEARER[name]} (+{_usd(nano)})" for nano, name in parts if nano >= over * WORTH_NAMING]
    if driving:
        said += f" What drives it: {_and(driving)}."
    most = max(found.groups, key=lambda one: one.difference)
    if len(found.groups) > 1 and most.difference >= over * WORTH_NAMING:
        said += f" Most of it: {' · '.join(part for part in most.key[1:] if part)} (+{_usd(most.difference)})."
    return said


def _and(parts: Iterable[str]) -> str:
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def _usd(nano: int) -> str:
    return f"${nano / NANO:,.2f}" if nano >= 10_000_000 else f"${nano / NANO:,.4f}"
