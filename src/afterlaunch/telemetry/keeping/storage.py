"""The size of the telemetry store: noted by a duty, forecast from what was noted."""

from __future__ import annotations

from datetime import datetime

from afterlaunch.ground import clock
from afterlaunch.ground.settings import settings
from afterlaunch.telemetry.keeping.disk import LOOK_BACK, Forecast, Room, Watchman, forecast
from afterlaunch.telemetry.keeping.models import StoreSize
from afterlaunch.telemetry.store import current


def watchman() -> Watchman:
    """Of the open store, by the settings. Raises WrongSetting."""
    chosen, engine = settings(), current().engine
    budget = int(chosen.number("DISK_BUDGET_GB") * 2**30)
    reserve = int(chosen.number("DISK_RESERVE_MB") * 2**20)
    return Watchman(chosen.data, lambda: (engine.bytes_used(), engine.bytes_free()), budget, reserve, engine.disk_left)


def seen() -> tuple[Room, Forecast]:
    """Room now, and what the last two weeks say about it."""
    room, now = watchman().room(), clock.now()
    rows = StoreSize.objects.filter(at__gte=now - LOOK_BACK).values_list("at", "used")
    return room, forecast(room, [*rows, (now, room.used)])


def tables() -> dict[str, int]:
    """Bytes by table, the largest first."""
    return dict(sorted(current().engine.bytes_by_table().items(), key=lambda one: -one[1]))


def note_size(now: datetime) -> None:
    """One sample; those that no forecast looks at any more go."""
    room = watchman().room()
    StoreSize.objects.update_or_create(at=now, defaults={"used": room.used, "free": room.free})
    StoreSize.objects.filter(at__lt=now - LOOK_BACK).delete()
