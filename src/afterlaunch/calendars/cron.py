"""Cron expressions in a zone, as Debian's cron runs them. Pure.

A job at a fixed time runs once on every date it is due: right after a gap that swallows it, at the first occurrence in
a repeated hour. A job whose minute or hour begins with `*` follows real time: it is left out in a gap and runs in both
occurrences.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from afterlaunch.ground.errors import Invalid

FIELDS = 5


def check_cron(expression: object) -> str:
    """The expression with single spaces. Raises Invalid: it can't be read, or no date ever fits."""
    if not isinstance(expression, str) or len(expression.split()) != FIELDS or len(expression) > 200:
        raise Invalid(f"{expression!r} is no cron expression.", "Write five fields, such as 30 2 * * 1-5")
    try:
        next(CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError as problem:
        raise Invalid(f"{expression!r} is no cron expression: {problem}.", "For example: 30 2 * * 1-5") from None
    except StopIteration:
        raise Invalid(f"{expression!r} never comes due.", "No date has that day and month.") from None
    return " ".join(expression.split())


def runs(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """When it is due, in UTC, strictly after `after`, each instant once."""
    last = after
    for due in CronSim(expression, after.astimezone(zone)):
        # the hour that repeats was begun a second time, or a gap moved two runs to one instant
        if (at := due.astimezone(UTC)) > last:
            yield at
            last = at


def next_run(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first time it is due strictly after `after`; None: never again."""
    return next(runs(expression, zone, after), None)
