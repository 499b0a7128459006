"""Deeds on clocks. All run in the transaction of the deed that they belong to, which holds the topic (`lock`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from afterlaunch.calendars.business import Calendar
from afterlaunch.calendars.documents import frozen, thawed
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor, automation
from afterlaunch.ground.errors import NotFound
from afterlaunch.sla import policies
from afterlaunch.sla.due import Deadline, NeverOpen, Step, due, parts, paused, shifted
from afterlaunch.sla.events import Event, tell
from afterlaunch.sla.models import Clock
from afterlaunch.sla.pauses import Span, standing
from afterlaunch.sla.policies import Held
from afterlaunch.sla.rules import judge_clock
from afterlaunch.sla.spans import at_words
from afterlaunch.sla.targets import TITLES, Policy, Target, read_target

ENGINE = automation("engine")
UNMET = {"superseded_at": None, "met_at": None}


def start(
    actor: Actor,
    topic: str,
    system: System,
    kind: str,
    severity: str,
    started_at: datetime,
    now: datetime,
    party: str = "",
) -> Clock | None:
    """The clock that the client's policy promises, its inputs frozen beside the answer. None: nothing is promised. One
    that runs already is left alone: replays and late alerts never start it anew."""
    known = running(topic, kind, party)
    if known is not None:
        return known
    return _begin(topic, system, kind, severity, started_at, now, party, policies.policy_of(system.client, system.tier))


def promised(system: System, kind: str, severity: str, at: datetime) -> datetime | None:
    """When something that begins at `at` falls due by the client's matrix, without a clock of its own. None: nothing is
    promised, or it can't be counted."""
    target = policies.policy_of(system.client, system.tier).policy.target(kind, severity)
    if target is None:
        return None
    _, answer, known = _count(system, target, None, at)
    return answer.at if known else None


def promise(
    actor: Actor, topic: str, system: System, severity: str, now: datetime, at: datetime | None = None
) -> Clock:
    """The next update is promised for `at`, or for when the policy's cadence says. The one before is met now. Raises
    Invalid through the policy; where no cadence is promised, `at` is needed."""
    meet(actor, topic, now, kinds=("update",))
    Clock.objects.filter(topic=topic, kind="update", superseded_at=None).update(
        superseded_at=now, superseded_why="next_update", next_at=None
    )
    held = policies.policy_of(system.client, system.tier)
    if at is None:
        found = _begin(topic, system, "update", severity, now, now, "", held)
        if found is not None:
            return found
        raise NotFound(f"No cadence of updates is promised for {severity}.", "Say when the next one comes.")
    hours = policies.hours_of(system, "business-hours")
    target = Target("duration", "elapsed", int((at - now).total_seconds()), int((at - now).total_seconds()))
    said = Deadline(at, "said_by_a_person", {}, (Step(f"{actor.name} promised the next update for then.", at),))
    return _create(topic, system, "update", severity, now, now, "", held, target, hours, said)


def _begin(
    topic: str,
    system: System,
    kind: str,
    severity: str,
    started_at: datetime,
    now: datetime,
    party: str,
    held: Held,
    calendar: Calendar | None = None,
    tier: str = "",
) -> Clock | None:
    target = held.policy.target(kind, severity)
    if target is None:
        return None
    hours, answer, known = _count(system, target, calendar, started_at)
    return _create(topic, system, kind, severity, started_at, now, party, held, target, hours, answer, known, tier)


def _count(
    system: System, target: Target, calendar: Calendar | None, start_at: datetime
) -> tuple[Calendar, Deadline, bool]:
    """The calendar, the answer, and whether it is one: an incident opens also where no due time can be counted."""
    try:
        same = calendar is not None and calendar.name == target.calendar
        hours = calendar if calendar is not None and same else policies.hours_of(system, target.calendar)
    except NotFound:
        return policies.hours_of(system, "business-hours"), _none(target, "no_calendar", start_at), False
    try:
        return hours, due(target, hours, start_at), True
    except NeverOpen:
        return hours, _none(target, "calendar_never_opens", start_at), False


def _none(target: Target, why: str, start_at: datetime) -> Deadline:
    return Deadline(start_at, why, {}, (Step(f"Promised: {target.words()}."), Step(WHY_NONE[why])))


WHY_NONE = {
    "calendar_never_opens": "The calendar has no open second within 400 days, so no due time can be counted.",
    "no_calendar": "The policy names a calendar that does not exist, so no due time can be counted.",
}


