from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.accounts.models import User
from afterlaunch.guard import counting, holding, judging
from afterlaunch.guard.models import Hold, Queue
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall.escalation import catch_all
from afterlaunch.telemetry.keeping.actions import rules
from afterlaunch.telemetry.keeping.erasing import ERASED, Subject, digest_of
from afterlaunch.telemetry.keeping.models import Erasure

AT_ONCE = 500
ERASURES = timedelta(days=7)  # so long each is looked at: one that was asked for while nothing ran is not missed
KEPT = timedelta(days=400)  # of what was held, without its content


def judge(now: datetime) -> None:
    """Rising rates of matches, exceptions and overrides become verdicts."""
    judging.judge(now)


def wait(now: datetime) -> None:
    """What nobody decided in time expires; owners hear of what waits too long, and hear again while it does."""
    late = Hold.objects.filter(state="waiting", until__lte=now).select_related("policy", "queue__client")
    for hold in late.order_by("until", "pk")[:AT_ONCE]:
        holding.settle(hold, now)
    waiting = Hold.objects.filter(state="waiting", until__gt=now).select_related("queue__client", "queue__owner")
    found: dict[Queue, list[Hold]] = defaultdict(list)
    for hold in waiting.defer("content").order_by("asked_at", "pk"):
        found[hold.queue].append(hold)
    for queue, holds in found.items():
        _tell(queue, holds, now)


def _tell(queue: Queue, holds: list[Hold], now: datetime) -> None:
    """One notice for all that wait too long."""
    after = timedelta(seconds=queue.tell_after)
    late = [one for one in holds if (one.told_at or one.asked_at) + after <= now]
    if not late:
        return
    with transaction.atomic():
        told = Hold.objects.filter(pk__in=[one.pk for one in late], state="waiting").update(told_at=now)
        if not told:
            return
        age = int((now - holds[0].asked_at).total_seconds() // 60)
        facts = {
            "type": "approval.waiting",
            "title": f"{len(holds)} held {'request waits' if len(holds) == 1 else 'requests wait'} in {queue.name}",
            "severity": "P2",
            "lines": [f"The oldest one waits {age} minutes.", "Without a decision the policy's fallback follows."],
            "path": "/guard/approvals",
        }
        occurrence = f"hold-{late[0].pk}-{now:%Y%m%dT%H%M}"
        for person in _owners(queue, late[0]):
            enqueue(person, Notice(f"approval_queue/{queue.pk}", occurrence, queue.client.slug, facts, "notice"), now)


def _owners(queue: Queue, hold: Hold) -> list[User]:
    if queue.owner is not None and queue.owner.is_active:
        return [queue.owner]
    return list(catch_all(hold.policy.route.system))


def tidy(now: datetime) -> None:
    """Forget old counts, and the content of held requests with the client's other content."""
    counting.forget(now)
    kept = rules()
    clients = Hold.objects.exclude(content="").values_list("queue__client__slug", flat=True).distinct().order_by()
    for slug in list(clients):
        before = now - timedelta(days=kept.days_of(slug)["content"])
        old = Hold.objects.filter(queue__client__slug=slug, asked_at__lt=before).exclude(content="")
        old.update(content="", content_gone_at=now)
    _erase(now)
    Hold.objects.filter(asked_at__lt=now - KEPT).exclude(state="waiting").delete()


def _erase(now: datetime) -> None:
    """What is held of users and tenants whose telemetry was to be erased: their names and the content."""
    for one in Erasure.objects.filter(asked_at__gt=now - ERASURES, kind__in=("user", "tenant")).select_related(
        "client"
    ):
        rows = Hold.objects.filter(queue__client=one.client, asked_at__lte=one.asked_at).exclude(**{one.kind: ""})
        named = rows.values_list(one.kind, flat=True).distinct().order_by()
        slug = one.client.slug
        found = [name for name in named if digest_of(one.salt, Subject(slug, one.kind, name)) == one.digest]
        gone = {one.kind: ERASED, "content": "", "content_gone_at": now}
        rows.filter(**{f"{one.kind}__in": found}).update(**gone)
