"""Raw events are kept for a while, those that could not be read as long; what was told of changes has no end."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Sum

from afterlaunch.alerts.models import RawEvent
from afterlaunch.ground.settings import settings
from afterlaunch.receivers.models import SeenMessage

AT_ONCE = 2000
SEEN = timedelta(days=2)  # a message older than an hour is refused anyway


def forget_raw_events(now: datetime) -> None:
    """Those older than their days go, then the oldest while all weigh more than the budget."""
    old = RawEvent.objects.filter(received_at__lt=now - timedelta(days=settings().number("RAW_EVENT_DAYS")))
    _delete(old.order_by("received_at").values_list("pk", flat=True)[:AT_ONCE])
    SeenMessage.objects.filter(at__lt=now - SEEN).delete()
    over = (RawEvent.objects.aggregate(total=Sum("size"))["total"] or 0) - settings().number("RAW_EVENT_MB") * 2**20
    gone: list[int] = []
    for pk, size in RawEvent.objects.filter(state="taken").order_by("pk").values_list("pk", "size")[:AT_ONCE]:
        if over <= 0:
            break
        gone.append(pk)
        over -= size
    _delete(gone)


def _delete(pks: object) -> None:
    wanted = list(pks)  # type: ignore[call-overload]
    for at in range(0, len(wanted), 500):
        RawEvent.objects.filter(pk__in=wanted[at : at + 500]).delete()
