"""Whether a first response will come in time, from whom will be paged and how fast they answer as a rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from afterlaunch.notify.models import Page
from afterlaunch.oncall.forecast import future_pages
from afterlaunch.oncall.models import Escalation
from afterlaunch.sla.models import Clock
from afterlaunch.sla.rules import FuturePage, Prediction, predict, usual_answer

LOOK_BACK = timedelta(days=90)
NEWEST = 200


def can_predict(row: Clock, now: datetime) -> bool:
    """Not where it is met, breached, stands still, or has no deadline."""
    ended = row.met_at or row.breached_at or row.superseded_at
    return row.kind == "response" and not ended and row.deadline is not None and row.deadline >= now


def prediction(row: Clock, now: datetime, paging: Escalation | None) -> Prediction | None:
    """`paging`: what is live about the clock's topic. None where there is nothing to predict."""
    if row.deadline is None or not can_predict(row, now):
        return None
    known: dict[int, timedelta] = {}
    pages: list[FuturePage] = []
    best: datetime | None = None
    for at, person, _ in future_pages(paging, now):
        if best is not None and at >= best:
            break  # nobody who is paged later answers sooner
        if person.pk not in known:
            known[person.pk] = usual_answer(answers_of(person.pk, now))
        pages.append(FuturePage(at, str(person), known[person.pk]))
        best = min(best or datetime.max.replace(tzinfo=UTC), at + known[person.pk])
        if at > row.deadline:
            break
    return predict(now, row.deadline, pages)


def answers_of(person: int, now: datetime) -> list[float]:
    """Seconds from the last page before it to the acknowledgement, of the person's newest ones within 90 days."""
    rows = Clock.objects.filter(met_by=person, met_at__gte=now - LOOK_BACK, kind="response", superseded_at=None)
    met = dict(rows.order_by("-met_at").values_list("topic", "met_at")[:NEWEST])
    found: dict[str, datetime] = {}
    paged = Page.objects.filter(topic__in=list(met), person=person, purpose="page").order_by("created_at")
    for topic, at in paged.values_list("topic", "created_at"):
        ends = met[topic]
        if ends is not None and at <= ends:
            found[topic] = at
    return [(ends - found[topic]).total_seconds() for topic, ends in met.items() if ends and topic in found]
