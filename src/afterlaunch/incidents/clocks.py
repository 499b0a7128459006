"""An incident's clocks: what `sla` promised about it, begun, met and replaced by the deeds on it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import CharField, Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Cast, Concat

from afterlaunch.ground.actors import Actor
from afterlaunch.incidents import news
from afterlaunch.incidents.kinds import BY_NAME
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.timeline import append
from afterlaunch.oncall.models import EscalationPolicy
from afterlaunch.sla import clocks, handovers
from afterlaunch.sla.events import Event
from afterlaunch.sla.models import Clock

PREFIX = "incident/"


def start(actor: Actor, incident: Incident, now: datetime) -> Clock | None:
    """Clocks of the first response and of the resolution, from the detection on, and the internal team's window where
    a tier stands behind it."""
    window = handovers.begin(actor, incident.topic, incident.system, incident.detected_at, now)
    party = "internal" if window is not None else ""
    first = clocks.start(
        actor, incident.topic, incident.system, "response", incident.severity, incident.detected_at, now, party
    )
    clocks.start(actor, incident.topic, incident.system, "resolution", incident.severity, incident.detected_at, now)
    return first


def grave(actor: Actor, incident: Incident, now: datetime) -> None:
    """A P1 of security goes to the tier at once."""
    if incident.severity == "P1" and BY_NAME[incident.kind].severity.security:
        handovers.at_once(actor, incident.topic, now)


def contained(actor: Actor, incident: Incident, now: datetime) -> None:
    handovers.reached(actor, incident.topic, "contained", now)


def due_text(row: Clock | None) -> str:
    """For evidence: the deadline, or that there is none."""
    return row.deadline.isoformat() if row is not None and row.deadline else "none"


def meet(actor: Actor, incident: Incident, at: datetime) -> None:
    """A person's acknowledgement at `at`."""
    clocks.meet(actor, incident.topic, at, by=actor.user_id)


def ended(actor: Actor, incident: Incident, now: datetime) -> None:
    """Resolved or a false alarm: the resolution is met. Ending it is a response too, when somebody able to act did it;
    where only a machine was there, nobody has responded and the promise falls away."""
    if actor.kind != "automation":
        meet(actor, incident, incident.acknowledged_at or now)
    clocks.meet(actor, incident.topic, now, kinds=("resolution",), by=actor.user_id)
    clocks.end(incident.topic, now, "ended")
    handovers.reached(actor, incident.topic, "resolved", now)


def reopened(actor: Actor, incident: Incident, now: datetime) -> EscalationPolicy | None:
    """The resolution is not met any more. It goes to the last owner: their policy, None for the system's own. Where a
    machine had ended it before anybody answered, a first response is promised again, from now on."""
    clocks.resume_all(incident.topic, now)
    owners = handovers.reopened(actor, incident.topic, now)
    if response_of(incident) is None:
        party = handovers.party_of(incident.topic)
        clocks.start(actor, incident.topic, incident.system, "response", incident.severity, now, now, party)
    return owners


def owners(incident: Incident) -> EscalationPolicy | None:
    """Whom pages go to: the tier's policy once it took over, None for the system's own."""
    return handovers.owners(incident.topic)


def replace(actor: Actor, incident: Incident, now: datetime) -> Clock | None:
    """After a change of severity."""
    found = clocks.replace(actor, incident.topic, incident.severity, now, "severity_change")
    return next((one for one in found if one.kind == "response"), None)


def merge(actor: Actor, twin: Incident, kept: Incident, now: datetime) -> None:
    """The duplicate's clocks move to the survivor, and the earlier start wins."""
    handovers.reached(actor, twin.topic, "resolved", now)
    clocks.merge(actor, twin.topic, kept.topic, kept.detected_at, now)


def without(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """Those of them that no first response is promised for."""
    topic = Concat(Value(PREFIX), Cast(OuterRef("pk"), CharField()))
    return incidents.exclude(Exists(Clock.objects.filter(topic=topic, kind="response", superseded_at=None)))


def load(incidents: Iterable[Incident]) -> None:
    """The clocks of a whole list, with one question."""
    rows = list(incidents)
    found = clocks.of_topics(one.topic for one in rows)
    for one in rows:
        one.promises = found[one.topic]


def response_of(incident: Incident) -> Clock | None:
    """The first response that is promised now: the escalation tier's, once it took over."""
    live = [one for one in incident.promises if one.kind == "response" and one.superseded_at is None]
    return max(live, key=lambda one: one.party == "tier", default=None)


class Listener:
    """What happens to a clock stands in the incident's timeline, and a breach is news."""

    prefix = PREFIX

    def lock(self, topic: str) -> None:
        Incident.objects.select_for_update(of=("self",), no_key=True).get(pk=int(topic.removeprefix(PREFIX)))

    def heard(self, actor: Actor, event: Event, entry: int, now: datetime) -> None:
        incident = Incident.objects.select_related("system__client").get(pk=int(event.topic.removeprefix(PREFIX)))
        append(actor, incident, event.name, event.text, event.details)
        if event.name == "handover.done":  # the tier has not answered yet, whoever of the internal team had
            incident.acknowledged_at, incident.acknowledged_by = None, ""
            incident.save(update_fields=["acknowledged_at", "acknowledged_by"])
        if event.name in news.TYPES and event.clock == "response":
            news.tell(actor, incident, event.name, entry, event.details)
