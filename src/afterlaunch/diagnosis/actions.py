"""Freezing a diagnosis: its bytes, its hash in the timeline and in the evidence log, all in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, cast

import orjson
from django.db import transaction

from afterlaunch.diagnosis.models import Diagnosis
from afterlaunch.diagnosis.questions import diagnose, document
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import NotFound
from afterlaunch.incidents.actions import incident_by_id, timeline
from afterlaunch.incidents.models import Incident

DIAGNOSIS = automation("diagnosis")


def freeze(actor: Actor, incident: Incident, trigger: str) -> Diagnosis:
    """Look now and keep what is seen. The one of the opening is made once, whoever comes second gets the first's."""
    actor.require(Role.RESPONDER, incident.system.client.slug)
    told = document(incident, diagnose(incident))  # before the transaction: it may take a second
    body = orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
    hashed = hashlib.sha256(body).hexdigest()
    with transaction.atomic():
        Incident.objects.select_for_update(of=("self",)).get(pk=incident.pk)
        last = Diagnosis.objects.filter(incident=incident).order_by("-number").first()
        if last is not None and trigger == "opened":
            return last
        row = Diagnosis.objects.create(
            incident=incident,
            number=last.number + 1 if last else 1,
            trigger=trigger,
            made_at=clock.now(),
            made_by=actor.name,
            reason=told["reason"],
            body=body,
            sha256=hashed,
        )
        facts = {"diagnosis": row.number, "sha256": hashed, "reason": row.reason}
        timeline(actor, incident, "diagnosis.frozen", summary(told), facts)
        record(actor, "diagnosis.frozen", incident.topic, incident.system.client.slug, facts)
    return row


def summary(told: Mapping[str, Any]) -> str:
    """A document in two sentences: what became worse, and the likeliest cause."""
    first = next((one for one in told["causes"] if one["score"] > 0), None)
    said = str(told["explanation"])
    return f"{said} Likeliest: {first['name']}. {first['explanation']}" if first else said


def newest(incidents: Iterable[Incident]) -> dict[int, dict[str, Any]]:
    """Incident -> its newest frozen document, where it has one. Whether the actor may see them was asked before."""
    rows = Diagnosis.objects.filter(incident__in=[one.pk for one in incidents]).order_by("number")
    return {row.incident_id: content(row) for row in rows}


def diagnoses_of(actor: Actor, pk: int) -> list[Diagnosis]:
    """In order. Raises NotFound for an incident that the actor may not see."""
    return list(Diagnosis.objects.filter(incident=incident_by_id(actor, pk)))


def diagnosis_by_number(actor: Actor, pk: int, number: int) -> Diagnosis:
    row = Diagnosis.objects.filter(incident=incident_by_id(actor, pk), number=number).first()
    if row is None:
        raise NotFound(f"Incident {pk} has no diagnosis {number}.")
    return row


def content(row: Diagnosis) -> dict[str, Any]:
    return cast("dict[str, Any]", orjson.loads(bytes(row.body)))


def holds(row: Diagnosis) -> bool:
    """Whether the bytes still have the hash that the timeline and the evidence log name."""
    return hashlib.sha256(bytes(row.body)).hexdigest() == row.sha256
