"""The auditor's part in the outbox, its runs, and the watch outside of this installation.

Every finding is mended by sending again: a page may arrive twice, it may not be lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.outbound import Refused, Unreachable, post
from afterlaunch.ground.settings import settings
from afterlaunch.notify.models import LIVE, AuditRun, Page
from afterlaunch.notify.rules import LEASE_SECONDS

LATE = timedelta(minutes=2)
LOOK_BACK = timedelta(hours=1)
KEPT = timedelta(days=30)
STALE = timedelta(minutes=5)  # an audit older than this is told as such


@dataclass(frozen=True)
class Finding:
    """`what` names the rule that was broken, `subject` the row, `mended` what was done about it."""

    what: str
    subject: str
    client: str
    mended: str


def audit_outbox(now: datetime) -> list[Finding]:
    """Pages that are due and not taken, under a lease that ended long ago, or in a message that went without them."""
    found: list[Finding] = []
    earlier = Page.objects.filter(channel=OuterRef("channel"), topic=OuterRef("topic"), pk__lt=OuterRef("pk"))
    blocked = Exists(earlier.filter(state__in=LIVE, channel__isnull=False))
    late = Page.objects.filter(state="pending", due_at__lt=now - LATE, carrier=None).exclude(blocked)
    found += _again(late, "pending_past_due", now, {})
    dead = Page.objects.filter(state="leased", carrier=None, lease_until__lt=now - clock.lease(LEASE_SECONDS))
    found += _again(dead, "lease_too_old", now, {})
    settled = ~Q(carrier__state__in=LIVE)
    orphans = Page.objects.filter(settled, state__in=LIVE, carrier__isnull=False)
    found += _again(orphans, "its_message_went_without_it", now, {"carrier": None})
    return found


def _again(rows: QuerySet[Page], what: str, now: datetime, changes: dict[str, Any]) -> list[Finding]:
    """Due at once and free to be taken; the fence moves, so that whoever held it changes nothing any more."""
    pages = list(rows.values_list("pk", "key", "client")[:1000])
    if not pages:
        return []
    with transaction.atomic():
        Page.objects.filter(pk__in=[pk for pk, _, _ in pages], state__in=LIVE).update(
            state="pending", due_at=now, held="", lease_until=None, fence=F("fence") + 1, **changes
        )
    return [Finding(what, key, client, "sent again") for _, key, client in pages]


def decided_without_row(now: datetime) -> list[dict[str, Any]]:
    """What the evidence says was decided lately and no row knows: topic, occurrence, person, client."""
    decided: dict[int, dict[str, Any]] = {}
    entries = Entry.objects.filter(deed="page.decided", at__gt=now - LOOK_BACK).values_list("subject", "client", "body")
    for subject, client, body in entries:
        details = json.loads(bytes(body))["details"]
        decided[int(details["page"])] = {"topic": subject, "client": client, **details}
    there = set(Page.objects.filter(pk__in=decided).values_list("pk", flat=True))
    lost = [told for pk, told in decided.items() if pk not in there]
    if not lost:
        return []
    same = Page.objects.filter(topic__in={told["topic"] for told in lost})
    again = set(same.values_list("topic", "occurrence", "person_id"))  # decided anew by an audit before
    return [told for told in lost if (told["topic"], told["occurrence"], told["person"]) not in again]


def note_run(found: Sequence[Finding], looked_at: int, now: datetime) -> AuditRun:
    AuditRun.objects.filter(at__lt=now - KEPT).delete()
    findings = [asdict(one) for one in found[:100]]
    return AuditRun.objects.create(at=now, well=not found, looked_at=looked_at, repairs=len(found), findings=findings)


def ping_outside(run: AuditRun) -> None:
    """Tell the watch outside that paging works: only after an audit that found nothing. Its silence is the alarm, so
    a failure here is noted and nothing else."""
    url = settings().text("DEADMAN_URL")
    if not url or not run.well:
        return
    try:
        answer = post(url, b"", [("User-Agent", "Afterlaunch")])
        run.ping = f"answered {answer.status}"
        run.pinged_at = clock.now() if 200 <= answer.status < 300 else None
    except Refused as problem:
        run.ping = problem.message[:300]
    except Unreachable as problem:
        run.ping = str(problem)[:300]
    run.save(update_fields=["pinged_at", "ping"])


@dataclass(frozen=True)
class Health:
    """What a page, `doctor` and the metrics tell of the auditor. Ages in seconds; None is unknown."""

    newest: AuditRun | None
    clean_age: float | None
    ping_age: float | None
    watched: bool
    repairs_today: int

    @property
    def state(self) -> str:
        if self.clean_age is None:
            return "not_assessed"
        if self.clean_age > STALE.total_seconds():
            return "breach"
        return "ok" if self.watched and self.ping_age is not None and self.ping_age <= 600 else "warning"


def health(now: datetime) -> Health:
    runs = AuditRun.objects.order_by("-at", "-pk")
    clean, pinged = runs.filter(well=True).first(), runs.filter(pinged_at__isnull=False).first()
    today = runs.filter(at__gt=now - timedelta(days=1), repairs__gt=0).values_list("repairs", flat=True)
    return Health(
        newest=runs.first(),
        clean_age=(now - clean.at).total_seconds() if clean else None,
        ping_age=(now - pinged.pinged_at).total_seconds() if pinged and pinged.pinged_at else None,
        watched=bool(settings().text("DEADMAN_URL")),
        repairs_today=sum(today),
    )


def summary(found: Iterable[Finding]) -> str:
    """ "pending past due: 3; lease too old: 1"."""
    counts: dict[str, int] = {}
    for one in found:
        counts[one.what] = counts.get(one.what, 0) + 1
    return "; ".join(f"{what.replace('_', ' ')}: {number}" for what, number in counts.items())
