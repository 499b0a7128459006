"""Writing an update, approving what customers read, and who is told at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from afterlaunch.accounts.models import Client, User
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.models import SEVERITIES, Incident
from afterlaunch.incidents.timeline import append
from afterlaunch.incidents.updates import promises
from afterlaunch.incidents.updates.models import AUDIENCES, Cadence, Stakeholder, Update, UpdateText
from afterlaunch.incidents.updates.rules import LONGEST_PROMISE, may_approve, written_for
from afterlaunch.incidents.updates.sending import audiences_waiting_for_the_end, identity, make, send, source

NAMES = [name for name, _ in AUDIENCES]
LONGEST = 5000


def draft(
    incident: Incident, affected: str, doing: str, next_at: datetime | None, no_change: bool = False
) -> dict[str, str]:
    """A text for each audience, to be altered and sent."""
    final = incident.status != "open"
    said = source(incident, affected or incident.impact, doing, next_at, no_change=no_change, final=final)
    return {name: written_for(name, said) for name in NAMES}


@transaction.atomic
def write(
    actor: Actor,
    incident: Incident,
    audiences: list[str],
    affected: str = "",
    doing: str = "",
    next_at: datetime | None = None,
    no_change: bool = False,
    texts: Mapping[str, str] | None = None,
) -> Update:
    """Send an update to `audiences`; a text in `texts` goes out instead of the draft. While the incident is open it
    promises the time of the next one (by default the cadence's); the last one goes to everybody who got any."""
    fresh = locked(actor, incident)
    now, final = clock.now(), fresh.status != "open"
    wanted = list(dict.fromkeys([*audiences, *(audiences_waiting_for_the_end(fresh) if final else [])]))
    unknown = [name for name in wanted if name not in NAMES]
    if unknown or not wanted:
        raise Invalid("An update needs an audience.", "Audiences: " + ", ".join(NAMES))
    if not (affected.strip() or doing.strip() or no_change or final or texts):
        raise Invalid("Say what is affected or what is being done, or that nothing has changed.")
    promised = None if final else _promised(fresh, next_at, now)
    drafts = draft(fresh, affected.strip(), doing.strip(), promised, no_change)
    given = {name: text.strip()[:LONGEST] for name, text in (texts or {}).items() if text.strip()}
    made = {name: given.get(name) or drafts[name] for name in wanted}
    return make(actor, fresh, made, affected.strip()[:LONGEST], doing.strip()[:LONGEST], promised, no_change, final)


def _promised(incident: Incident, asked: datetime | None, now: datetime) -> datetime:
    at = asked or promises.due(incident, now)
    if at is None:
        raise Invalid("Say when the next update comes.", "Its time is a promise, and a clock.")
    if not now < at <= now + LONGEST_PROMISE:
        raise Invalid("The next update comes later than now, and within seven days.")
    return at


def _waiting(incident: Incident, number: int, audience: str) -> UpdateText:
    rows = UpdateText.objects.select_for_update(of=("self",)).select_related("update")
    row = rows.filter(update__incident=incident, update__number=number, audience=audience).first()
    if row is None:
        raise NotFound(f"Update {number} has no text for {audience}.")
    if row.state != "waiting":
        raise Conflict(f"It is {row.get_state_display().lower()} already.")
    return row


@transaction.atomic
def approve(actor: Actor, incident: Incident, number: int, audience: str, text: str = "") -> UpdateText:
    """An operator lets a text out, as it is or in better words. In governed production nobody approves their own."""
    fresh = locked(actor, incident, Role.OPERATOR)
    row = _waiting(fresh, number, audience)
    if actor.kind == "automation":
        raise NotAllowed("Only a person approves what customers read.")
    if may_approve(fresh.system.posture, row.update.author_identity, identity(actor)) == "own_words":
        raise NotAllowed("In governed production nobody approves their own words.", "Ask another operator.")
    now = clock.now()
    if text.strip():
        row.text = text.strip()[:LONGEST]
    row.decided_by, row.decided_at = actor.name, now
    row.save(update_fields=["text", "decided_by", "decided_at"])
    send(fresh, row, now)
    append(actor, fresh, "update.approved", f"Text for {audience} of update {number} approved:\n{row.text}")
    tell(actor, fresh, "incident.update_approved", {"update": number, "audience": audience})
    return row


@transaction.atomic
def withdraw(actor: Actor, incident: Incident, number: int, audience: str, reason: str) -> UpdateText:
    """It is not sent."""
    fresh = locked(actor, incident)
    row = _waiting(fresh, number, audience)
    row.state, row.decided_by, row.decided_at = "withdrawn", actor.name, clock.now()
    row.save(update_fields=["state", "decided_by", "decided_at"])
    said = f"Text for {audience} of update {number} is not sent: {reason.strip()[:300] or 'no reason given'}"
    append(actor, fresh, "update.withdrawn", said)
    tell(actor, fresh, "incident.update_withdrawn", {"update": number, "audience": audience})
    return row


@transaction.atomic
def put_stakeholder(actor: Actor, client: Client, audience: str, person: User, member: bool = True) -> None:
    """Who hears of the client's incidents. Only people who may see the client."""
    actor.require(Role.OPERATOR, client.slug)
    if audience not in NAMES or audience == "responders":
        raise Invalid(f"Nobody is put into the audience {audience!r}.", "internal, executives or customers")
    rows = Stakeholder.objects.filter(client=client, audience=audience, person=person)
    if not member:
        rows.delete()
    else:
        values = {"added_at": clock.now(), "added_by": actor.name}
        Stakeholder.objects.get_or_create(client=client, audience=audience, person=person, defaults=values)
    details = {"audience": audience, "person": person.pk, "member": member}
    record(actor, "stakeholder.put", f"client/{client.slug}", client.slug, details)


@transaction.atomic
def put_cadence(actor: Actor, client: Client, severity: str, minutes: int, business: bool) -> Cadence:
    """How often the client hears of an open incident of this severity; 0 minutes: no promise by itself."""
    actor.require(Role.OPERATOR, client.slug)
    if severity not in dict(SEVERITIES) or not 0 <= minutes <= LONGEST_PROMISE.total_seconds() / 60:
        raise Invalid("A cadence has a severity (P1, P2, P3) and at most seven days.")
    values = {"minutes": minutes, "business": business}
    row, _ = Cadence.objects.update_or_create(client=client, severity=severity, defaults=values)
    record(actor, "cadence.put", f"client/{client.slug}", client.slug, {"severity": severity, **values})
    return row
