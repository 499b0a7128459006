"""Deeds on the past: propose to price it anew, approve, and carry it out hour by hour."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.pricing.actions import Planned, book_of, version_of
from afterlaunch.spend.models import Repricing
from afterlaunch.telemetry import repricing
from afterlaunch.telemetry.repricing import MOST_DAYS, Effect
from afterlaunch.telemetry.store import current

log = logging.getLogger(__name__)
PREVIEW_DAYS = 30
SECONDS_A_CYCLE = 5.0


def effect_of(planned: Planned) -> Effect:
    """What the last 30 days would have cost by a planned table, against what they are recorded to have cost."""
    now = clock.now()
    since = now - timedelta(days=PREVIEW_DAYS)
    return repricing.effect(current().engine, planned.client.slug, since, now, planned.book)


def seen_by(actor: Actor) -> QuerySet[Repricing]:
    rows, seen = Repricing.objects.select_related("client"), actor.sees()
    return rows if seen is None else rows.filter(client__slug__in=seen)


def by_id(actor: Actor, pk: int) -> Repricing:
    found = seen_by(actor).filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such repricing.")
    return found


def propose(actor: Actor, client: Client, since: datetime, until: datetime, reason: str) -> Repricing:
    """Count what the table in force now would change. Raises Invalid, Conflict where one waits or runs already."""
    actor.require(Role.OPERATOR, client.slug)
    now = clock.now()
    if not reason.strip():
        raise Invalid("Say why the past is priced anew.")
    until = min(until, now)
    if since >= until:
        raise Invalid("That is no time in the past.", "Give a beginning before its end.")
    if now - since > timedelta(days=MOST_DAYS):
        raise Invalid(f"Calls are priced anew at most {MOST_DAYS} days back.", "Older sums are kept by the hour only.")
    since = since.replace(minute=0, second=0, microsecond=0)  # hours are priced as a whole
    version = version_of(client)
    found = repricing.effect(current().engine, client.slug, since, until, book_of(client, version))
    whole = found.whole
    with transaction.atomic():
        Client.objects.select_for_update().get(pk=client.pk)
        if client.repricings.filter(state__in=(Repricing.PROPOSED, Repricing.RUNNING)).exists():
            raise Conflict(f"A repricing of {client} waits or runs already.", "Decide on it first.")
        row = Repricing.objects.create(
            client=client,
            version=version,
            since=since,
            until=until,
            reason=reason.strip()[:500],
            totals=_totals(found),
            calls=whole.calls,
            changed=whole.changed,
            old_nano=whole.old_nano,
            new_nano=whole.new_nano,
            proposed_at=now,
            proposed_by=actor.name,
        )
        record(actor, "repricing.proposed", f"repricing/{row.pk}", client.slug, _told(row))
    return row


def _totals(found: Effect) -> list[dict[str, object]]:
    return [{"month": month, "model": model, **vars(one)} for (month, model), one in sorted(found.by.items())]


def _told(row: Repricing) -> dict[str, object]:
    names = ("version", "calls", "changed", "old_nano", "new_nano", "done_calls", "reason")
    bounds = {"since": row.since.isoformat(), "until": row.until.isoformat()}
    return {**{name: getattr(row, name) for name in names}, **bounds}


@transaction.atomic
def decide(actor: Actor, row: Repricing, approve: bool) -> Repricing:
    """Let a proposal run, or not. Raises Conflict where it is decided, or the table has changed since."""
    actor.require(Role.ADMIN, row.client.slug)
    row = Repricing.objects.select_for_update().select_related("client").get(pk=row.pk)
    if row.state != Repricing.PROPOSED:
        raise Conflict(f"It is {row.state} already.", "Look again.")
    if approve and version_of(row.client) != row.version:
        raise Conflict("The price table has changed since this was proposed.", "Refuse it and propose again.")
    row.state = Repricing.RUNNING if approve else Repricing.REFUSED
    row.decided_at, row.decided_by = clock.now(), actor.name
    row.save()
    deed = "repricing.approved" if approve else "repricing.refused"
    record(actor, deed, f"repricing/{row.pk}", row.client.slug, _told(row))
    return row


def work(now: datetime) -> None:
    """The duty `spend.reprice`: some hours of approved runs, so that other writers have their turn."""
    until = time.monotonic() + SECONDS_A_CYCLE
    for row in Repricing.objects.filter(state=Repricing.RUNNING).select_related("client").order_by("pk"):
        _go_on(row, until, now)


def _go_on(row: Repricing, until: float, now: datetime) -> None:
    """Each hour is one change of the store, noted after it: one that is done twice changes nothing more."""
    store, book = current(), book_of(row.client, row.version)
    left: Sequence[int] = repricing.hours(store.engine, row.client.slug, row.since, row.until)
    if row.done_hour is not None:
        left = [hour for hour in left if hour > row.done_hour]
    for hour in left:
        if time.monotonic() > until:
            return
        row.done_calls += repricing.reprice(store, str(row.pk), row.client.slug, hour, book)
        row.done_hour = hour
        row.save(update_fields=["done_hour", "done_calls"])
    with transaction.atomic():
        row.state, row.finished_at = Repricing.DONE, now
        row.save(update_fields=["state", "finished_at"])
        record(automation("spend.reprice"), "repricing.done", f"repricing/{row.pk}", row.client.slug, _told(row))
    log.info("repricing %s is done: %s calls cost something else now", row.pk, row.done_calls)
