"""Whether the platform itself was away: who waits for news then waits a little longer."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.ground import clock
from afterlaunch.probes.beats import Absence
from afterlaunch.probes.models import PlatformAbsence, Watched

AWAY_SECONDS = 120.0  # real ones between two looks: longer, and the platform itself was away
REMEMBERED = timedelta(days=40)  # the longest grace, and more


@transaction.atomic
def note(now: datetime) -> None:
    """We looked. A long time since the last look means that the platform was away: that is kept, and shown."""
    row, made = Watched.objects.select_for_update().get_or_create(name="heartbeats", defaults={"at": now})
    if not made and now - row.at > clock.lease(AWAY_SECONDS):
        PlatformAbsence.objects.create(start=row.at, end=now)
        PlatformAbsence.objects.filter(end__lt=now - REMEMBERED).delete()
    if not made and now > row.at:
        Watched.objects.filter(pk=row.pk).update(at=now)


def absences(now: datetime) -> list[Absence]:
    rows = PlatformAbsence.objects.filter(end__gte=now - REMEMBERED).order_by("end")
    return [Absence(row.start, row.end) for row in rows]


def newest_absence() -> PlatformAbsence | None:
    return PlatformAbsence.objects.first()
