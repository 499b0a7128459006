"""Judges of reliability. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import MINIMUM_CALLS, Finding, Status, View, judge_share, too_few

LEARNED = 50  # calls that a baseline needs
TOLERANCE = 1.5  # times the baseline
MARGIN_MS = 50.0  # and at least so much more: 8 ms against 5 ms wakes nobody


@dataclass(frozen=True)
class ErrorRate:
    per: tuple[str, ...] = ()
    name: str = "slo.error_rate"
    title: str = "Error rate"
    explanation: str = "More than 1 % of the calls fail, and it is no chance."
    severity: str = "P1"
    limit: float = 0.01

    def assess(self, view: View) -> Finding:
        rival = (view.rival.failed, view.rival.calls) if view.rival else None
        return judge_share(self.name, "failed", view.recent.failed, view.recent.calls, self.limit, rival)


@dataclass(frozen=True)
class Timeouts:
    per: tuple[str, ...] = ()
    name: str = "slo.timeouts"
    title: str = "Timeouts"
    explanation: str = "More than 0.5 % of the calls run into their time-out."
    severity: str = "P2"
    limit: float = 0.005

    def assess(self, view: View) -> Finding:
        rival = (view.rival.timeouts, view.rival.calls) if view.rival else None
        return judge_share(self.name, "timed out", view.recent.timeouts, view.recent.calls, self.limit, rival)


@dataclass(frozen=True)
class Latency:
    """`quantile` 95 or 99, against the declared target, else against the rival arm, else the learned baseline."""

    quantile: int
    per: tuple[str, ...] = ()
    severity: str = "P2"

    @property
    def name(self) -> str:
        return f"slo.latency_p{self.quantile}"

    @property
    def title(self) -> str:
        return f"Latency p{self.quantile}"

    @property
    def explanation(self) -> str:
        return f"The p{self.quantile} of latency is above its target or 1.5 times its usual, and it is no chance."

    def assess(self, view: View) -> Finding:
        needed = MINIMUM_CALLS if self.quantile == 95 else 100
        now = self._of(view.recent)
        if view.recent.calls < needed or now is None:
            return too_few(self.name, view.recent.calls, needed)
        line, against = self._line(view)
        if line is None:
            said = f"p{self.quantile} is {now:,.0f} ms; there is no target and too little history to compare with."
            return Finding(self.name, Status.NOT_ASSESSED, "no_baseline", said, now, None, "ms", view.recent.calls)
        said = f"p{self.quantile} is {now:,.0f} ms; {against} allows {line:,.0f} ms."
        low = view.recent.p95_low_ms if self.quantile == 95 else view.recent.p99_low_ms
        status, reason = Status.OK, "latency_within_line"
        if now > line and low is not None and low > line:
            status, reason = Status.BREACH, "latency_above_line"
        elif now > line:
            status, reason = Status.WARNING, "latency_perhaps_above_line"
            said += " With so few calls it may be chance."
        return Finding(self.name, status, reason, said, now, line, "ms", view.recent.calls, {"low_ms": low})

    def _of(self, window: Window) -> float | None:
        return window.p95_ms if self.quantile == 95 else window.p99_ms

    def _line(self, view: View) -> tuple[float | None, str]:
        declared = view.targets.p95_ms if self.quantile == 95 else view.targets.p99_ms
        if declared is not None:
            return float(declared), "the target"
        for window, against, needed in (
            (view.rival, "the baseline arm", MINIMUM_CALLS),
            (view.past, "the last day", LEARNED),
        ):
            if window is not None and window.calls >= needed and (was := self._of(window)) is not None:
                return max(was * TOLERANCE, was + MARGIN_MS), against
        return None, ""
