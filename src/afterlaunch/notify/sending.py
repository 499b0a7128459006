"""Leasing what is due, and writing down what came of it. Every update names the fence that it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q

from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.notify import channels
from afterlaunch.notify.kinds import kinds
from afterlaunch.notify.models import LIVE, Channel, Page, Thread
from afterlaunch.notify.outbox import Notice, contacts_of, enqueue_to
from afterlaunch.notify.planning import Hold, Plan, Send, Sent, Waiting, plan
from afterlaunch.notify.rules import LEASE_SECONDS, Outcome, after
from afterlaunch.notify.throttles import LONGEST

MOST = 2000  # pages that one plan looks at, the gravest first


def claim(now: datetime, limit: int) -> list[Page]:
    """Lease what is due, or what a dead sender left leased: the pages that lead a message, at most `limit`."""
    waiting = _waiting(now)
    if not waiting:
        return []
    made = plan(waiting, _sent(now), now, limit, _blocked(waiting))
    _hold(made.holds)
    return _lease(made, now)


def _ready(now: datetime) -> Q:
    return Q(state="pending", due_at__lte=now) | Q(state="leased", lease_until__lte=now)


def _waiting(now: datetime) -> list[Waiting]:
    fields = ("pk", "contact_id", "channel_id", "person_id", "kind", "medium", "purpose", "topic", "service", "rank")
    due = Page.objects.filter(_ready(now), carrier=None).order_by("rank", "due_at", "pk")
    rows = due.values_list(*fields, "created_at", "attempts")[:MOST]
    known = kinds()
    return [
        Waiting(
            pk,
            f"c{contact}" if contact else f"h{channel}",
            person,
            kind,
            medium,
            purpose,
            topic,
            service,
            rank,
            created_at,
            bundles=known[kind].bundles,
            ordered=known[kind].ordered,
            begun=attempts > 0,
        )
        for pk, contact, channel, person, kind, medium, purpose, topic, service, rank, created_at, attempts in rows
        if kind in known
    ]


def _sent(now: datetime) -> Iterable[Sent]:
    rows = Page.objects.filter(taken_at__gt=now - LONGEST, carrier=None).values_list(
        "contact_id", "channel_id", "person_id", "kind", "purpose", "rank", "taken_at"
    )
    for contact, channel, person, kind, purpose, rank, at in rows:
        if at is not None:
            yield Sent(f"c{contact}" if contact else f"h{channel}", person, kind, purpose, rank, at)


def _blocked(waiting: Sequence[Waiting]) -> dict[tuple[str, str], int]:
    """The first page of each ordered thread that is not settled, also where it is being sent or waits for a retry."""
    topics = {one.topic for one in waiting if one.ordered}
    if not topics:
        return {}
    rows = Page.objects.filter(state__in=LIVE, channel__isnull=False, topic__in=topics).order_by("-pk")
    return {(f"h{channel}", topic): pk for pk, channel, topic in rows.values_list("pk", "channel_id", "topic")}


def _hold(holds: Iterable[Hold]) -> None:
    together: dict[tuple[datetime, str], list[int]] = defaultdict(list)
    for hold in holds:
        together[hold.until, hold.why].extend(hold.pages)
    for (until, why), pages in together.items():
        Page.objects.filter(pk__in=pages, state="pending").update(due_at=until, held=why[:80])


@transaction.atomic
def _lease(made: Plan, now: datetime) -> list[Page]:
    """Whoever updates the row first has it: rows that another sender is taking are skipped, not waited for."""
    if not made.sends:
        return []
    rows = Page.objects.filter(_ready(now), pk__in=[send.leader for send in made.sends])
    rows = rows.select_related("contact", "channel", "person")
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(of=("self",), skip_locked=True)
    free = {page.pk: page for page in rows}
    mine = [send for send in made.sends if send.leader in free]
    until = now + clock.lease(LEASE_SECONDS)
    taking = {"state": "leased", "lease_until": until, "held": ""}
    again = {"fence": F("fence") + 1, "attempts": F("attempts") + 1}
    fresh = [page.pk for page in free.values() if page.taken_at is None]
    others = [pk for pk in free if pk not in fresh]
    if fresh:
        Page.objects.filter(pk__in=fresh).update(**taking, **again, taken_at=now)
    if others:
        Page.objects.filter(pk__in=others).update(**taking, **again)
    for send in mine:
        page = free[send.leader]
        page.carries = bool(send.carried) or page.attempts > 0
        if page.carries:
            _carry(send, now, until)
        page.state, page.lease_until, page.held = "leased", until, ""
        page.fence, page.attempts, page.taken_at = page.fence + 1, page.attempts + 1, page.taken_at or now
    return [free[send.leader] for send in mine]


def _carry(send: Send, now: datetime, until: datetime) -> None:
    """Pages told in a message share its lease; which ones is fixed with the first attempt."""
    told = Page.objects.filter(carrier_id=send.leader, state="pending")
    told.update(state="leased", lease_until=until)
    if send.carried:
        fresh = Page.objects.filter(pk__in=send.carried, state="pending", carrier=None)
        fresh.update(state="leased", carrier_id=send.leader, lease_until=until, taken_at=now, held="")


@transaction.atomic
def settle(page: Page, outcome: Outcome, now: datetime) -> bool:
    """Write what came of an attempt. False: the lease was lost meanwhile and nothing was changed."""
    step = after(outcome, page.attempts)
    mine = Page.objects.filter(pk=page.pk, fence=page.fence, state="leased")
    carried = Page.objects.filter(carrier_id=page.pk, state="leased")
    if step.do == "accept":
        done = {"state": outcome.result, "accepted_at": now, "lease_until": None, "error": ""}
        if outcome.result == "delivered":
            done["delivered_at"] = now
        if not mine.update(**done, receipt=outcome.receipt[:300]):
            return False
        if page.carries:
            carried.update(**done)
        _remember_place(page, outcome)
        return True
    if step.do == "retry":
        return _again(page, outcome, now + clock.lease(step.wait))
    if not mine.update(state="failed", failed_at=now, lease_until=None, error=outcome.why[:500]):
        return False
    told = list(carried.select_related("contact", "person", "channel"))
    carried.update(state="failed", failed_at=now, lease_until=None, error=outcome.why[:500])
    if outcome.gone and page.channel_id is not None:
        Channel.objects.filter(pk=page.channel_id, disabled_at=None).update(
            disabled_at=now, disabled_why=outcome.why[:300]
        )
    for one in (page, *told):
        _give_up(one, step.reason, now)
    return True


def _again(page: Page, outcome: Outcome, due: datetime) -> bool:
    """What is no longer needed is not tried again."""
    mine = Page.objects.filter(pk=page.pk, fence=page.fence, state="leased")
    needed = {"state": "pending", "due_at": due, "lease_until": None, "error": outcome.why[:500]}
    live = Page.objects.filter(Q(pk=page.pk) | Q(carrier_id=page.pk), state="leased", over=False)
    if live.exists():
        if not mine.update(**needed):
            return False
        Page.objects.filter(carrier_id=page.pk, state="leased").update(state="pending", lease_until=None)
        return True
    if not mine.update(state="withdrawn", lease_until=None, error=outcome.why[:500]):
        return False
    Page.objects.filter(carrier_id=page.pk, state="leased").update(state="withdrawn", lease_until=None)
    return True


def _remember_place(page: Page, outcome: Outcome) -> None:
    if outcome.place is not None and page.channel_id is not None:
        Thread.objects.filter(channel_id=page.channel_id, topic=page.topic).update(place=dict(outcome.place))


def _give_up(page: Page, reason: str, now: datetime) -> None:
    """In the transaction of the failure: the same notice to the person's next method, due at once. A page that no
    method took is told to the client's channels."""
    following = None
    if page.purpose == "page" and page.person is not None and not page.over:
        following = _next_method(page, now)
    details = {"page": page.pk, "reason": reason, "next_contact": following}
    record(automation("engine"), "page.failed", page.topic, page.client or None, details)
    if page.purpose == "page" and page.person is not None and following is None and not page.over:
        facts = {
            "type": "page.failed",
            "title": f"A page to {page.person} could not be sent: {page.facts.get('title', '')}",
            "lines": ["None of their contact methods took it. Whoever is next is paged by the escalation policy."],
            "severity": page.facts.get("severity", ""),
            "system": page.service,
            "path": page.facts.get("path", ""),
        }
        channels.announce(page.client, Notice(page.topic, f"f{page.pk}", page.client, facts, "status"), now)


def _next_method(page: Page, now: datetime) -> int | None:
    """The next one that a rule plans for later is tried now; else the first that was not tried."""
    same = Page.objects.filter(topic=page.topic, occurrence=page.occurrence, person=page.person)
    planned = same.filter(state="pending", due_at__gt=now).order_by("due_at", "pk").first()
    if planned is not None and Page.objects.filter(pk=planned.pk, state="pending").update(due_at=now, held=""):
        return planned.contact_id
    if same.filter(state__in=LIVE).exists():
        return same.filter(state__in=LIVE).values_list("contact_id", flat=True).first()
    assert page.person is not None
    following = contacts_of(page.person).exclude(pk__in=same.values("contact_id")).first()
    if following is None:
        return None
    enqueue_to(following, Notice(page.topic, page.occurrence, page.client, page.facts), now)
    return following.pk


def stale(now: datetime, past: timedelta) -> Q:
    """Pages that should have moved: due and not taken, or under a lease that ended, for so long."""
    before = now - past
    return Q(state="pending", due_at__lt=before, carrier=None) | Q(state="leased", lease_until__lt=before, carrier=None)
