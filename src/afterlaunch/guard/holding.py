"""Requests that wait for a person. The gateway asks with a digest; the row answers for it until it is used or too old.

1. `ask` opens a hold or tells of the one that there is: the same request asked again waits no second time. 2. A person
decides, once, in time, and not the one who asked. 3. `take` uses an approval: of two calls one gets it. 4. Past its
time the fallback of the policy follows. Decisions and what followed without one are evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from django.db import IntegrityError, transaction

from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound, Overloaded
from afterlaunch.ground.sensitive.patterns import masked
from afterlaunch.guard.actions import policies_seen_by_all, queue_by_name
from afterlaunch.guard.models import Hold
from afterlaunch.routes.models import GuardPolicy
from afterlaunch.telemetry.keeping.actions import rules
from afterlaunch.telemetry.keeping.content import OFF, ON, with_patterns

ENGINE = automation("guard")
MOST_WAITING = 1_000  # in one queue
LONGEST_CONTENT = 256 << 10


@dataclass(frozen=True)
class Question:
    """What a gateway tells of a request that a policy holds."""

    policy: str
    digest: str
    why: str
    content: str
    size: int
    call: str = ""
    path: str = ""
    tenant: str = ""
    agent: str = ""
    user: str = ""
    key: str = ""


def ask(actor: Actor, asked: Question) -> Hold:
    """Raises NotFound for a policy that is no more, Overloaded when the queue is full: then the policy's fail mode
    follows."""
    actor.require(Role.INGEST, None)
    if len(asked.digest) != 64 or not asked.digest.isalnum():
        raise Invalid("A digest is SHA-256, in hexadecimal.")
    policy = _policy(asked.policy)
    now = clock.now()
    for _ in range(2):
        found = Hold.objects.filter(current=asked.digest).first()
        if found is not None:
            settle(found, now)
            if found.stands_until is None or found.stands_until > now:
                return found
            Hold.objects.filter(pk=found.pk, current=asked.digest).update(current=None)
        try:
            with transaction.atomic():
                return _open(policy, asked, now)
        except IntegrityError:
            continue  # another worker asked at the same moment
    raise Overloaded("Many ask for the same request at the same moment.")


def _policy(name: str) -> GuardPolicy:
    pk = int(name) if name.isascii() and name.isdigit() and len(name) < 19 else 0
    row = policies_seen_by_all().filter(pk=pk, ended_at=None).first()
    if row is None or row.contract().approval is None:
        raise NotFound("There is no such policy that holds.")
    return row


def _open(policy: GuardPolicy, asked: Question, now: datetime) -> Hold:
    approval, route = policy.contract().approval, policy.route
    assert approval is not None, "asked before"
    queue = queue_by_name(route.system.client, approval.queue)
    if queue is None:
        raise NotFound(f"There is no approval queue {approval.queue!r}.")
    if Hold.objects.filter(queue=queue, state="waiting", until__gt=now).count() >= MOST_WAITING:
        raise Overloaded(f"The queue {queue} is full: {MOST_WAITING:,} requests wait in it.")
    capture, content = _kept(asked.content[:LONGEST_CONTENT], route.system.client.slug, route.system.key)
    return Hold.objects.create(
        queue=queue,
        policy=policy,
        digest=asked.digest,
        current=asked.digest,
        fallback=approval.fallback,
        asked_at=now,
        until=now + timedelta(seconds=approval.timeout),
        stands=int(approval.stands),
        why=asked.why[:300],
        call=asked.call[:64],
        path=asked.path[:300],
        tenant=asked.tenant[:256],
        agent=asked.agent[:256],
        user=asked.user[:256],
        key=asked.key[:20],
        size=max(0, min(asked.size, 1 << 30)),
        content=content.replace("\0", ""),
        capture=capture,
        cut=asked.size > len(asked.content.encode("utf-8", "replace")),
    )


def _kept(text: str, client: str, system: str) -> tuple[str, str]:
    """What the content policy lets be written."""
    rule = rules().of(client, system)
    if rule.capture == OFF:
        return rule.capture, ""
    if rule.capture == ON:
        return rule.capture, text
    return rule.capture, str(with_patterns(pa.array([masked(text)]), rule)[0].as_py())


def settle(hold: Hold, now: datetime) -> None:
    """Past its time without a decision."""
    if hold.state != "waiting" or hold.until > now:
        return
    stands = max(hold.until, now) + timedelta(seconds=hold.stands)
    with transaction.atomic():
        changed = Hold.objects.filter(pk=hold.pk, state="waiting").update(state="expired", stands_until=stands)
        if changed:
            details = {"digest": hold.digest, "policy": hold.policy.name, "fallback": hold.fallback}
            record(ENGINE, "held_request.expired", f"held_request/{hold.pk}", hold.queue.client.slug, details)
    hold.refresh_from_db()


def look(actor: Actor, ids: list[int]) -> list[Hold]:
    """For calls that wait."""
    actor.require(Role.INGEST, None)
    found = list(Hold.objects.filter(pk__in=ids[:500]).select_related("policy", "queue__client"))
    now = clock.now()
    for one in found:
        settle(one, now)
    return found


class _Used(Exception):
    pass


def take(actor: Actor, ids: list[int]) -> bool:
    """Use them, all or none."""
    actor.require(Role.INGEST, None)
    now = clock.now()
    try:
        with transaction.atomic():
            rows = list(Hold.objects.filter(pk__in=ids).select_related("policy", "queue__client").order_by("pk"))
            if not rows or len(rows) != len(set(ids)):
                raise _Used
            for row in rows:
                _take(row, now)
    except _Used:
        return False
    return True


def _take(row: Hold, now: datetime) -> None:
    good = row.state == "approved" or (row.state == "expired" and row.fallback == "allow")
    free = Hold.objects.filter(pk=row.pk, taken_at=None, state=row.state, stands_until__gt=now)
    if not good or not free.update(taken_at=now, current=None):
        raise _Used
    details = {"digest": row.digest, "policy": row.policy.name, "by": row.decided_by or "the fallback"}
    record(ENGINE, "held_request.let_through", f"held_request/{row.pk}", row.queue.client.slug, details)


def may_see(actor: Actor, hold: Hold) -> bool:
    """Its content, and decide."""
    return actor.may(Role.RESPONDER, hold.queue.client.slug)


def decide(actor: Actor, hold: Hold, approve: bool, reason: str) -> Hold:
    """By a person who may respond for the client, and did not ask; once, before its time is over, with a reason."""
    slug, now = hold.queue.client.slug, clock.now()
    actor.require(Role.RESPONDER, slug)
    if actor.kind != "person":
        raise NotAllowed("A held request is decided by a person.", "Sign in and decide on its page.")
    if hold.user and _same(actor, hold.user):
        raise NotAllowed("Whoever asked does not approve.", "Ask somebody else of the queue.")
    if not reason.strip():
        raise Invalid("A decision has a reason.")
    settle(hold, now)
    state = "approved" if approve else "denied"
    with transaction.atomic():
        stands = now + timedelta(seconds=hold.stands)
        changed = Hold.objects.filter(pk=hold.pk, state="waiting", until__gt=now).update(
            state=state, decided_at=now, decided_by=actor.name[:254], reason=reason.strip()[:500], stands_until=stands
        )
        if not changed:
            hold.refresh_from_db()
            raise Conflict(f"This request is {hold.state} already.", "Look at it again.")
        details: dict[str, Any] = {
            "digest": hold.digest, "policy": hold.policy.name, "route": hold.policy.route.name,
            "queue": hold.queue.name, "reason": reason.strip()[:500],
            "waited_seconds": int((now - hold.asked_at).total_seconds()),
        }  # fmt: skip
        record(actor, f"held_request.{state}", f"held_request/{hold.pk}", slug, details)
    hold.refresh_from_db()
    return hold


def _same(actor: Actor, user: str) -> bool:
    from afterlaunch.accounts.models import User

    names = {actor.name.lower()}
    row = User.objects.filter(pk=actor.user_id).first() if actor.user_id else None
    names |= {row.email.lower(), row.name.lower()} if row else set()
    return user.lower() in names - {""}
