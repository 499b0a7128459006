"""When a job is due: a period, or a cron expression on the wall of a zone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from afterlaunch.calendars.cron import check_cron, next_run
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.formats import duration_seconds

LEAST_SECONDS, MOST_SECONDS = 60, 366 * 86_400


@dataclass(frozen=True)
class Schedule:
    """Either `seconds` between two runs, or `cron` in `zone`."""

    seconds: int = 0
    cron: str = ""
    zone: str = "UTC"

    def after(self, at: datetime) -> datetime | None:
        """The first due instant after a run at `at`, in UTC; None when the expression never comes true again."""
        if not self.cron:
            return at + timedelta(seconds=self.seconds)
        return next_run(self.cron, ZoneInfo(self.zone), at)

    def words(self) -> str:
        return f"{self.cron} in {self.zone}" if self.cron else f"every {duration_seconds(self.seconds)}"


def checked(schedule: Schedule) -> Schedule:
    """Raises Invalid for what can't be kept: no zone, no expression, never due, or more often than once a minute."""
    if not schedule.cron:
        if not LEAST_SECONDS <= schedule.seconds <= MOST_SECONDS:
            raise Invalid(f"A period lies between {LEAST_SECONDS} seconds and a year, not {schedule.seconds:,} s.")
        return schedule
    try:
        ZoneInfo(schedule.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"{schedule.zone!r} is no IANA time zone.", "For example: Europe/Berlin") from None
    return Schedule(cron=check_cron(schedule.cron), zone=schedule.zone)
