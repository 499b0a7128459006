"""Alert policies and conditions of an SLO to pairs of windows. Pure.

A condition has one window, a policy one condition: a pair is two policies, said by an annotation that both carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from afterlaunch.slo.durations import short, written
from afterlaunch.slo.openslo.members import Members
from afterlaunch.slo.openslo.objects import Alerting, Document
from afterlaunch.slo.openslo.problems import Findings
from afterlaunch.slo.pairs import GUARD, LEAST_BAD, MOST_BAD, PAGE, TICKET, Pair

PAIR = "afterlaunch/window-pair"
LEAST = "afterlaunch/least-bad"
PAGES = {"page", "critical", "sev1", "sev2", "p1", "p2", "1", "2", "high", "error"}
Index = Mapping[tuple[str, str], Document]


@dataclass(frozen=True)
class _Condition:
    name: str
    severity: str
    threshold: Fraction
    window: int
    hold: int
    pair: str
    least: int


def alerting(spec: Members, index: Index, findings: Findings, join: bool) -> Alerting:
    """Without policies the standard pairs apply."""
    value = spec.raw.get("alertPolicies")
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        policies = [_named(spec, "alertPolicies", one, "AlertPolicy", index) for one in value]
    else:
        policies = [_inline_or_named(one, "alertPolicyRef", "AlertPolicy", index) for one in spec.each("alertPolicies")]
    conditions: list[_Condition] = []
    targets: list[str] = []
    flags = {"alertWhenBreaching": False, "alertWhenResolved": False, "alertWhenNoData": False}
    chosen = [one for one in policies if one is not None]
    for policy in chosen:
        inside = policy.inside("spec")
        for name in flags:
            flags[name] |= inside.flag(name, False)
        rows = inside.each("conditions", needed=True)
        if len(rows) > 1:
            inside.wrong("conditions", "a policy has exactly one condition")
        for row in rows[:1]:
            found = _inline_or_named(row, "conditionRef", "AlertCondition", index)
            condition = _condition(found) if found else None
            if condition is not None:
                conditions.append(condition)
        targets += _targets(inside, index)
    if not chosen:
        return Alerting()
    pairs = _joined(conditions, spec, join)
    return Alerting(
        tuple(pairs) if flags["alertWhenBreaching"] else (),
        when_breaching=flags["alertWhenBreaching"],
        when_resolved=flags["alertWhenResolved"],
        when_no_data=flags["alertWhenNoData"],
        targets=tuple(dict.fromkeys(targets)),
    )


def _named(members: Members, at: str, name: str, kind: str, index: Index) -> Members | None:
    found = index.get((kind, name))
    if found is None:
        members.wrong(at, f"there is no {kind} {name!r}")
        return None
    return Members(found.raw, found.where, members.findings)


def _inline_or_named(row: Members, reference: str, kind: str, index: Index) -> Members | None:
    if row.has(reference):
        return _named(row, reference, row.text(reference), kind, index)
    if row.raw.get("kind") not in (None, kind):
        row.wrong("kind", f"it must be {kind}")
        return None
    return row


def _targets(policy: Members, index: Index) -> list[str]:
    names = []
    for row in policy.each("notificationTargets"):
        found = _inline_or_named(row, "targetRef", "AlertNotificationTarget", index)
        if found is not None:
            names.append(found.inside("metadata").text("name"))
    return [name for name in names if name]


def _condition(members: Members) -> _Condition | None:
    metadata = members.inside("metadata")
    spec = members.inside("spec")
    word = spec.text("severity")
    condition = spec.inside("condition")
    kind = condition.text("kind", "burnrate")
    if kind != "burnrate":
        condition.wrong("kind", f"{kind!r} is not read; it must be burnrate")
    op = condition.text("op", "gt")
    if op not in ("gt", "gte"):
        condition.wrong("op", f"{op!r} is not read: an alert fires above its threshold, gt")
    elif op == "gte":
        condition.note("op", "gte is read as gt: equality does not fire")
    threshold, window = condition.number("threshold"), condition.lookback("lookbackWindow")
    hold = 0
    if condition.has("alertAfter") and condition.raw["alertAfter"] not in ("0m", 0):
        hold = condition.lookback("alertAfter") or 0
    if threshold is not None and threshold <= 0:
        condition.wrong("threshold", "it must be above 0")
        return None
    if threshold is None or window is None or not word:
        return None
    severity = PAGE if word.lower() in PAGES else TICKET
    if word.lower() not in {*PAGES, TICKET, "warning", "low", "sev3", "p3", "3", "info"}:
        spec.note("severity", f"{word!r} is read as {severity}")
    notes = metadata.texts("annotations")
    least = _least(notes.get(LEAST, ""), severity, metadata)
    return _Condition(metadata.text("name", ""), severity, threshold, window, hold, notes.get(PAIR, ""), least)


def _least(text: str, severity: str, metadata: Members) -> int:
    if not text:
        return GUARD if severity == PAGE else LEAST_BAD
    if not text.isdigit() or not LEAST_BAD <= int(text) <= MOST_BAD:
        metadata.wrong(f"annotations.{LEAST}", f"it must be a whole number from {LEAST_BAD} to {MOST_BAD}")
        return GUARD
    return int(text)


def _joined(conditions: list[_Condition], spec: Members, join: bool) -> list[Pair]:
    """Those of one annotation are a pair; of the others those that look like one, if asked to."""
    groups: dict[str, list[_Condition]] = {}
    alone: list[_Condition] = []
    for one in conditions:
        groups.setdefault(one.pair, []).append(one) if one.pair else alone.append(one)
    pairs = []
    for name, group in groups.items():
        if len(group) != 2 or len({(one.severity, one.threshold) for one in group}) != 1:
            spec.wrong(
                "alertPolicies", f"{PAIR} {name!r} must stand on two conditions of one severity and one threshold"
            )
            continue
        long, brief = sorted(group, key=lambda one: -one.window)
        pairs.append(_pair(long, brief, name.removeprefix(f"{long.severity}-")))
    return pairs + _alike(alone, spec, join)


def _alike(alone: list[_Condition], spec: Members, join: bool) -> list[Pair]:
    pairs, left = [], sorted(alone, key=lambda one: -one.window)
    while left:
        long = left.pop(0)
        brief = next((one for one in left if _belong(long, one)), None)
        if brief is not None and join:
            left.remove(brief)
            pairs.append(_pair(long, brief))
            continue
        if brief is not None:
            said = (
                f"{long.name} and {brief.name} look like one pair of windows ({short(long.window)},"
                f" {short(brief.window)}, above {written(long.threshold)}): join them, or each fires alone"
            )
            spec.note("alertPolicies", said)
        pairs.append(_pair(long, long))
    return pairs


def _belong(long: _Condition, brief: _Condition) -> bool:
    same = long.severity == brief.severity and long.threshold == brief.threshold
    return same and 9 * brief.window <= long.window <= 15 * brief.window


def _pair(long: _Condition, brief: _Condition, name: str = "") -> Pair:
    hold = max(long.hold, brief.hold)
    return Pair(
        long.severity, name or long.name, long.window, brief.window, long.threshold, max(long.least, brief.least), hold
    )
