"""Stop learning from a source: by itself where the system's posture allows it, asked for in the incident otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.incidents.actions import start_containment
from afterlaunch.incidents.models import Incident
from afterlaunch.labels import decisions
from afterlaunch.labels.models import Place, Source
from afterlaunch.labels.rules import SOURCES
from afterlaunch.performance.judging import BREACH
from afterlaunch.performance.sources import Trouble
from afterlaunch.verdicts.models import Verdict

POLICY = automation("containment policy")
HELD = timedelta(minutes=3)  # the breach was seen before, and an alert was made of it
TRUSTED = timedelta(days=7)  # since a person had its labels count again
MENU, RUN = "stop-source", "stop source"


@dataclass(frozen=True)
class Decision:
    """`reason` is a named one; `sources`: to set aside now."""

    reason: str
    sources: tuple[Source, ...] = ()


def suspects(troubles: Sequence[Trouble], known: Sequence[Source]) -> list[Source]:
    """Sources that a breach names alone, and that still count."""
    named = {one.sources[0] for one in troubles if one.status == BREACH and len(one.sources) == 1}
    return [one for one in known if one.name in named and one.stopped_at is None]


def decide(posture: str, found: Sequence[Source], known: Sequence[Source], held: bool, now: datetime) -> Decision:
    """Pure. The last source is never set aside by a machine, nor one that a person trusted lately."""
    if not found:
        return Decision("nobody_named")
    if posture == "governed":
        return Decision("posture_asks")
    if not held:
        return Decision("not_held_yet")
    active = [one for one in known if one.stopped_at is None]
    if len(found) == len(active):
        return Decision("no_other_source")
    fresh = tuple(one for one in found if one.resumed_at is None or one.resumed_at <= now - TRUSTED)
    return Decision("allowed", fresh) if fresh else Decision("trusted_by_a_person")


def named_in(system: System, environment: str) -> list[Source]:
    """As it was judged last."""
    place = Place.objects.filter(system=system, environment=environment).first()
    if place is None:
        return []
    told = [Trouble(**{**one, "sources": tuple(one["sources"])}) for one in place.told.get("troubles", [])]
    return suspects(told, list(Source.objects.filter(place=place)))


@transaction.atomic
def stop_for(actor: Actor, incident: Incident, source: Source, why: str) -> None:
    """By a responder, from the incident's menu."""
    actor.require(Role.RESPONDER, incident.system.client.slug)
    decisions.set_aside(actor, incident.system, source, why)
    start_containment(actor, incident, f"Labels of {source.name} are set aside: {why}", measure(source))


@transaction.atomic
def _stop(place: Place, source: Source, why: str) -> None:
    decisions.set_aside(POLICY, place.system, source, why)
    for incident in Incident.objects.filter(system=place.system, environment=place.environment, status="open"):
        start_containment(POLICY, incident, f"Labels of {source.name} are set aside: {why}", measure(source))


def contain(place: Place, troubles: Sequence[Trouble], known: Sequence[Source], now: datetime) -> Decision:
    system = place.system
    decision = decide(system.posture, suspects(troubles, known), known, _is_held(place, now), now)
    for source in decision.sources:
        why = next(one.why for one in troubles if one.sources == (source.name,) and one.status == BREACH)
        _stop(place, source, why)
    return decision


def measure(source: Source) -> dict[str, object]:
    """How an incident keeps it; no traffic is touched by it."""
    undo = f"Count the labels of {source.name} again."
    return {"key": MENU, "run": RUN, "reach": 0, "undo": undo, "sources": [source.pk]}


def _is_held(place: Place, now: datetime) -> bool:
    system = place.system
    scope = {"client": system.client.slug, "system": system.key, "environment": place.environment, "route": ""}
    rows = Verdict.objects.filter(judge=SOURCES.name, status=BREACH, since__lte=now - HELD, **scope)
    return rows.exists()
