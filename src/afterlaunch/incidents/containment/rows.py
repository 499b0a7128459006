"""Keeping measures, inside other deeds' transactions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.incidents.containment.models import CAP, SHOW_MINUTES, ContainmentPolicy, Measure
from afterlaunch.incidents.models import Incident

PROOF_SECONDS = 15.0
"""Real ones, however fast the clock runs: calls must come in and duties must see them before recovery can show."""


def policy_of(client: int) -> tuple[int, timedelta]:
    """(cap in basis points, how soon it must show recovery)."""
    row = ContainmentPolicy.objects.filter(client_id=client).first()
    if row is None:
        return CAP, timedelta(minutes=SHOW_MINUTES)
    return row.cap, timedelta(minutes=row.show_minutes)


def begin(actor: Actor, incident: Incident, text: str, details: Mapping[str, Any]) -> Measure:
    """`details` may hold key, run, reason, reach and undo; the rest is kept as facts."""
    now = clock.now()
    named = {name: details[name] for name in ("key", "run", "reason", "reach", "undo") if name in details}
    return Measure.objects.create(
        incident=incident,
        text=text,
        facts={name: value for name, value in details.items() if name not in named},
        by=actor.name,
        by_kind=actor.kind,
        started_at=now,
        show_by=now + max(policy_of(incident.system.client_id)[1], clock.lease(PROOF_SECONDS)),
        **named,
    )


def settle(incident: Incident, state: str, at: datetime) -> int:
    """Every measure that still waits for proof has it now, or needs none any more."""
    return Measure.objects.filter(incident=incident, state="pending").update(state=state, settled_at=at)
