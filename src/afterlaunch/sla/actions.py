"""What people do to a running clock: pause and resume it, count it anew, give the thing another tier."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.calendars.business import intervals
from afterlaunch.calendars.documents import thawed
from afterlaunch.estate.models import TIERS
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.sla import clocks, policies
from afterlaunch.sla.events import Event, lock, tell
from afterlaunch.sla.models import Clock, Pause
from afterlaunch.sla.pauses import REASONS, ends_by_cap
from afterlaunch.sla.spans import at_words, words
from afterlaunch.sla.targets import PAUSABLE, TITLES


def clock_by_id(actor: Actor, pk: int) -> Clock:
    row = clocks.seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no clock {pk}.")
    return row


def held(actor: Actor, row: Clock, role: Role = Role.RESPONDER) -> Clock:
    """The clock with its topic held; permission asked."""
    actor.require(role, row.client.slug)
    lock(row.topic)
    return clocks.seen_by(actor).select_for_update(of=("self",)).get(pk=row.pk)


def _require_running(row: Clock) -> None:
    if row.superseded_at is not None or row.met_at is not None:
        raise Conflict("This clock does not run any more.", "Read it again.")


@transaction.atomic
def pause(
    actor: Actor, row: Clock, reason: str, resume_at: datetime | None = None, note: str = "", by_hand: bool = False
) -> Pause:
    """The clock stands still until `resume_at`, or until somebody resumes it by hand: one of the two must be said. A
    first response can't be paused, and a breach is not undone by it. Raises Invalid, Conflict."""
    fresh = held(actor, row)
    _require_running(fresh)
    _may_pause(actor, fresh, reason)
    now = clock.now()
    if (resume_at is None) != by_hand:
        raise Invalid("A pause needs its end: an instant, or that somebody resumes it by hand.", "Say one of the two.")
    if resume_at is not None and (resume_at.tzinfo is None or resume_at <= now):
        raise Invalid("A pause ends later than now.", "Give a time to come, with its zone.")
    policy = clocks.policy_of(fresh)
    raw = [(one.started_at, one.ended_at) for one in fresh.pauses.all()]
    cap = ends_by_cap(raw, now, policy.pause_one, policy.pause_total)
    if cap <= now:
        raise Conflict(f"This clock has stood still for {words(policy.pause_total)} already.", "It can't be paused.")
    made = Pause.objects.create(
        clock=fresh,
        reason=reason,
        note=note.strip()[:500],
        started_at=now,
        resume_at=resume_at,
        cap_at=cap,
        by=actor.name,
    )
    fresh.paused_at, fresh.next_at, fresh.turn = now, now, fresh.turn + 1
    fresh.save(update_fields=["paused_at", "next_at", "turn"])
    zone = thawed(fresh.calendar).zone_info
    until = (
        f"until {at_words(resume_at, zone)}"
        if resume_at
        else f"until somebody resumes it, at the latest {at_words(cap, zone)}"
    )
    said = f"{_title(fresh)} stands still: {REASONS[reason].lower()}, {until}."
    details = {"clock_id": fresh.pk, "reason": reason, "resume_at": clocks.text_of(resume_at), "cap": cap.isoformat()}
    tell(actor, Event("clock.paused", fresh.topic, fresh.client.slug, said, fresh.kind, details=details), now)
    return made


def _may_pause(actor: Actor, row: Clock, reason: str) -> None:
    if row.kind not in PAUSABLE:
        raise Invalid(f"{_title(row)} can't be paused.", f"What can be: {', '.join(PAUSABLE)}.")
    if reason not in REASONS:
        raise Invalid(f"{reason!r} is no reason for a pause.", f"Use one of {', '.join(REASONS)}.")
    if actor.kind == "automation":
        raise NotAllowed("A pause is a person's.", "Pause it on its page.")
    if row.paused_at is not None:
        raise Conflict("It stands still already.", "Resume it first.")
    if row.deadline is None:
        raise Conflict("It has no due time that a pause could move.")
    if row.breached_at is not None or clock.now() > row.deadline:
        raise Conflict("It is breached; a pause does not undo that.")


