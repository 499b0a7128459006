"""What is to be done about a clock, and whether its promise will hold. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from afterlaunch.sla.spans import words

Verdict = Literal["running", "paused", "met", "breached", "unknown"]
USUAL_ANSWER = timedelta(minutes=5)
SAMPLES = 10


@dataclass(frozen=True)
class ClockState:
    verdict: Verdict
    breached_at: datetime | None
    reason: str


def judge_clock(
    deadline: datetime | None, met_at: datetime | None, now: datetime, paused_at: datetime | None = None
) -> ClockState:
    """Meeting it at the deadline is in time. A breach bears the deadline's instant, however late it is seen. One that
    stands still is not breached by time; one without a deadline is unknown, also when it was met."""
    if deadline is None:
        return ClockState("unknown", None, "no_deadline")
    if met_at is not None and met_at <= deadline:
        return ClockState("met", None, "met_in_time")
    if met_at is not None:
        return ClockState("breached", deadline, "met_late")
    if paused_at is not None and paused_at <= deadline:
        return ClockState("paused", None, "stands_still")
    if now > deadline:
        return ClockState("breached", deadline, "deadline_passed")
    return ClockState("running", None, "waiting")


@dataclass(frozen=True)
class FuturePage:
    """Somebody will be paged at `at`, and answers after `answer` as a rule."""

    at: datetime
    person: str
    answer: timedelta = USUAL_ANSWER


@dataclass(frozen=True)
class Prediction:
    """`at`: the predicted response, None when nobody will be paged any more. `why` is the arithmetic in words; empty:
    the promise will hold."""

    at: datetime | None
    late: bool
    reason: str
    why: str


def predict(now: datetime, deadline: datetime, pages: Sequence[FuturePage]) -> Prediction:
    """The earliest answer to a page that is still to come, against the deadline."""
    left = words(max((deadline - now).total_seconds(), 0))
    head = f"will breach in {left}: nobody acknowledged"
    if not pages:
        return Prediction(None, True, "path_runs_out", f"{head}, and nobody else will be paged")
    first = min(pages, key=lambda page: page.at + page.answer)
    at = first.at + first.answer
    if at <= deadline:
        return Prediction(at, False, "in_time", "")
    step = f"next step in {words(max((first.at - now).total_seconds(), 0))}"
    if first.at <= deadline:
        answers = words(first.answer.total_seconds())
        return Prediction(at, True, "answer_too_late", f"{head}, {step}, where {first.person} answers after {answers}")
    return Prediction(at, True, "step_too_late", f"{head}, {step}")


def usual_answer(samples: Sequence[float]) -> timedelta:
    """The median of a person's times from page to acknowledgement, in seconds; five minutes below ten of them."""
    if len(samples) < SAMPLES:
        return USUAL_ANSWER
    ordered = sorted(samples)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return timedelta(seconds=median)


def thresholds_passed(told: Sequence[int], at: Sequence[tuple[int, datetime]], now: datetime) -> list[int]:
    """Which percentages of the target are newly used up."""
    return [percent for percent, instant in at if instant <= now and percent not in told]
