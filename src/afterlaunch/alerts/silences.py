"""Silences: for a while nobody is paged for what a silence names. Each is evidence, with who and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.alerts import news
from afterlaunch.alerts.matchers import MOST, Matcher, as_rows, from_rows, matcher, selective, written
from afterlaunch.alerts.models import Alert, Group, Silence
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound

LONGEST = timedelta(days=30)
AHEAD = timedelta(minutes=15)
NARROWING = {"environment": "environment", "judge": "alertname", "route": "route", "arm": "arm"}
ARMS = ("", "baseline", "candidate")


def silences_seen_by(actor: Actor) -> QuerySet[Silence]:
    """Only those of clients that the actor may see."""
    seen = actor.sees()
    return Silence.objects.all() if seen is None else Silence.objects.filter(client__in=seen)


def silence_by_id(actor: Actor, pk: int) -> Silence:
    row = silences_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no silence {pk}.")
    return row


def narrowed(system: str = "", **narrowing: str) -> list[Matcher]:
    """Matchers of a system and of what narrows it: environment, judge, route, arm; empty means any. Raises Invalid."""
    unknown = sorted(set(narrowing) - set(NARROWING))
    if unknown or narrowing.get("arm", "") not in ARMS:
        raise Invalid(
            "A silence can't be narrowed so.", f"By {', '.join(NARROWING)}; the arm is baseline or candidate."
        )
    named = {"system": system, **{NARROWING[name]: value.strip() for name, value in narrowing.items()}}
    return [matcher(name, "=", value) for name, value in named.items() if value]


def silence(actor: Actor, system: System, until: datetime, comment: str, **narrowing: str) -> Silence:
    """Nobody is paged for this system until then; alerts are recorded and shown all the same. Raises Invalid."""
    return silence_matching(actor, system.client.slug, narrowed(system.key, **narrowing), until, comment)


@transaction.atomic
def silence_matching(
    actor: Actor,
    client: str,
    wanted: Sequence[Matcher],
    until: datetime,
    comment: str,
    starts_at: datetime | None = None,
    author: str = "",
) -> Silence:
    """Nobody is paged for what all matchers match, from `starts_at` (now) until then. Raises Invalid."""
    actor.require(Role.RESPONDER, client)
    now = clock.now()
    if until.tzinfo is None or (starts_at is not None and starts_at.tzinfo is None):
        raise Invalid("Start and end need a zone.", "For example 2026-03-01T06:00:00Z")
    begin = max(starts_at or now, now)
    if not comment.strip() or not now < until <= begin + LONGEST or begin >= until:
        raise Invalid("A silence needs a reason and an end within thirty days of its start.")
    if not wanted or len(wanted) > MOST or not selective(wanted):
        raise Invalid("A silence needs a matcher that does not match everything.", 'For example alertname="Down".')
    row = Silence.objects.create(
        client=client,
        matchers=as_rows(sorted(set(wanted))),
        starts_at=begin,
        ends_at=until,
        author=(author or actor.name)[:200],
        comment=comment.strip()[:300],
    )
    details = {"matchers": written(from_rows(row.matchers)), "from": begin.isoformat(), "until": until.isoformat()}
    record(actor, "silence.made", f"silence/{row.pk}", client, {**details, "reason": row.comment})
    look_again(client, begin)
    return row


def look_again(client: str, at: datetime) -> None:
    """Groups of the client that fire are asked again what suppresses them, at `at`."""
    rows = Group.objects.filter(system__client__slug=client, alerts__resolved_at=None, alerts__isnull=False)
    later = rows.filter(Q(next_at=None) | Q(next_at__gt=at)).values_list("pk", flat=True).distinct()
    Group.objects.filter(pk__in=list(later)).update(next_at=at)


def state_of(row: Silence, now: datetime) -> str:
    """pending, active or expired."""
    if row.ends_at <= now:
        return "expired"
    return "active" if row.starts_at <= now else "pending"


@transaction.atomic
def end_silence(actor: Actor, row: Silence) -> Silence:
    """From now on it is loud again: what still fires raises its incident within seconds."""
    fresh = Silence.objects.select_for_update().get(pk=row.pk)
    actor.require(Role.RESPONDER, fresh.client)
    now = clock.now()
    if fresh.ends_at <= now:
        raise Conflict("This silence has ended already.")
    fresh.ends_at, fresh.ended_by = now, actor.name
    fresh.save(update_fields=["ends_at", "ended_by"])
    record(
        actor, "silence.ended", f"silence/{fresh.pk}", fresh.client, {"matchers": written(from_rows(fresh.matchers))}
    )
    look_again(fresh.client, now)
    return fresh


def announce_ends(now: datetime) -> None:
    """A silence that ends soon while alerts under it fire is announced, once: they will page."""
    soon = Silence.objects.filter(announced_at=None, ends_at__gt=now, ends_at__lte=now + AHEAD, starts_at__lte=now)
    for row in list(soon[:500]):
        with transaction.atomic():
            if not Silence.objects.filter(pk=row.pk, announced_at=None).update(announced_at=now):
                continue
            under = Alert.objects.filter(
                system__client__slug=row.client, resolved_at=None, suppressed_by__startswith=f"silence {row.pk} of "
            )
            names = sorted(set(under.values_list("name", flat=True)))
            client = Client.objects.filter(slug=row.client).first()
            if not names or client is None or row.ends_at - row.starts_at <= AHEAD:
                continue
            title = f"A silence ends at {row.ends_at:%H:%M} UTC over alerts that fire"
            lines = [f"They page then: {', '.join(names[:10])}.", f"It was set by {row.author}: {row.comment}"]
            news.tell(client, f"silence/{row.pk}", "ends", "silence.ending", title, lines, "/silences", now)
