"""Judges of how calls use tokens: longer prompts, longer answers, lost prompt caches, retries. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.words import MINIMUM_CALLS, Finding, Status, View, too_few

ARM = ("route", "arm")
ENOUGH = 5 * MINIMUM_CALLS
"""Calls whose mean length tells something: lengths are spread widely."""
INPUT = (
    "in_uncached",
    "in_cache_read",
    "in_cache_write_5m",
    "in_cache_write_1h",
    "in_cache_write_other",
    "in_tool_use",
)
OUTPUT = ("out_visible", "out_reasoning")


def against(view: View, enough: Callable[[Window], bool]) -> tuple[Window, str] | None:
    """What a figure is compared with: of a candidate the baseline arm of the same minutes, else the last day."""
    if view.rival is not None and enough(view.rival):
        return view.rival, "the baseline arm"
    return (view.past, "the last day") if enough(view.past) else None


@dataclass(frozen=True)
class TokensPerCall:
    """`buckets`: which tokens are meant; `word`: how they are called."""

    buckets: tuple[str, ...]
    word: str
    name: str
    title: str
    explanation: str
    advice: str
    per: tuple[str, ...] = ARM
    severity: str = "P3"
    factor: float = 2.0

    def assess(self, view: View) -> Finding:
        calls = view.recent.calls - view.recent.failed
        if calls < ENOUGH:
            return too_few(self.name, calls, ENOUGH)
        other = against(view, lambda window: window.calls - window.failed >= ENOUGH and self._mean(window) > 0)
        now = self._mean(view.recent)
        if other is None:
            said = f"{now:,.0f} {self.word} tokens a call; too little to compare with."
            return Finding(self.name, Status.NOT_ASSESSED, "no_baseline", said, now, None, "tokens", calls)
        before = self._mean(other[0])
        line = before * self.factor
        said = f"{now:,.0f} {self.word} tokens a call against {before:,.0f} of {other[1]}."
        if now <= line:
            return Finding(self.name, Status.OK, "length_within_line", said, now, line, "tokens", calls)
        return Finding(
            self.name, Status.BREACH, "length_above_line", f"{said} {self.advice}", now, line, "tokens", calls
        )

    def _mean(self, window: Window) -> float:
        """Over the calls that did not fail; those rarely tell tokens."""
        answered = window.calls - window.failed
        return sum(window.buckets.get(name, 0) for name in self.buckets) / answered if answered > 0 else 0.0


def input_per_call() -> TokensPerCall:
    return TokensPerCall(
        INPUT,
        "input",
        "spend.input_per_call",
        "Input tokens per call",
        "Prompts are over twice as long as they used to be, or as the baseline arm's are.",
        "A prompt, the history that is sent along, or what retrieval brings has grown.",
    )


def output_per_call() -> TokensPerCall:
    return TokensPerCall(
        OUTPUT,
        "output",
        "spend.output_per_call",
        "Output tokens per call",
        "Answers, reasoning included, are over twice as long as they used to be, or as the baseline arm's are.",
        "Look at the output limit, the reasoning effort, and what the prompt asks for.",
    )


@dataclass(frozen=True)
class CacheLost:
    """Hits of the provider's prompt cache against what they were, where caching works."""

    per: tuple[str, ...] = ARM
    name: str = "spend.cache_lost"
    title: str = "Prompt cache lost"
    explanation: str = "Half of the input that came from the provider's prompt cache does not any more."
    severity: str = "P2"
    in_use: float = 0.2  # hit rate below which nothing can be lost

    def assess(self, view: View) -> Finding:
        recent = view.recent
        if recent.cache_known_calls < ENOUGH or not recent.cache_known_input:
            return too_few(self.name, recent.cache_known_calls, ENOUGH)
        other = against(view, lambda window: window.cache_known_calls >= ENOUGH and window.cache_known_input > 0)
        now = recent.cache_read / recent.cache_known_input
        calls = recent.cache_known_calls
        if other is None:
            said = f"{now:.0%} of the input came from the cache; too little to compare with."
            return Finding(self.name, Status.NOT_ASSESSED, "no_baseline", said, now, None, "share", calls)
        before = other[0].cache_read / other[0].cache_known_input
        said = f"{now:.0%} of the input came from the cache, against {before:.0%} of {other[1]}."
        if before < self.in_use:
            return Finding(self.name, Status.NOT_ASSESSED, "cache_not_in_use", said, now, None, "share", calls)
        if now >= before / 2:
            return Finding(self.name, Status.OK, "hits_as_usual", said, now, before / 2, "share", calls)
        said += " The beginning of the prompt changed, tools are listed in another order, or calls come too rarely."
        return Finding(self.name, Status.BREACH, "hits_lost", said, now, before / 2, "share", calls)


@dataclass(frozen=True)
class RetryStorm:
    """Attempts for an answer. That all attempts fail is the error rate's concern."""

    per: tuple[str, ...] = ()
    name: str = "spend.retry_storm"
    title: str = "Retry storm"
    explanation: str = "An answer takes over one and a half attempts, and twice as many failed ones as on the last day."
    severity: str = "P2"
    limit: float = 1.5

    def assess(self, view: View) -> Finding:
        recent, past = view.recent, view.past
        answered = recent.calls - recent.failed
        if answered < MINIMUM_CALLS:
            return too_few(self.name, max(answered, 0))
        now = recent.calls / answered
        said = f"{now:.2f} attempts for an answer ({recent.failed} of {recent.calls} failed)"
        before = past.calls - past.failed
        if before >= MINIMUM_CALLS:
            said += f"; {past.calls / before:.2f} on the last day"
        usual = past.failed / before if before >= MINIMUM_CALLS else 0.0
        line = max(self.limit, 1 + 2 * usual)
        if now <= line:
            return Finding(self.name, Status.OK, "attempts_usual", f"{said}.", now, line, "attempts", recent.calls)
        said += ". Callers or the gateway try again and again: each attempt may be billed."
        return Finding(self.name, Status.BREACH, "attempts_above_line", said, now, line, "attempts", recent.calls)
