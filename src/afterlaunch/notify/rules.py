"""What follows an attempt to send. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

LEASE_SECONDS = 30.0  # real seconds
RETRY_SECONDS = (5.0, 15.0, 30.0, 60.0)  # real seconds after the 1st, 2nd, … failure
LONGEST_RETRY_AFTER = 60.0
TEMPORARY_STATUS = frozenset({408, 425, 429})

Result = Literal["accepted", "delivered", "temporary", "permanent"]
RANKS = {"pending": 0, "leased": 1, "accepted": 2, "delivered": 3, "read": 4}


@dataclass(frozen=True)
class Outcome:
    """`why` is shown to people; `retry_after` in real seconds when the provider asked for it. `place`: where the
    message hangs at the provider, to be found again. `gone`: the address is no more, nothing should go there again."""

    result: Result
    why: str = ""
    retry_after: float | None = None
    receipt: str = ""
    place: Mapping[str, Any] | None = None
    gone: bool = False


@dataclass(frozen=True)
class Step:
    """What to do with the page: `wait` counts real seconds and belongs to "retry" only."""

    do: Literal["accept", "retry", "give_up"]
    reason: str
    wait: float = 0.0


def judge_status(status: int, body: str = "", retry_after: str | None = None) -> Outcome:
    """Anything but 2xx is a failure; 3xx is not followed; 408, 425, 429 and 5xx may pass by themselves."""
    if 200 <= status < 300:
        return Outcome("accepted", f"answered {status}", receipt=f"HTTP {status}")
    said = "a page for people, not an answer; is the address right?" if body.lstrip().startswith("<") else body[:200]
    why = f"answered {status}: {said}".rstrip(": ")
    if status in TEMPORARY_STATUS or status >= 500:
        return Outcome("temporary", why, seconds_to_wait(retry_after))
    return Outcome("permanent", why, gone=status == 410)


def seconds_to_wait(header: str | None) -> float | None:
    """A Retry-After in seconds, at most a minute; a date or nonsense counts as absent."""
    try:
        return min(max(float(header or ""), 0.0), LONGEST_RETRY_AFTER)
    except ValueError:
        return None


def after(outcome: Outcome, attempts: int) -> Step:
    """`attempts` counts this one. Past the last retry the person's next contact method is tried."""
    if outcome.result in ("accepted", "delivered"):
        return Step("accept", outcome.result)
    if outcome.result == "permanent":
        return Step("give_up", "permanent_failure")
    if attempts > len(RETRY_SECONDS):
        return Step("give_up", "retries_exhausted")
    planned = RETRY_SECONDS[attempts - 1]
    return Step("retry", "temporary_failure", max(planned, outcome.retry_after or 0.0))


def forward(before: str, told: str) -> bool:
    """Whether news from a provider moves a page on; late news never moves one back, and a failed one stays so."""
    return before in RANKS and RANKS.get(told, -1) > RANKS[before]
