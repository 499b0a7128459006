"""Whether spend can be told apart, and what of it serves nobody: judges of a day against the week before.

1. A dimension that callers used to tell and do not any more usually is a deployment that lost its headers: the share of
untold calls jumps. One that was never told is nobody's mistake, and is not assessed. 2. Shadow copies and golden
prompts are wanted, but within bounds. A fixed number of questions for the whole estate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from afterlaunch.look.formats import money
from afterlaunch.telemetry.queries import judged_stretches, stretches
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.words import CHANCE, Finding, Named, Scope, Status, chance_of

PLACE = ("client", "system", "environment")
DIMENSIONS = ("tenant", "agent")
RECENT, PAST, DAY = timedelta(hours=1), timedelta(days=7), timedelta(days=1)
ENOUGH = 100  # calls
IN_USE = 0.5  # of the calls of the past told a dimension: below, nobody relies on it
JUMP = 0.1  # above the usual share
BESIDE = 0.2  # of a day's spend
LEAST_NANO = 1_000_000_000  # a dollar a day: below it nobody's concern
Place = tuple[str, str, str]


@dataclass(frozen=True)
class Unattributed:
    name: str = "spend.unattributed"
    title: str = "Spend that nobody is told to have caused"
    explanation: str = "Calls that tell no tenant or agent, in the last hour, against the week before, where they did."
    severity: str = "P3"


@dataclass(frozen=True)
class Idle:
    name: str = "spend.idle"
    title: str = "Spend that serves nobody"
    explanation: str = "Over a fifth of a day's known cost went to shadow copies and golden prompts."
    severity: str = "P3"


UNATTRIBUTED, IDLE = Unattributed(), Idle()
JUDGES = (UNATTRIBUTED, IDLE)


@dataclass(frozen=True)
class Told:
    """Of one dimension: calls and those that do not tell it, lately and before; `nano`: known cost of these."""

    calls: int = 0
    untold: int = 0
    nano: int = 0
    past_calls: int = 0
    past_untold: int = 0


def unattributed(seen: Mapping[str, Told]) -> Finding:
    """The dimension that jumps most; not assessed where none was told before."""
    found = {name: _jump(name, one) for name, one in seen.items()}
    order = (Status.NOT_ASSESSED, Status.OK, Status.WARNING, Status.BREACH)
    return max(found.values(), key=lambda one: (order.index(one.status), one.value or 0.0))


def _jump(name: str, seen: Told) -> Finding:
    judge = UNATTRIBUTED.name
    if seen.calls < ENOUGH or seen.past_calls < ENOUGH:
        said = f"Only {seen.calls} calls in the last hour, {seen.past_calls} in the week before; {ENOUGH} are needed."
        return Finding(judge, Status.NOT_ASSESSED, "too_few_calls", said, count=seen.calls)
    usual, share = seen.past_untold / seen.past_calls, seen.untold / seen.calls
    if 1 - usual < IN_USE:
        said = f"The {name} was told by {1 - usual:.0%} of the calls of the week before: it is not in use."
        return Finding(judge, Status.NOT_ASSESSED, "dimension_not_in_use", said, count=seen.calls)
    line = usual + JUMP
    said = f"{seen.untold} of {seen.calls} calls ({share:.1%}, {money(seen.nano)}) tell no {name}; {usual:.1%} before."
    evidence: dict[str, str | int | float | None] = {"dimension": name, "untold_nano": seen.nano, "usual": usual}
    if share <= line:
        return Finding(judge, Status.OK, "told_as_usual", said, share, line, "share", seen.calls, evidence)
    if chance_of(seen.untold, seen.calls, min(line, 1.0)) >= CHANCE:
        said += " With so few calls it may be chance."
        return Finding(judge, Status.WARNING, "perhaps_untold", said, share, line, "share", seen.calls, evidence)
    said += " A deployment may have lost its headers, or a key its tenant."
    return Finding(judge, Status.BREACH, "untold_above_usual", said, share, line, "share", seen.calls, evidence)


def idle(whole: Window, users: Window | None) -> Finding:
    """`users`: the part that users asked for, of the last day."""
    asked = users.cost_nano if users else 0
    beside, calls = whole.cost_nano - asked, whole.calls - (users.calls if users else 0)
    if whole.cost_nano < LEAST_NANO:
        said = f"{money(whole.cost_nano)} in the last day: too little to matter."
        return Finding(IDLE.name, Status.NOT_ASSESSED, "too_little_spent", said, count=whole.calls)
    share = beside / whole.cost_nano
    said = f"{money(beside)} of {money(whole.cost_nano)} ({share:.0%}) of the last day went to shadows and probes."
    evidence: dict[str, str | int | float | None] = {"beside_nano": beside, "whole_nano": whole.cost_nano}
    status, reason = (Status.BREACH, "beside_above_line") if share > BESIDE else (Status.OK, "beside_within_line")
    return Finding(IDLE.name, status, reason, said, share, BESIDE, "share", calls, evidence)


def judge(now: datetime) -> None:
    """Every system and environment that had calls in the last day."""
    end = now.replace(second=0, microsecond=0)
    bounds = [end - RECENT - PAST, end - RECENT, end]
    whole = _by(judged_stretches(bounds, PLACE), end - RECENT)
    untold = {name: _by(judged_stretches(bounds, PLACE, **{name: None}), end - RECENT) for name in DIMENSIONS}
    day = {_place(row): row for row in stretches([end - DAY, end], PLACE)}
    users = {_place(row): row for row in judged_stretches([end - DAY, end], PLACE)}
    findings: list[tuple[Scope, Named, Finding]] = []
    for place, row in day.items():
        scope = Scope(*place)
        recent, past = whole.get(place, (None, None))
        told = {name: _told(recent, past, *untold[name].get(place, (None, None))) for name in DIMENSIONS}
        findings += [(scope, UNATTRIBUTED, unattributed(told)), (scope, IDLE, idle(row, users.get(place)))]
    watch.write(findings, now)


def _place(row: Window) -> Place:
    return (row.key["client"] or "", row.key["system"] or "", row.key["environment"] or "")


def _by(rows: list[Window], since: datetime) -> dict[Place, tuple[Window | None, Window | None]]:
    """(the last hour, the time before it) of each place."""
    found: dict[Place, tuple[Window | None, Window | None]] = {}
    for row in rows:
        recent, past = found.get(_place(row), (None, None))
        found[_place(row)] = (row, past) if row.start >= since else (recent, row)
    return found


def _told(recent: Window | None, past: Window | None, no: Window | None, past_no: Window | None) -> Told:
    return Told(
        recent.calls if recent else 0,
        no.calls if no else 0,
        no.cost_nano if no else 0,
        past.calls if past else 0,
        past_no.calls if past_no else 0,
    )
