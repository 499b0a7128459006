"""What is due of running clocks: pauses that end, warnings, breaches, predictions. Only due rows are read."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall import escalation
from afterlaunch.oncall.forecast import live
from afterlaunch.oncall.models import Escalation
from afterlaunch.sla import actions, clocks
from afterlaunch.sla.events import Event, lock, tell
from afterlaunch.sla.forecast import can_predict, prediction
from afterlaunch.sla.models import Clock
from afterlaunch.sla.rules import judge_clock, thresholds_passed
from afterlaunch.sla.spans import until
from afterlaunch.sla.targets import TITLES

ENGINE = automation("engine")
BATCH = 200
BUDGET = 0.8  # real seconds of one run; the rest is taken up in the next cycle
LOOK_AGAIN = timedelta(minutes=15)
LATER = timedelta(minutes=1)


def look_after(now: datetime) -> bool:
    """Every clock whose `next_at` has come, each in a transaction of its own. One that fails is put off for a minute,
    stops nobody else, and is told when the others are done. True: time ran out, and the rest is for the next cycle."""
    problems: list[Exception] = []
    passed, more = clock.stopwatch(), False
    while not more:
        due = Clock.objects.filter(next_at__lte=now).order_by("next_at", "pk")
        rows = list(due.values_list("pk", "topic", "turn")[:BATCH])
        for pk, topic, turn in rows:
            if more := passed() > BUDGET:
                break
            try:
                attend(pk, topic, turn, now)
            except Exception as problem:  # noqa: BLE001 - raised below, after the others had their turn
                Clock.objects.filter(pk=pk, turn=turn).update(next_at=now + LATER)
                problems.append(problem)
        if len(rows) < BATCH:
            break
    if problems:
        raise ExceptionGroup("clocks that could not be looked after", problems)
    return more


def without_timer(now: datetime) -> list[tuple[str, str]]:
    """Clocks that run and that nobody would look at: their timer is set, and (topic, client) of each is told."""
    lost = Clock.objects.filter(next_at=None, met_at=None, breached_at=None, superseded_at=None, deadline__isnull=False)
    found = list(lost.values_list("pk", "topic", "client__slug"))
    Clock.objects.filter(pk__in=[pk for pk, _, _ in found]).update(next_at=now)
    return [(topic, client) for _, topic, client in found]


@transaction.atomic
def attend(pk: int, topic: str, turn: int, now: datetime) -> bool:
    """Do what is due of one clock. False: somebody was quicker."""
    lock(topic)
    if not Clock.objects.filter(pk=pk, turn=turn, topic=topic).update(turn=turn + 1):
        return False
    row = Clock.objects.select_related("client", "system__client", "system__owner", "policy_version").get(pk=pk)
    if row.paused_at is not None and not _pause_ends(row, now):
        row.save()
        return True
    if clocks.breach(row, now):
        row.next_at = None
        _say(row, "clock.breached", _breached(row), now, deadline=row.deadline.isoformat() if row.deadline else None)
    elif row.met_at is None and row.breached_at is None and row.superseded_at is None and row.deadline is not None:
        row.next_at = min([row.deadline + timedelta(microseconds=1), *_warn(row, now), *_predict(row, now)])
    else:
        row.next_at = None
    row.save()
    return True


def _pause_ends(row: Clock, now: datetime) -> bool:
    """True: it runs again. Else `next_at` is when the pause is looked at next."""
    pause = row.pauses.filter(ended_at=None).order_by("pk").last()
    if pause is None:
        row.paused_at = None
        return True
    ends, why = (pause.cap_at, "cap")
    if pause.resume_at is not None and pause.resume_at <= pause.cap_at:
        ends, why = pause.resume_at, "rule"
    if ends <= now:
        actions.resumed(ENGINE, row, ends, now, why)
        return True
    near = actions.cap_is_near(pause, now)
    if why == "cap" and pause.told_at is None and near <= now:
        pause.told_at = now
        pause.save(update_fields=["told_at"])
        said = f"{_title(row)} stands still and runs again by itself {until(now, pause.cap_at)}, at its cap."
        _say(row, "clock.cap_near", said, now, cap=pause.cap_at.isoformat())
    row.next_at = ends if why == "rule" or near <= now else near
    return False


def _warn(row: Clock, now: datetime) -> list[datetime]:
    """Tells what share of the time is newly used up; returns when the next one is. What was missed is told once."""
    at = clocks.thresholds(row, clocks.policy_of(row), now)
    passed = thresholds_passed(row.warned, at, now)
    if passed and row.deadline is not None:
        row.warned = sorted({*row.warned, *passed})
        said = f"{max(passed)} % of the time for the {_name(row)} is used up; due {until(now, row.deadline)}"
        _say(row, "clock.warned", f"{said}, {clocks.words_of(row)}.", now, percent=max(passed))
    return [instant for percent, instant in at if percent not in row.warned and instant > now]


def _predict(row: Clock, now: datetime) -> list[datetime]:
    """Raises a predicted breach once, and takes it back when the path looks well again; returns when to look next."""
    paging = live(row.topic) if can_predict(row, now) else None
    found = prediction(row, now, paging)
    if found is None:
        return []
    if not found.late:
        row.predicted = ""
    elif not row.predicted:
        row.predicted = found.why[:300]
        _say(row, "clock.breach_predicted", f"{_title(row)} {found.why}.", now, reason=found.reason)
        if clocks.policy_of(row).escalate_early:
            _escalate_early(row, paging, now)
            paging = live(row.topic)
    else:
        row.predicted = found.why[:300]
    if paging is None or paging.next_at is None:
        return []
    return [min(max(paging.next_at, now) + timedelta(seconds=1), now + LOOK_AGAIN)]


def _escalate_early(row: Clock, paging: Escalation | None, now: datetime) -> None:
    """The policy says so: the next step is performed now."""
    if paging is not None:
        escalation.advance(paging, now)
        said = "The next step of the escalation is taken now, since the promise would not hold."
        _say(row, "clock.escalated_early", said, now, turn=paging.turn)


def _say(row: Clock, name: str, text: str, now: datetime, **details: object) -> None:
    """Evidence, the rooms above, and one message to whom the system belongs."""
    event = Event(name, row.topic, row.client.slug, text, row.kind, True, {"clock_id": row.pk, **details})
    tell(ENGINE, event, now)
    if row.system is None:
        return
    facts = {
        "type": name,
        "title": text,
        "severity": row.severity,
        "system": str(row.system),
        "lines": [text, f"About {row.topic.replace('/', ' ')}, {row.system}."],
        "path": row.get_absolute_url(),
    }
    occurrence = f"clock{row.pk}-{name.partition('.')[2]}-{details.get('percent', row.turn)}"
    for person in escalation.catch_all(row.system):
        enqueue(person, Notice(row.topic, occurrence[:60], row.client.slug, facts, "notice"), now)


def _breached(row: Clock) -> str:
    state = judge_clock(row.deadline, row.met_at, row.deadline) if row.deadline else None
    tail = "nobody had acknowledged" if row.kind == "response" else "it had not come"
    at = f"{row.deadline:%Y-%m-%d %H:%M} UTC" if row.deadline and state else "no known time"
    return f"{_title(row)} was due at {at}; {tail}."


def _name(row: Clock) -> str:
    party = {"internal": " of the internal team", "tier": " of the escalation tier"}.get(row.party, "")
    return TITLES.get(row.kind, row.get_kind_display()).lower() + party


def _title(row: Clock) -> str:
    return f"The {_name(row)}"