@transaction.atomic
def resume(actor: Actor, row: Clock) -> Clock:
    """The clock runs again; its deadline has moved by what would have counted. Twice changes nothing."""
    fresh = held(actor, row)
    _require_running(fresh)
    if fresh.paused_at is not None:
        resumed(actor, fresh, clock.now(), clock.now(), "by_hand")
    return fresh


def resumed(actor: Actor, row: Clock, at: datetime, now: datetime, why: str) -> None:
    """The pause ended at `at`. The caller holds the topic."""
    row.pauses.filter(ended_at=None).update(ended_at=at, ended_why=why, ended_by=actor.name)
    row.paused_at, row.next_at, row.turn = None, now, row.turn + 1
    clocks.recount(row, at)
    row.save()
    how = {"by_hand": f"{actor.name} resumed it", "rule": "as was agreed", "cap": "its cap is reached"}[why]
    said = f"{_title(row)} runs again ({how}); due {clocks.words_of(row)}."
    details = {"clock_id": row.pk, "why": why, "deadline": clocks.text_of(row.deadline)}
    tell(actor, Event("clock.resumed", row.topic, row.client.slug, said, row.kind, why == "cap", details), now)


@transaction.atomic
def recalculate(actor: Actor, row: Clock, reason: str) -> Clock:
    """Count it anew with the policy, calendar, holidays and zone data of today, from the same start; the old deadline
    stays beside the new one. Raises Invalid, Conflict."""
    fresh = held(actor, row, Role.OPERATOR)
    if fresh.superseded_at is not None:
        raise Conflict("This clock was replaced already.", "Count the newer one anew.")
    if not reason.strip():
        raise Invalid("Counting anew needs a reason.")
    if fresh.kind not in TITLES or fresh.system is None:
        raise Invalid("This clock has no policy to be counted by.")
    now = clock.now()
    latest = policies.policy_of(fresh.client, fresh.tier)
    made = clocks.anew(fresh, latest, None, fresh.severity, now, "recalculated", fresh.tier)
    if made is None:
        raise Conflict("The policy of today promises nothing for it.", "The old clock stays.")
    said = (
        f"{_title(made)} counted anew: due {clocks.words_of(made)}, before {clocks.words_of(fresh)}. {reason.strip()}"
    )
    details = {
        "clock_id": made.pk,
        "old_clock": fresh.pk,
        "old_deadline": clocks.text_of(fresh.deadline),
        "new_deadline": clocks.text_of(made.deadline),
        "reason": reason.strip()[:200],
    }
    tell(actor, Event("clock.recalculated", made.topic, made.client.slug, said, made.kind, details=details), now)
    return made


@transaction.atomic
def change_tier(actor: Actor, row: Clock, tier: str, reason: str) -> list[Clock]:
    """Every clock of the topic by the other tier, from the original start. Raises Invalid."""
    fresh = held(actor, row, Role.OPERATOR)
    if tier not in dict(TIERS):
        raise Invalid(f"{tier!r} is no tier.", f"Use {' or '.join(name for name, _ in TIERS)}.")
    if not reason.strip():
        raise Invalid("Another tier needs a reason.")
    return clocks.replace(actor, fresh.topic, fresh.severity, clock.now(), "tier_change", tier)


def cap_is_near(row: Pause, now: datetime) -> datetime:
    """When the owner is told that the cap comes: one business hour before it."""
    calendar = thawed(row.clock.calendar)
    left = 3600.0
    for start, end in reversed(intervals(calendar, row.started_at, row.cap_at)):
        if (end - start).total_seconds() >= left:
            return end - timedelta(seconds=left)
        left -= (end - start).total_seconds()
    return row.started_at


def _title(row: Clock) -> str:
    return f"The {TITLES.get(row.kind, row.get_kind_display()).lower()}"