def _create(
    topic: str,
    system: System,
    kind: str,
    severity: str,
    started_at: datetime,
    now: datetime,
    party: str,
    held: Held,
    target: Target,
    calendar: Calendar,
    answer: Deadline,
    known: bool = True,
    tier: str = "",
) -> Clock:
    row = Clock(
        topic=topic,
        client=system.client,
        system=system,
        kind=kind,
        party=party,
        tier=tier or system.tier,
        severity=severity,
        policy=held.policy.label,
        policy_version=held.row,
        target=target.document(),
        calendar=frozen(calendar),
        started_at=started_at,
        promised=answer.at if known else None,
        deadline=answer.at if known else None,
        candidates={name: at.isoformat() for name, at in answer.candidates.items()},
        reason=answer.reason,
        steps=[step.document() for step in answer.steps],
        next_at=now if known else None,
    )
    row.save(force_insert=True)
    return row


def running(topic: str, kind: str, party: str = "") -> Clock | None:
    return Clock.objects.filter(topic=topic, kind=kind, party=party, superseded_at=None).first()


def of_topics(topics: Iterable[str]) -> dict[str, list[Clock]]:
    """Every clock of each topic, in the order in which they began to run; one question for a whole list."""
    found: dict[str, list[Clock]] = {topic: [] for topic in topics}
    for row in Clock.objects.filter(topic__in=list(found)).order_by("pk"):
        found[row.topic].append(row)
    return found


def meet(
    actor: Actor, topic: str, at: datetime, kinds: tuple[str, ...] = ("response",), by: int | None = None
) -> list[Clock]:
    """Somebody able to act answered, sent the update or resolved it at `at`: met, or a breach that nobody had noticed
    yet. A second time changes nothing."""
    found = []
    for row in Clock.objects.filter(topic=topic, kind__in=kinds, **UNMET):
        _end_pause(row, at, "met", actor.name)
        row.met_at, row.met_by_id, row.next_at, row.predicted = at, by, None, ""
        state = judge_clock(row.deadline, at, at)
        if state.breached_at and row.breached_at is None:
            row.breached_at, row.noticed_at, row.cause = state.breached_at, at, "deadline"
        _save(row)
        found.append(row)
    return found


def end(topic: str, now: datetime, why: str) -> None:
    """What the topic names has ended without anybody answering: clocks stop, neither met nor breached from now on."""
    for row in Clock.objects.filter(topic=topic, **UNMET):
        _end_pause(row, now, why, "engine")
        row.superseded_at, row.superseded_why, row.next_at, row.predicted = now, why, None, ""
        _save(row)


def resume_all(topic: str, now: datetime) -> None:
    """It was reopened: a resolution that was met is not. The first response and its result stay."""
    for row in Clock.objects.filter(topic=topic, kind="resolution", superseded_at=None, met_at__isnull=False):
        row.met_at, row.met_by, row.next_at = None, None, now
        _save(row)


def breach(row: Clock, now: datetime) -> bool:
    """Stamp a passed deadline, at the deadline. True: it was not known before."""
    state = judge_clock(row.deadline, row.met_at, now, row.paused_at)
    if state.breached_at is None or row.breached_at is not None:
        return False
    row.breached_at, row.noticed_at, row.cause, row.predicted = state.breached_at, now, "deadline", ""
    return True


def replace(actor: Actor, topic: str, severity: str, now: datetime, why: str, tier: str = "") -> list[Clock]:
    """After a change of severity or tier, or when the start moved back: new clocks from the original start, with the
    calendar that was frozen then; elapsed and paused time are kept. A new deadline in the past is breached now, for
    this cause; an old breach stays on the old clock, which stays beside the new one."""
    found = []
    for old in Clock.objects.filter(topic=topic, superseded_at=None).select_related("system__client", "policy_version"):
        if old.kind not in TITLES or old.system is None or (old.kind == "update" and old.met_at is not None):
            continue
        held = _policy_then(old, tier or old.tier)
        fresh = anew(old, held, thawed(old.calendar), severity, now, why, tier or old.tier)
        if fresh is not None:
            found.append(fresh)
            _tell_replaced(actor, old, fresh, now, why)
    return found


def anew(
    old: Clock,
    held: Held,
    calendar: Calendar | None,
    severity: str,
    now: datetime,
    why: str,
    tier: str,
    started_at: datetime | None = None,
) -> Clock | None:
    """Another clock in the place of `old`, which is kept. None: nothing is promised any more."""
    assert old.system is not None
    old.superseded_at, old.superseded_why, old.next_at = now, why, None
    _save(old)
    start_at = started_at or old.started_at
    fresh = _begin(
        old.topic, old.system, old.kind, severity, start_at, now, old.party, held, calendar, tier or old.tier
    )
    if fresh is None:
        return None
    for pause in old.pauses.all():
        pause.pk, pause.clock = None, fresh
        pause.save(force_insert=True)
    fresh.met_at, fresh.met_by_id, fresh.paused_at = old.met_at, old.met_by_id, old.paused_at
    recount(fresh, now)
    state = judge_clock(fresh.deadline, old.met_at, now, fresh.paused_at)
    if state.verdict == "breached" and state.breached_at is not None:
        fresh.breached_at = state.breached_at if why in ("recalculated", "merged") else now
        fresh.noticed_at, fresh.cause = now, why
    fresh.next_at = None if fresh.met_at else now
    _save(fresh)
    return fresh


