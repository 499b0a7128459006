"""What to do about a failed attempt. Pure.

After the first byte of an answer has gone to the caller nothing is decided here any more: there is no second attempt.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from afterlaunch.gateway import failures
from afterlaunch.gateway.failures import Failure

BACK_OFF = 0.25  # seconds; doubled with each attempt, drawn from 0 to that
ONCE_MORE = frozenset((failures.NETWORK, failures.PROVIDER, failures.OVERLOADED, failures.RATE_LIMITED))
ELSEWHERE = ONCE_MORE | {failures.QUOTA, failures.TIMEOUT, failures.AUTH, failures.NO_MODEL, failures.BUSY}


class Do(Enum):
    AGAIN = "again"
    NEXT = "next"
    GIVE = "give"  # what came goes to the caller as it is


class Standing(NamedTuple):
    """`left`: attempts that may follow; `again`: how often this upstream was asked again; `others`: whether another
    one stands ready; `larger`: whether one does for calls that are too long; `spare`: whether the upstream's retry
    budget allows another; `seconds`: what is left of the call's time."""

    left: int
    again: int
    others: bool
    larger: bool
    spare: bool
    seconds: float
    longest_wait: float


class Step(NamedTuple):
    do: Do
    wait: float = 0.0


GIVE = Step(Do.GIVE)
NEXT = Step(Do.NEXT)


def decide(failure: Failure, at: Standing, chance: float) -> Step:
    """`chance` in [0, 1) draws the back-off (full jitter).

    1. Nothing is tried when attempts or time are spent. 2. The same upstream is asked once more for what a moment may
    cure: a connection that could not be made, a server error, an overload, a rate limit whose end is near. 3. Else the
    next one. 4. What only the caller can mend is given to the caller.
    """
    if at.left <= 0 or at.seconds <= 0:
        return GIVE
    if failure.kind == failures.CONTEXT:
        return NEXT if at.larger else GIVE
    if failure.kind not in ELSEWHERE:
        return GIVE
    back_off = min(BACK_OFF * 2 ** min(at.again, 6) * chance, at.longest_wait)
    step = _same(failure, at, back_off) or _other(failure, at, back_off)
    return step if step is not None and step.wait < at.seconds else GIVE


def _same(failure: Failure, at: Standing, back_off: float) -> Step | None:
    """A POST whose connection was lost may have reached it: it is not sent there twice."""
    if failure.kind not in ONCE_MORE or at.again or not at.spare:
        return None
    if failure.kind == failures.NETWORK and failure.sent:
        return None
    if failure.kind == failures.OVERLOADED and at.others:
        return None
    if failure.kind == failures.RATE_LIMITED and failure.wait is None and at.others:
        return None
    wait = back_off if failure.wait is None else failure.wait
    return Step(Do.AGAIN, wait) if wait <= at.longest_wait else None


def _other(failure: Failure, at: Standing, back_off: float) -> Step | None:
    if not at.others:
        return None
    return Step(Do.NEXT, back_off) if failure.kind == failures.OVERLOADED else NEXT
