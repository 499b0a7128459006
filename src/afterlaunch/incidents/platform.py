"""Incidents about the platform itself: a policy that came to its end without an answer is a failure of ours."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from afterlaunch.accounts.actions import house_client
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import automation
from afterlaunch.incidents.actions import open_incident, timeline
from afterlaunch.incidents.models import Incident
from afterlaunch.oncall.models import Escalation

ENGINE = automation("engine")
KEY = "afterlaunch"
SAID = {
    "nobody_acknowledged": "The escalation policy has come to its end and nobody acknowledged",
    "catch_all_paged": "No step of the escalation policy reached anybody; the catch-all was paged",
    "nobody_reachable": "Nobody could be paged, not even the catch-all",
}


def platform_system() -> System:
    """The installation as a system of the house's own client; made at first need."""
    system, _ = System.objects.get_or_create(client=house_client(), key=KEY, defaults={"name": "Afterlaunch"})
    return system


def tell_exhausted(now: datetime) -> None:
    """Every escalation that ended so, once; those of one client are one incident while it is open. What is paged about
    the platform itself opens no further one."""
    due = Escalation.objects.filter(state="exhausted", told_at=None).order_by("pk")
    for row in due.select_related("system__client"):
        with transaction.atomic():
            if Escalation.objects.filter(pk=row.pk, state="exhausted", told_at=None).update(told_at=now):
                _tell(row, now)


def _tell(row: Escalation, now: datetime) -> None:
    client = row.system.client
    if row.reason not in SAID or (client == house_client() and row.system.key == KEY):
        return
    text = f"{SAID[row.reason]}: {row.topic} about {row.system} of {client}."
    mark = f"platform/paging/{client.slug}"
    known = Incident.objects.filter(fingerprint=mark, status="open").first()
    made = open_incident(
        ENGINE,
        system=platform_system(),
        environment="",
        title=f"Pages of {client} went unanswered",
        severity="P1",
        summary=text,
        fingerprint=mark,
        detected_at=row.ended_at or now,
        occurred_at=row.started_at,
    )
    if known is not None:
        timeline(ENGINE, made, "alert", text)
