"""What becomes of one telling of one alert, given what is known of it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

FLAPS = 5  # more comings and goings than these
FLAP_WINDOW = timedelta(minutes=15)  # within this while hold an alert open, and so long must it be quiet
REMEMBERED = timedelta(days=1)  # so late may a repeat of what is over still arrive


def firing(
    open_: bool, known_start: datetime | None, ended_because: str, starts_at: datetime | None, restarts: bool
) -> str:
    """The named reason for which a telling that it fires opens an alert, or does not. `known_start` and
    `ended_because` are of the one that is open, or else of the last one that was. `restarts`: the teller's start does
    not tell one firing from the next."""
    if open_:
        return "repeat"
    if known_start is None or restarts or starts_at is None:
        return "opens"
    if starts_at == known_start and ended_because == "resolved":
        return "late_repeat"
    return "opens"


def resolved(open_: bool, known_start: datetime | None, ends_at: datetime | None) -> str:
    """The named reason for which a telling that it is over ends an alert, or does not."""
    if not open_:
        return "nothing_fires"
    if ends_at is not None and known_start is not None and ends_at < known_start:
        return "older_than_firing"
    return "resolved"


def flaps(transitions: int) -> bool:
    """`transitions` within FLAP_WINDOW, this one counted."""
    return transitions > FLAPS
