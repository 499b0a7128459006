"""Who does what in an incident: commander, communications lead, scribe, responders."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.actions import actor_of_user
from afterlaunch.accounts.models import Client, User
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.models import ROLES, Assignment, Incident
from afterlaunch.incidents.timeline import append

TITLES = dict(ROLES)


def people_of(client: str) -> QuerySet[User]:
    """Who may respond for a client, by name."""
    roles = [role.value for role in (Role.RESPONDER, Role.OPERATOR, Role.ADMIN)]
    held = User.objects.filter(is_active=True, grants__role__in=roles)
    return (held.filter(grants__client__slug=client) | held.filter(grants__client=None)).distinct().order_by("name")


def readers(client: Client) -> QuerySet[User]:
    """Who may see a client's incidents, by name."""
    roles = [role.value for role in Role if role is not Role.INGEST]
    held = User.objects.filter(is_active=True, grants__role__in=roles)
    return (held.filter(grants__client=client) | held.filter(grants__client=None)).distinct().order_by("name")


def person_of(incident: Incident, pk: int | None) -> User | None:
    """Somebody who may respond for the incident's client. Raises Invalid, also for people one may not see."""
    if pk is None:
        return None
    found = people_of(incident.system.client.slug).filter(pk=pk).first()
    if found is None:
        raise Invalid(f"There is no responder {pk} for this client.")
    return found


def give(actor: Actor, fresh: Incident, role: str, person: User) -> Assignment | None:
    """Inside a deed that holds the incident's row. None: they hold it already. Whoever held a single role before holds
    it no longer."""
    now = clock.now()
    held = Assignment.objects.filter(incident=fresh, role=role, until=None)
    if held.filter(person=person).exists():
        return None
    if role != "responder":
        held.update(until=now)
    row = Assignment.objects.create(incident=fresh, role=role, person=person, since=now, given_by=actor.name)
    append(actor, fresh, "role", f"{person} is {TITLES[role].lower()}.", {"role": role, "person": person.pk})
    tell(actor, fresh, "incident.role_given", {"role": role, "person": person.pk})
    return row


@transaction.atomic
def assign(actor: Actor, incident: Incident, role: str, person: User | None) -> Incident:
    """Give a role; without a person the actor takes it. Raises Invalid for somebody who could not act."""
    fresh = locked(actor, incident)
    if role not in TITLES:
        raise Invalid(f"There is no role {role!r}.", "Roles: " + ", ".join(TITLES))
    if person is None and actor.user_id is None:
        raise Invalid("Say who: a token has no person.", "Name the person's id.")
    taker = person or User.objects.get(pk=actor.user_id or 0)
    if not taker.is_active or not actor_of_user(taker).may(Role.RESPONDER, fresh.system.client.slug):
        raise Invalid(f"{taker} may not act on this client's incidents.", "They need the role responder.")
    give(actor, fresh, role, taker)
    return fresh


@transaction.atomic
def release(actor: Actor, incident: Incident, role: str, person: int) -> Incident:
    """Somebody holds a role no longer. Twice changes nothing."""
    fresh = locked(actor, incident)
    row = Assignment.objects.filter(incident=fresh, role=role, person_id=person, until=None).first()
    if row is not None:
        Assignment.objects.filter(pk=row.pk).update(until=clock.now())
        append(actor, fresh, "role", f"{row.person} is no longer {TITLES[role].lower()}.", {"role": role})
        tell(actor, fresh, "incident.role_ended", {"role": role, "person": person})
    return fresh


def who(incident: Incident, *roles: str) -> User | None:
    """The first holder of the first of `roles` that somebody holds."""
    rows = list(Assignment.objects.filter(incident=incident, until=None).select_related("person"))
    for role in roles:
        for row in rows:
            if row.role == role and row.person.is_active:
                return row.person
    return None