def _policy_then(old: Clock, tier: str) -> Held:
    """The version that was frozen; for another tier the one that was in force at the start."""
    if tier == old.tier:
        return policies.held(old.policy_version, tier)
    return policies.policy_of(old.client, tier, old.started_at)


def _tell_replaced(actor: Actor, old: Clock, fresh: Clock, now: datetime, why: str) -> None:
    details: dict[str, Any] = {
        "why": why,
        "old_deadline": text_of(old.deadline),
        "new_deadline": text_of(fresh.deadline),
        "old_severity": old.severity,
        "new_severity": fresh.severity,
        "old_tier": old.tier,
        "new_tier": fresh.tier,
    }
    said = f"{TITLES.get(fresh.kind, fresh.kind)} now due {words_of(fresh)}."
    if fresh.breached_at and not old.breached_at:
        said += " That is past: it is breached by this change."
    event = Event("clock.replaced", fresh.topic, fresh.client.slug, said, fresh.kind, bool(fresh.breached_at), details)
    tell(actor, event, now)


def merge(actor: Actor, twin: str, kept: str, started_at: datetime, now: datetime) -> None:
    """The duplicate's clocks move to the survivor, where they stand beside its own. The earlier start wins: when the
    survivor's start moved back, its clocks are counted anew from there."""
    Clock.objects.filter(topic=twin, superseded_at=None).update(
        superseded_at=now, superseded_why="merged", next_at=None
    )
    Clock.objects.filter(topic=twin).update(topic=kept)
    rows = Clock.objects.filter(
        topic=kept, superseded_at=None, started_at__gt=started_at, kind__in=("response", "resolution")
    )
    for old in rows.exclude(party="tier").select_related("system__client", "policy_version"):
        held = policies.held(old.policy_version, old.tier)
        fresh = anew(old, held, thawed(old.calendar), old.severity, now, "merged", old.tier, started_at)
        if fresh is not None:
            _tell_replaced(actor, old, fresh, now, "merged")


def target_of(row: Clock) -> Target:
    return read_target(row.target)


def policy_of(row: Clock) -> Policy:
    return policies.held(row.policy_version, row.tier).policy


def spans_of(row: Clock, policy: Policy, now: datetime) -> list[Span]:
    raw = [(one.started_at, one.ended_at) for one in row.pauses.all()]
    return standing(raw, now, policy.pause_one, policy.pause_total) if raw else []


def recount(row: Clock, now: datetime) -> None:
    """The deadline with the pauses up to now."""
    if row.promised is not None:
        row.deadline = shifted(target_of(row), thawed(row.calendar), row.promised, spans_of(row, policy_of(row), now))


def explained(row: Clock, now: datetime) -> list[dict[str, Any]]:
    """Every step of the count, frozen when it began, and what each pause moved."""
    if row.promised is None or not row.pauses.all():
        return list(row.steps)
    spans = spans_of(row, policy_of(row), now)
    whole = paused(Deadline(row.promised, row.reason), target_of(row), thawed(row.calendar), spans)
    return [*row.steps, *(step.document() for step in whole.steps)]


def thresholds(row: Clock, policy: Policy, now: datetime) -> list[tuple[int, datetime]]:
    """(percent, instant) at which so much of the promised time is used up, pauses left out."""
    if row.promised is None:
        return []
    target, calendar = target_of(row), thawed(row.calendar)
    whole = parts(target, calendar, row.started_at, row.promised, policy.warn_at)
    spans = spans_of(row, policy, now)
    return [(percent, shifted(target, calendar, at, spans)) for percent, at in zip(policy.warn_at, whole, strict=False)]


def words_of(row: Clock) -> str:
    """ "Tue 9 Jun 2026 08:30 (Europe/Berlin)", or that it can't be told."""
    if row.deadline is None:
        return "at no time that can be counted"
    calendar = thawed(row.calendar)
    return f"{at_words(row.deadline, calendar.zone_info)} ({calendar.zone})"


def text_of(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def seen_by(actor: Actor) -> QuerySet[Clock]:
    """Only those of clients that the actor may see."""
    rows, seen = Clock.objects.select_related("client", "system__client", "policy_version"), actor.sees()
    return rows if seen is None else rows.filter(client__slug__in=seen)


def _end_pause(row: Clock, at: datetime, why: str, by: str) -> None:
    if row.paused_at is None:
        return
    row.pauses.filter(ended_at=None).update(ended_at=at, ended_why=why, ended_by=by)
    row.paused_at = None
    recount(row, at)


def _save(row: Clock) -> None:
    """The caller holds the topic, or the fence."""
    row.turn += 1
    row.save()
