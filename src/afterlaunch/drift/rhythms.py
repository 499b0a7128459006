"""Rhythms of the week: whether a feature's hours differ as the hours of a week do, and which weeks tell. Pure.

1. Counts of every hour lie over the same few groups of cells. 2. Pearson's chi-square of hours by groups is split into
what lies between the hours of the week and what lies within them, so that a rhythm of the mean, of the spread, of
categories and of missing values all count. 3. The share of the first, less what as many hours give by chance (omega
squared), says whether there is a rhythm; what differs from week to week counts against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

import numpy as np

from afterlaunch.drift import statistics
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.numeric import NumericProfile

HOURS = 168
WEEKS = 3  # whole ones, at least
LEAST = HOURS // 4 * WEEKS  # hours that these weeks have, at least
SHARE = 0.10  # of what differs between hours
GROUPS = 10
DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
WEEK = timedelta(days=7)


def hour_of_week(start: datetime, zone: tzinfo) -> int:
    """0 from Monday's midnight on, by the clock of that zone: an hour that comes twice in autumn is the same hour."""
    local = start.astimezone(zone)
    return local.weekday() * 24 + local.hour


def said(hour: int) -> str:
    day, clock = divmod(hour, 24)
    return f"{DAYS[day]} from {clock:02d}:00"


def whole_weeks(first: datetime, until: datetime, zone: tzinfo) -> int:
    """By the clock of that zone, so that a week with a change of the clock is one."""
    apart = until.astimezone(zone).replace(tzinfo=None) - first.astimezone(zone).replace(tzinfo=None)
    return max(apart // WEEK, 0)


def first_of_weeks(starts: Sequence[datetime]) -> datetime | None:
    """The first hour from which on three weeks have a quarter of their hours: single ones before them are no start.
    `starts`: ascending, distinct; None until the weeks are over."""
    for at, start in enumerate(starts[: max(len(starts) - LEAST + 1, 0)]):
        if starts[at + LEAST - 1] - start < WEEKS * WEEK:
            return start if starts[-1] - start >= WEEKS * WEEK else None
    return None


def after_weeks(first: datetime, weeks: int, zone: tzinfo) -> datetime:
    return (first.astimezone(zone) + weeks * WEEK).astimezone(first.tzinfo)


def groups_of(reference: NumericProfile | CategoryProfile) -> Array:
    """Where the groups of its cells begin; the names of categories stand in the order of their frequency."""
    if isinstance(reference, CategoryProfile) or not reference.count:
        return np.arange(min(GROUPS, len(reference.cells)))
    return statistics.grouped_at(reference.cells, GROUPS)


def counts_of(profile: NumericProfile | CategoryProfile, starts: Array) -> Array:
    """Of the groups, then of missing values and of wrong ones."""
    return np.append(statistics.grouped(profile.cells, starts), [profile.missing, profile.wrong])


def explained(counts: Array, hours: Array) -> float:
    """The share of what differs between hours that the hours of the week explain; 0 where nothing can be told.

    `counts` (hours, groups); `hours`: of the week, each row's.
    """
    kept = counts.sum(1) > 0
    counts, hours = counts[kept].astype(np.float64), hours[kept]
    counts = counts[:, counts.sum(0) > 0]
    weekly = np.zeros((HOURS, counts.shape[1]))
    np.add.at(weekly, hours, counts)
    seen = len(np.unique(hours))
    between_df, within_df = (seen - 1) * (counts.shape[1] - 1), (len(counts) - seen) * (counts.shape[1] - 1)
    if between_df <= 0 or within_df <= 0:
        return 0.0
    whole, between = _chi_square(counts), _chi_square(weekly)
    noise = max(whole - between, 0.0) / within_df
    return max((between - between_df * noise) / (whole + noise), 0.0) if whole + noise > 0 else 0.0


def _chi_square(counts: Array) -> float:
    """Of all rows against their sum. It splits exactly: rows that are added up keep what lies between the sums."""
    rows = counts.sum(1)
    held = counts[rows > 0]
    shares = counts.sum(0) / counts.sum()
    return float((((held / rows[rows > 0, None] - shares) ** 2 / shares).sum(1) * rows[rows > 0]).sum())
