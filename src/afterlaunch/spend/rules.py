"""Judges of cost and cache. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import MINIMUM_CALLS, Finding, Status, View, too_few, usual, with_sample

NANO = 1_000_000_000
LEARNED_HOURS = 3  # hours that a usual hour is learned from
LEARNED_CALLS = 10  # calls that make an hour count
SPREADS = 6.0


def cost_per_call(window: Window) -> float | None:
    """USD per call whose cost is known; None when none is."""
    known = window.calls - window.calls_unknown_cost
    return window.cost_nano / NANO / known if known else None


def without_the_dearest(window: Window) -> Window:
    """The window without its costliest row of the rollup, which holds its costliest call: one call is no trend."""
    known = window.calls - window.calls_unknown_cost
    gone = min(max(window.top_cost_calls, 1), known) if window.top_cost_nano else 0
    return replace(window, calls=window.calls - gone, cost_nano=window.cost_nano - window.top_cost_nano)


def judge_cost(judge: str, said: str, now: float, rest: float | None, line: float, unit: str, calls: int) -> Finding:
    """`now` against `line`; `rest` is what is left of `now` without the dearest calls, None when nothing is."""
    evidence = {"without_dearest": rest}
    if now <= line:
        return Finding(judge, Status.OK, "cost_within_line", said, now, line, unit, calls)
    if rest is not None and rest > line:
        return Finding(judge, Status.BREACH, "cost_above_line", said, now, line, unit, calls, evidence)
    said += " That is a few dear calls and no trend: without them it would be within the line."
    return Finding(judge, Status.WARNING, "few_dear_calls", said, now, line, unit, calls, evidence)


@dataclass(frozen=True)
class CostPerHour:
    """Against the median hour of the last week that had calls, with room for how much hours differ."""

    per: tuple[str, ...] = ()
    name: str = "spend.cost_per_hour"
    title: str = "Cost per hour"
    explanation: str = "Calls cost over three times what a usual hour of the last week did, and beyond its spread."
    severity: str = "P2"
    factor: float = 3.0

    def assess(self, view: View) -> Finding:
        return with_sample(self._assessed(view), view.recent)

    def _assessed(self, view: View) -> Finding:
        recent = view.recent
        hours = max((recent.end - recent.start).total_seconds() / 3600, 1 / 60)
        known = recent.calls - recent.calls_unknown_cost
        if recent.calls < MINIMUM_CALLS:
            return too_few(self.name, recent.calls)
        if known < recent.calls * 0.5:
            said = f"The cost of {recent.calls_unknown_cost} of {recent.calls} calls is not known."
            return Finding(self.name, Status.NOT_ASSESSED, "cost_unknown", said, count=recent.calls)
        now = recent.cost_nano / NANO / hours
        learned = [row for row in view.hours.values() if row.cost_nano and row.calls >= LEARNED_CALLS]
        past = usual([row.cost_nano / NANO for row in learned])
        if past is None or past.count < LEARNED_HOURS:
            said = f"${now:,.4f} an hour; too little history to compare with."
            return Finding(self.name, Status.NOT_ASSESSED, "no_baseline", said, now, None, "USD/h", recent.calls)
        line = max(past.median * self.factor, past.median + SPREADS * past.spread)
        said = f"${now:,.4f} an hour; the median of {past.count} hours is ${past.median:,.4f}, the line ${line:,.4f}."
        rest = without_the_dearest(recent).cost_nano / NANO / hours
        return judge_cost(self.name, said, now, rest, line, "USD/h", recent.calls)


@dataclass(frozen=True)
class CostPerCall:
    """For a candidate against the baseline arm of the same minutes, else against its own last day."""

    per: tuple[str, ...] = ("route", "arm")
    name: str = "spend.cost_per_call"
    title: str = "Cost per call"
    explanation: str = (
        "A call costs over twice what it used to, or what the baseline arm costs, not only a few of them."
    )
    severity: str = "P3"
    factor: float = 2.0

    def assess(self, view: View) -> Finding:
        now = cost_per_call(view.recent)
        known = view.recent.calls - view.recent.calls_unknown_cost
        if known < MINIMUM_CALLS or now is None:
            return too_few(self.name, known)
        other = view.rival if view.rival and view.rival.calls >= MINIMUM_CALLS else view.past
        before = cost_per_call(other) if other.calls - other.calls_unknown_cost >= MINIMUM_CALLS else None
        if before is None:
            said = f"${now:.6f} a call; too little to compare with."
            return Finding(self.name, Status.NOT_ASSESSED, "no_baseline", said, now, None, "USD", view.recent.calls)
        said = f"${now:.6f} a call against ${before:.6f}."
        rest = cost_per_call(without_the_dearest(view.recent))
        return judge_cost(self.name, said, now, rest, before * self.factor, "USD", view.recent.calls)


@dataclass(frozen=True)
class UnknownCost:
    """Calls that failed have no known cost as a rule and are left out. The rollup does not tell whether it is they
    whose cost is unknown: where that decides, nothing is assessed."""

    per: tuple[str, ...] = ()
    name: str = "spend.unknown_cost"
    title: str = "Calls of unknown cost"
    explanation: str = "More than 1 % of the calls have no known cost: the sums of money are too small by them."
    severity: str = "P3"
    limit: float = 0.01

    def assess(self, view: View) -> Finding:
        recent = view.recent
        of, unknown = recent.calls - recent.failed, max(recent.calls_unknown_cost - recent.failed, 0)
        if of >= MINIMUM_CALLS and unknown / of <= self.limit < min(recent.calls_unknown_cost, of) / of:
            said = f"{recent.calls_unknown_cost} calls have no known cost and {recent.failed} failed: perhaps the same."
            return Finding(self.name, Status.NOT_ASSESSED, "perhaps_failures", said, count=of)
        advice = " Look whether their models have a price, and have streams tell their usage."
        return judge_gap(self.name, "have no known cost", unknown, of, self.limit, advice)


@dataclass(frozen=True)
class UnknownModel:
    per: tuple[str, ...] = ()
    name: str = "spend.unknown_model"
    title: str = "Calls of unknown model"
    explanation: str = "More than 1 % of the calls tell no model: nobody can price or compare them."
    severity: str = "P3"
    limit: float = 0.01

    def assess(self, view: View) -> Finding:
        recent, advice = view.recent, " Update their instrumentation, or send the attribute gen_ai.request.model."
        return judge_gap(self.name, "tell no model", recent.calls_unknown_model, recent.calls, self.limit, advice)


def judge_gap(judge: str, what: str, missing: int, of: int, limit: float, advice: str) -> Finding:
    """A gap in what is known: a warning, as nobody needs to wake for it."""
    if of < MINIMUM_CALLS:
        return too_few(judge, of)
    share = missing / of
    said = f"{missing} of {of} calls ({share:.1%}) {what}; the limit is {limit:.0%}."
    if share > limit:
        return Finding(judge, Status.WARNING, "gap_above_limit", said + advice, share, limit, "share", of)
    return Finding(judge, Status.OK, "gap_within_limit", said, share, limit, "share", of)


@dataclass(frozen=True)
class CacheHits:
    per: tuple[str, ...] = ()
    name: str = "spend.cache_hit_rate"
    title: str = "Prompt-cache hit rate"
    explanation: str = "Less than 40 % of the input comes from the provider's prompt cache, where caching is in use."
    severity: str = "P3"
    limit: float = 0.4

    def assess(self, view: View) -> Finding:
        recent = view.recent
        if recent.cache_known_calls < MINIMUM_CALLS or not recent.cache_known_input:
            return too_few(self.name, recent.cache_known_calls)
        if not recent.cache_read and not view.past.cache_read:
            said = "No call has read from a prompt cache: caching does not seem to be in use."
            return Finding(
                self.name, Status.NOT_ASSESSED, "cache_not_in_use", said, 0.0, count=recent.cache_known_calls
            )
        rate = recent.cache_read / recent.cache_known_input
        said = f"{rate:.0%} of the input of {recent.cache_known_calls} calls came from the cache; "
        said += f"the line is {self.limit:.0%}."
        status = Status.WARNING if rate < self.limit else Status.OK
        reason = "hit_rate_below_line" if rate < self.limit else "hit_rate_above_line"
        return Finding(self.name, status, reason, said, rate, self.limit, "share", recent.cache_known_calls)
