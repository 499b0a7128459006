"""From counts to what is said of an SLO: does it page, does it open a ticket, how much is left. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from afterlaunch.slo.burning import (
    Counted,
    Counts,
    Outcome,
    above,
    budget_left,
    burn,
    exhaustion,
    judge_count,
    judge_pair,
)
from afterlaunch.slo.definition import Definition
from afterlaunch.slo.durations import HOUR, percent, short, written
from afterlaunch.slo.events import Labelled, may_page
from afterlaunch.slo.pairs import PAGE, TICKET, Pair
from afterlaunch.verdicts.words import Status

Evidence = Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class Decision:
    """`outcome`: what fired it, None if nothing did."""

    status: Status
    reason: str
    said: str
    outcome: Outcome | Counted | None = None


@dataclass(frozen=True)
class Assessment:
    """`left` and `burn` None: not known. `outcomes` of every pair, whether it fires or not."""

    outcomes: tuple[Outcome, ...]
    counted: tuple[Counted, ...]
    period: Counts
    left: Fraction | None
    burn: Fraction | None
    exhausted_in: Fraction | None
    decisions: Mapping[str, Decision]
    labelled: Labelled | None = None

    @property
    def state(self) -> str:
        if any(one.status is Status.BREACH for one in self.decisions.values()):
            return "burning"
        if any(one.reason == "no_data_while_open" for one in self.decisions.values()):
            return "no_data"
        if not self.period.total:
            return "no_data"
        return "exhausted" if self.left is not None and self.left <= 0 else "ok"


@dataclass(frozen=True)
class Input:
    """`read` gives the counts of a window in seconds, `labels` those of labelled answers. `open_kinds`: burns that are
    open. `silent`: no telemetry comes at all."""

    definition: Definition
    pairs: tuple[Pair, ...]
    period_seconds: int
    read: Callable[[int], Counts]
    period: Counts
    labels: Callable[[int | None], Labelled | None]
    open_kinds: Collection[str] = ()
    silent: bool = False


def assess(given: Input) -> Assessment:
    target = given.definition.target
    outcomes = tuple(_judge(pair, given) for pair in given.pairs)
    counted = tuple(judge_count(rule, given.read) for rule in given.definition.counts)
    left = budget_left(given.period, target)
    decisions = {severity: _decide(severity, outcomes, counted, given, left) for severity in (PAGE, TICKET)}
    now = burn(given.read(min((pair.long for pair in given.pairs), default=HOUR)), target) if given.pairs else None
    fired = next((one.outcome for one in decisions.values() if isinstance(one.outcome, Outcome)), None)
    speed = burn(fired.long, target) if fired else now
    ends = exhaustion(left, given.period_seconds, speed)
    return Assessment(outcomes, counted, given.period, left, now, ends, decisions, given.labels(None))


def _judge(pair: Pair, given: Input) -> Outcome:
    """A page by provisional labels needs more than the counts: see `events.may_page`."""
    found = judge_pair(pair, given.definition.target, given.read)
    if not found.fires or pair.severity != PAGE:
        return found
    labelled, threshold = given.labels(pair.long), pair.threshold(given.definition.target)
    if labelled is not None and not may_page(labelled, threshold, given.definition.measure.errors):
        return Outcome(pair, "provisional", found.long, found.short)
    return found


def _decide(
    severity: str,
    outcomes: Sequence[Outcome],
    counted: Sequence[Counted],
    given: Input,
    left: Fraction | None,
) -> Decision:
    mine = [one for one in outcomes if one.pair.severity == severity]
    rules = [one for one in counted if one.rule.severity == severity]
    fired = next((one for one in mine if one.fires), None)
    if fired is not None and not given.silent:
        return Decision(Status.BREACH, "budget_burns", _burning(fired, given, left), fired)
    by_count = next((one for one in rules if one.fires), None)
    if by_count is not None and not given.silent:
        return Decision(Status.BREACH, "count_rule", _counting(by_count), by_count)
    if severity in given.open_kinds and (given.silent or any(one.reason == "no_events" for one in mine)):
        said = "No data comes, and the alert stays open: nothing shows that it has recovered."
        return Decision(Status.NOT_ASSESSED, "no_data_while_open", said)
    if not any(one.long.total for one in mine) and not any(one.counts.total for one in rules):
        return Decision(Status.NOT_ASSESSED, "no_events", "No events in its windows: neither good nor bad.")
    held = next((one for one in mine if one.reason in ("guarded", "provisional")), None)
    if held is not None:
        return Decision(Status.WARNING, held.reason, _held(held, given))
    if given.silent:
        return Decision(Status.NOT_ASSESSED, "no_telemetry", "No telemetry comes: neither good nor bad.")
    return Decision(Status.OK, "within_budget", _calm(given, left))


def _rates(one: Outcome, target: Fraction) -> str:
    def told(counts: Counts, window: int) -> str:
        rate = burn(counts, target)
        return f"{written(rate or Fraction(0), 3)} in {short(window)} ({_n(counts.bad)} bad of {_n(counts.total)})"

    parts = dict.fromkeys((told(one.long, one.pair.long), told(one.short, one.pair.short)))
    return " and ".join(parts)


def _n(number: int | Fraction) -> str:
    return f"{int(number):,}" if number == int(number) else f"{float(number):,.1f}"


def _burning(one: Outcome, given: Input, left: Fraction | None) -> str:
    target = given.definition.target
    said = (
        f"The error budget of {percent(1 - target)} burns at {_rates(one, target)}; {one.pair.label} allows"
        f" {written(one.pair.factor, 4)}."
    )
    ends = exhaustion(left, given.period_seconds, burn(one.long, target))
    if left is None or ends is None:
        return said
    if left <= 0:
        return f"{said} Nothing is left of it."
    return f"{said} {percent_round(left)} is left, for {_while(ends)} at this rate."


def percent_round(share: Fraction) -> str:
    return f"{float(share) * 100:.1f} %"


def _while(seconds: Fraction) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or unit == "min":
            return f"{float(seconds) / length:.0f} {unit}"
    return str(timedelta(seconds=int(seconds)))


def _counting(one: Counted) -> str:
    counts, rule = one.counts, one.rule
    return (
        f"{_n(counts.bad)} of {_n(counts.total)} events in {short(rule.window)} are bad: at least {rule.least_bad}, and"
        f" at least {percent(rule.share)}."
    )


def _held(one: Outcome, given: Input) -> str:
    target = given.definition.target
    if one.reason == "guarded":
        return (
            f"It burns at {_rates(one, target)}, above {written(one.pair.factor, 4)}, but {one.pair.label} needs"
            f" {one.pair.least_bad} bad events: with so few it may be chance."
        )
    return (
        f"It burns at {_rates(one, target)}, above {written(one.pair.factor, 4)}, but its labels are provisional, and"
        " the judge that gave them may be wrong: nobody is paged."
    )


def _calm(given: Input, left: Fraction | None) -> str:
    told = f"{percent_round(left)} of the budget is left" if left is not None else "nothing is known of the budget"
    return f"{_n(given.period.bad)} bad of {_n(given.period.total)} events in the period; {told}."


def _whole(number: int | Fraction) -> int | str:
    return int(number) if number == int(number) else written(Fraction(number), 12)


def facts(decision: Decision, definition: Definition, name: str, version: int) -> dict[str, str | int | float | None]:
    """What an alert keeps to be computed again: both rates, all four counts, f, s, the guard, the query."""
    out: dict[str, str | int | float | None] = {
        "slo": name,
        "version": version,
        "objective": written(definition.target),
        "query": definition.measure.query(),
    }
    found = decision.outcome
    if isinstance(found, Outcome):
        pair = found.pair
        long_rate, short_rate = burn(found.long, definition.target), burn(found.short, definition.target)
        return out | {
            "alert": pair.label,
            "factor": written(pair.factor, 12),
            "long_window": short(pair.long),
            "short_window": short(pair.short),
            "long_total": _whole(found.long.total),
            "long_bad": _whole(found.long.bad),
            "short_total": _whole(found.short.total),
            "short_bad": _whole(found.short.bad),
            "burn_long": None if long_rate is None else written(long_rate, 12),
            "burn_short": None if short_rate is None else written(short_rate, 12),
            "long_above": str(above(found.long, pair.factor, definition.target)).lower(),
            "guard": f"{_n(found.long.bad)} bad, at least {pair.least_bad}",
            "partial": str(found.long.partial).lower(),
        }
    if isinstance(found, Counted):
        return out | {
            "alert": found.rule.label,
            "window": short(found.rule.window),
            "total": _whole(found.counts.total),
            "bad": _whole(found.counts.bad),
            "guard": f"at least {found.rule.least_bad} bad and {percent(found.rule.share)}",
        }
    return out


def severity_of(decision: Decision, critical: bool) -> str:
    """Of a page: P1 where users depend on it and the fast pair or a count fired, else P2."""
    found = decision.outcome
    fast = isinstance(found, Counted) or (isinstance(found, Outcome) and found.pair.long <= HOUR)
    return "P1" if critical and fast else "P2"
