"""When the next row of a duty falls due, so that virtual time can jump there. One statement asks for all.

A duty that is missing here is performed by the hourly beat alone; that it was then late is found by the checks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from afterlaunch.alerts.models import Alert, Group
from afterlaunch.alerts.told import FLAP_WINDOW
from afterlaunch.incidents.updates.models import Promise
from afterlaunch.notify.models import Page
from afterlaunch.oncall.models import Escalation, Schedule
from afterlaunch.sla.models import Clock

AFTER = timedelta(seconds=1)  # what is due "before now" is not due at its own instant


def _rows() -> tuple[tuple[str, QuerySet[Any], str, timedelta], ...]:
    """(duty, rows, when they are due, so much later)."""
    firing = Alert.objects.filter(resolved_at=None)
    paging = Escalation.objects.filter(state__in=("live", "acknowledged"))
    untold = Escalation.objects.filter(state="exhausted", told_at=None)
    promised = Promise.objects.filter(ended_at=None, overdue_at=None)
    none = timedelta()
    return (
        ("oncall.handoffs", Schedule.objects.filter(removed_at=None), "next_at", none),
        ("oncall.escalate", paging, "next_at", none),
        ("incidents.platform", untold, "ended_at", none),
        ("incidents.updates", promised, "due_at", AFTER),
        ("sla.clocks", Clock.objects.all(), "next_at", none),
        ("notify.send_pages", Page.objects.filter(state="pending", carrier=None), "due_at", none),
        ("notify.send_pages", Page.objects.filter(state="leased", carrier=None), "lease_until", none),
        ("alerts.raise", Group.objects.all(), "next_at", none),
        ("alerts.raise", firing, "expires_at", none),
        ("alerts.raise", firing, "flapping_since", FLAP_WINDOW + AFTER),
    )


@lru_cache(maxsize=1)
def _question() -> tuple[str, tuple[Any, ...]]:
    parts: list[str] = []
    values: list[Any] = []
    for _, rows, name, _ in _rows():
        first = rows.filter(**{f"{name}__isnull": False}).order_by(name).values_list(name)[:1]
        sql, params = first.query.sql_with_params()
        parts.append(f"({sql})")
        values += params
    return "select " + ", ".join(parts), tuple(values)


def next_rows() -> dict[str, datetime]:
    """By duty, the first instant at which it has something to do."""
    with connection.cursor() as cursor:
        cursor.execute(*_question())
        found = cursor.fetchone()
    due: dict[str, datetime] = {}
    for (duty, _, _, later), value in zip(_rows_kept(), found, strict=True):
        if value is not None:
            at = _instant(value) + later
            due[duty] = min(at, due.get(duty, at))
    return due


@lru_cache(maxsize=1)
def _rows_kept() -> tuple[tuple[str, QuerySet[Any], str, timedelta], ...]:
    return _rows()


def _instant(value: Any) -> datetime:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at if at.tzinfo else at.replace(tzinfo=UTC)
