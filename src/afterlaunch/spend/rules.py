"""Judges of cost and cache. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import MINIMUM_CALLS, Finding, Status, View, too_few

NANO = 1_000_000_000
LEARNED = 50
LEARNED_HOURS = 3


def cost_per_call(window: Window) -> float | None:
    """USD per call whose cost is known; None when none is."""
    known = window.calls - window.calls_unknown_cost
    return window.cost_nano / NANO / known if known else None


@dataclass(frozen=True)
class CostPerHour:
    per: tuple[str, ...] = ()
    name: str = "spend.cost_per_hour"
    title: str = "Cost per hour"
    explanation: str = "The hour costs more than three times an hour of the last day."
    severity: str = "P2"
    factor: float = 3.0

    def assess(self, view: View) -> Finding:
        hours = max((view.recent.end - view.recent.start).total_seconds() / 3600, 1 / 60)
        known = view.recent.calls - view.recent.calls_unknown_cost
        if view.recent.calls < MINIMUM_CALLS:
            return too_few(self.name, view.recent.calls)
        if known < view.recent.calls * 0.5:
            said = f"The cost of {view.recent.calls_unknown_cost} of {view.recent.calls} calls is not known."
            return Finding(self.name, Status.NOT_ASSESSED, "cost_unknown", said, count=view.recent.calls)
        now = view.recent.cost_nano / NANO / hours
        past_hours = view.past.minutes / 60
        if past_hours < LEARNED_HOURS or view.past.calls < LEARNED or not view.past.cost_nano:
            said = f"${now:,.4f} an hour; too little history to compare with."
            return Finding(self.name, Status.NOT_ASSESSED, "no_baseline", said, now, None, "USD/h", view.recent.calls)
        usual = view.past.cost_nano / NANO / past_hours
        line = usual * self.factor
        said = f"${now:,.4f} an hour; the last day cost ${usual:,.4f} an hour on average."
        status = Status.BREACH if now > line else Status.OK
        reason = "cost_above_line" if now > line else "cost_within_line"
        return Finding(self.name, status, reason, said, now, line, "USD/h", view.recent.calls)


@dataclass(frozen=True)
class CostPerCall:
    """For a candidate against the baseline arm of the same minutes, else against its own last day."""

    per: tuple[str, ...] = ("route", "arm")
    name: str = "spend.cost_per_call"
    title: str = "Cost per call"
    explanation: str = "A call costs more than twice what it used to, or what the baseline arm costs."
    severity: str = "P3"
    factor: float = 2.0

    def assess(self, view: View) -> Finding:
        now = cost_per_call(view.recent)
        known = view.recent.calls - view.recent.calls_unknown_cost
        if known < MINIMUM_CALLS or now is None:
            return too_few(self.name, known)
        other = view.rival if view.rival and view.rival.calls >= MINIMUM_CALLS else view.past
        usual = cost_per_call(other) if other.calls - other.calls_unknown_cost >= MINIMUM_CALLS else None
        if usual is None:
            said = f"${now:.6f} a call; too little to compare with."
            return Finding(self.name, Status.NOT_ASSESSED, "no_baseline", said, now, None, "USD", view.recent.calls)
        said = f"${now:.6f} a call against ${usual:.6f}."
        status = Status.BREACH if now > usual * self.factor else Status.OK
        reason = "cost_above_line" if now > usual * self.factor else "cost_within_line"
        return Finding(self.name, status, reason, said, now, usual * self.factor, "USD", view.recent.calls)


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
