"""How long a verdict stood. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from afterlaunch.telemetry.served import QUIET, Silence

NOT_ASSESSED = "not_assessed"
Step = tuple[datetime, str]  # from when on, which status


def durations(
    steps: Sequence[Step], start: datetime, until: datetime, assessed_at: datetime, silences: Sequence[Silence]
) -> dict[str, float]:
    """Seconds by status over [start, until), from the first step on.

    A status is believed only where it can have been looked at: 1. up to the last assessment; 2. not later than an hour
    after the last call, since judges read the last hour. The rest is not assessed, whatever the last word was.
    """
    out: dict[str, float] = {}
    if not steps:
        return out
    ends = [at for at, _ in steps[1:]] + [until]
    for (at, status), end in zip(steps, ends, strict=True):
        begin, end = max(at, start), min(end, until)
        if begin >= end:
            continue
        blind = _blind(begin, end, assessed_at, silences) if status != NOT_ASSESSED else 0.0
        seen = (end - begin).total_seconds() - blind
        for name, seconds in ((status, seen), (NOT_ASSESSED, blind)):
            if seconds > 0:
                out[name] = out.get(name, 0.0) + seconds
    return out


def _blind(begin: datetime, end: datetime, assessed_at: datetime, silences: Sequence[Silence]) -> float:
    """Seconds of [begin, end) of which nothing can be known."""
    dark = [(one.start + QUIET, one.end) for one in silences] + [(assessed_at, end)]
    seconds, reached = 0.0, begin
    for dark_begin, dark_end in sorted(dark):
        low, high = max(dark_begin, reached), min(dark_end, end)
        if low < high:
            seconds += (high - low).total_seconds()
            reached = high
    return seconds
