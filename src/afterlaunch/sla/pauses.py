"""Pauses of a clock: merged where they overlap, ended by their caps. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

REASONS = {
    "waiting_for_customer": "Waiting for the customer",
    "vendor": "Waiting for a vendor",
    "agreed_maintenance": "Agreed maintenance",
    "agreed_date": "Agreed date",
}


@dataclass(frozen=True)
class Span:
    """[start, end) stood still; `capped`: a cap ended it."""

    start: datetime
    end: datetime
    capped: bool = False


def standing(raw: Iterable[tuple[datetime, datetime | None]], now: datetime, one: int, total: int) -> list[Span]:
    """What counts of the pauses up to `now`, in order: overlapping and touching ones are one, none lasts longer than
    `one` seconds, all together no longer than `total`. An end of None is not reached yet."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted((start, min(end or now, now)) for start, end in raw if start < now):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    found, left = [], timedelta(seconds=total)
    for start, end in merged:
        stop = min(end, start + timedelta(seconds=one), start + left)
        if stop > start:
            found.append(Span(start, stop, stop < end))
            left -= stop - start
    return found


def ends_by_cap(raw: Iterable[tuple[datetime, datetime | None]], began: datetime, one: int, total: int) -> datetime:
    """When the pause that began at `began` reaches a cap, if nobody ends it before."""
    before = [(start, end or began) for start, end in raw if start < began]
    used = sum((span.end - span.start for span in standing(before, began, one, total)), timedelta())
    joined = next((start for start, end in sorted(before, reverse=True) if end >= began), began)
    return min(joined + timedelta(seconds=one), began + max(timedelta(seconds=total) - used, timedelta()))
