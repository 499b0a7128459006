"""What a clock does while it runs: warnings, predictions, breaches, pauses, changes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from afterlaunch.accounts.models import Grant
from afterlaunch.calendars.models import BusinessCalendar
from afterlaunch.evidence.models import Entry
from afterlaunch.ground.actors import Role
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import AfterlaunchError, Conflict, Invalid
from afterlaunch.notify.models import Page
from afterlaunch.oncall import escalation
from afterlaunch.oncall.forecast import live
from afterlaunch.sla import actions, clocks
from afterlaunch.sla.duties import look_at_hours, watch_clocks
from afterlaunch.sla.forecast import prediction
from afterlaunch.sla.models import Clock
from afterlaunch.sla.policies import set_policy
from afterlaunch.sla.shown import steps_of
from afterlaunch.sla.targets import shipped
from afterlaunch.sla.tests.conftest import AT, ENGINE, TOPIC, World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
EIGHT_HOURS = {"kind": "duration", "in_hours": "8h", "off_hours": "8h", "counting": "elapsed"}


def deeds() -> list[str]:
    return list(Entry.objects.filter(subject=TOPIC).order_by("index").values_list("deed", flat=True))


def with_resolution(world: World, counting: str = "elapsed") -> None:
    document = shipped("standard").document() | {"resolution": {"P1": {**EIGHT_HOURS, "counting": counting}}}
    set_policy(world.person("op", Role.OPERATOR), world.client, "standard", document)


def moved(fixed: FixedClock, at: datetime) -> datetime:
    fixed.set(at)
    return at


def page(world: World, at: datetime) -> None:
    with transaction.atomic():
        escalation.start(TOPIC, world.system, {"title": "t", "severity": "P1"}, at)


def test_a_breach_bears_the_deadline_however_late_it_is_noticed(world: World, fixed: FixedClock) -> None:
    row = world.start()
    later = fixed.advance(5 * HOUR)
    watch_clocks(later)
    watch_clocks(later + MINUTE)
    row.refresh_from_db()
    assert (row.breached_at, row.noticed_at, row.cause) == (AT + 30 * MINUTE, later, "deadline")
    assert deeds().count("clock.breached") == 1 and row.next_at is None


def test_meeting_it_at_the_deadline_is_in_time_and_a_moment_later_is_not(world: World) -> None:
    first, second = world.start(topic="thing/1"), world.start(topic="thing/2")
    with transaction.atomic():
        clocks.meet(ENGINE, "thing/1", AT + 30 * MINUTE)
        clocks.meet(ENGINE, "thing/2", AT + 30 * MINUTE + timedelta(microseconds=1))
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.breached_at is None and second.breached_at == AT + 30 * MINUTE


def test_a_replay_never_starts_it_anew(world: World, fixed: FixedClock) -> None:
    first = world.start()
    fixed.advance(600)
    assert world.start().pk == first.pk


def test_half_three_quarters_and_nine_tenths_are_told_once_each(world: World, fixed: FixedClock) -> None:
    row = world.start()
    for minutes in (0, 14, 15, 16, 23, 27, 28):
        watch_clocks(moved(fixed, AT + minutes * MINUTE))
    told = [entry.body for entry in Entry.objects.filter(deed="clock.warned").order_by("index")]
    row.refresh_from_db()
    assert row.warned == [50, 75, 90] and len(told) == 3
    assert Page.objects.filter(purpose="notice", facts__type="clock.warned").count() == 3


def test_a_platform_that_was_down_tells_the_last_threshold_only(world: World, fixed: FixedClock) -> None:
    row = world.start()
    watch_clocks(fixed.advance(28 * MINUTE))
    row.refresh_from_db()
    assert row.warned == [50, 75, 90] and deeds().count("clock.warned") == 1


def test_a_breach_is_predicted_when_nobody_else_will_be_paged(world: World, fixed: FixedClock) -> None:
    row = world.start()
    watch_clocks(fixed.advance(60))
    row.refresh_from_db()
    assert row.predicted == "will breach in 29 min: nobody acknowledged, and nobody else will be paged"
    watch_clocks(fixed.advance(20 * 60))
    assert deeds().count("clock.breach_predicted") == 1


def test_the_next_page_and_its_usual_answer_are_what_is_predicted(world: World, fixed: FixedClock) -> None:
    row = world.start()
    page(world, fixed.now())
    found = prediction(row, fixed.now(), live(row.topic))
    assert found is not None and not found.late and found.at is not None
    assert found.at > AT + 5 * MINUTE
    watch_clocks(fixed.advance(1))
    row.refresh_from_db()
    assert row.predicted == "" and row.next_at is not None and row.next_at <= AT + 15 * MINUTE


def test_a_pause_moves_the_deadline_and_is_explained(world: World, fixed: FixedClock) -> None:
    with_resolution(world)
    row = world.start("resolution")
    mate = world.person("mate", Role.RESPONDER)
    fixed.advance(HOUR)
    actions.pause(mate, row, "vendor", by_hand=True)
    watch_clocks(fixed.advance(10 * HOUR))  # the old deadline passes while it stands still
    row.refresh_from_db()
    assert row.breached_at is None and row.paused_at == AT + HOUR
    actions.resume(mate, row)
    row.refresh_from_db()
    assert row.deadline == AT + 18 * HOUR
    assert any("Paused from Tue 3 Mar 2026 11:00" in step["text"] for step in steps_of(row, fixed.now()))


def test_a_pause_ends_by_its_rule_or_at_its_cap_which_is_told_before(world: World, fixed: FixedClock) -> None:
    with_resolution(world)
    mate = world.person("mate", Role.RESPONDER)
    row = world.start("resolution")
    actions.pause(mate, row, "agreed_date", resume_at=AT + 2 * HOUR)
    watch_clocks(moved(fixed, AT + 3 * HOUR))
    row.refresh_from_db()
    assert row.paused_at is None and row.deadline == AT + 10 * HOUR
    actions.pause(mate, row, "waiting_for_customer", by_hand=True)
    begun = fixed.now()
    watch_clocks(begun)
    assert "clock.cap_near" not in deeds()
    row.refresh_from_db()
    # 72 h later is Friday 13:00; one business hour before that is 12:00
    assert row.next_at == begun + 71 * HOUR
    watch_clocks(moved(fixed, begun + 71 * HOUR))
    assert deeds().count("clock.cap_near") == 1
    watch_clocks(moved(fixed, begun + 80 * HOUR))
    row.refresh_from_db()
    assert row.paused_at is None and row.deadline == AT + 10 * HOUR + 72 * HOUR
    assert list(row.pauses.values_list("ended_why", flat=True)) == ["rule", "cap"]


def test_a_first_response_is_never_paused_and_reasons_are_a_closed_list(world: World) -> None:
    mate = world.person("mate", Role.RESPONDER)
    with pytest.raises(Invalid, match="can't be paused"):
        actions.pause(mate, world.start(), "vendor", by_hand=True)
    with_resolution(world)
    row = world.start("resolution")
    for wrong in ({"reason": "lunch", "by_hand": True}, {"reason": "vendor"}):
        with pytest.raises(Invalid):
            actions.pause(mate, row, **wrong)
    with pytest.raises(AfterlaunchError):
        actions.pause(world.person("stranger", Role.RESPONDER, "other"), row, "vendor", by_hand=True)


def test_a_pause_never_undoes_a_breach(world: World, fixed: FixedClock) -> None:
    with_resolution(world)
    row = world.start("resolution")
    fixed.advance(9 * HOUR)
    with pytest.raises(Conflict, match="does not undo"):
        actions.pause(world.person("mate", Role.RESPONDER), row, "vendor", by_hand=True)


def test_a_graver_severity_counts_from_the_original_start_and_may_be_breached_at_once(
    world: World, fixed: FixedClock
) -> None:
    old = world.start(severity="P3")
    now = fixed.advance(2 * HOUR)
    with transaction.atomic():
        (fresh,) = clocks.replace(ENGINE, TOPIC, "P1", now, "severity_change")
    assert (fresh.started_at, fresh.deadline) == (AT, AT + 30 * MINUTE)
    assert (fresh.breached_at, fresh.cause) == (now, "severity_change")
    old.refresh_from_db()
    assert old.superseded_why == "severity_change" and old.deadline is not None


def test_a_milder_severity_never_erases_a_breach(world: World, fixed: FixedClock) -> None:
    old = world.start()
    watch_clocks(fixed.advance(HOUR))
    with transaction.atomic():
        (fresh,) = clocks.replace(ENGINE, TOPIC, "P3", fixed.now(), "severity_change")
    old.refresh_from_db()
    assert old.breached_at == AT + 30 * MINUTE and fresh.breached_at is None


def test_another_tier_is_counted_from_the_original_start(world: World, fixed: FixedClock) -> None:
    row = world.start()
    fixed.advance(60)
    (fresh,) = actions.change_tier(world.person("op", Role.OPERATOR), row, "enterprise", "the contract says so")
    assert (fresh.tier, fresh.deadline) == ("enterprise", AT + 15 * MINUTE)


def test_later_versions_leave_a_running_clock_alone_until_it_is_counted_anew(world: World, fixed: FixedClock) -> None:
    row = world.start()
    op = world.person("op", Role.OPERATOR)
    cell = {"kind": "duration", "in_hours": "1h", "off_hours": "1h", "counting": "elapsed"}
    document = shipped("standard").document()
    document["response"]["P1"] = cell
    set_policy(op, world.client, "standard", document)
    row.refresh_from_db()
    assert row.deadline == AT + 30 * MINUTE and row.policy == "shipped-1"
    fresh = actions.recalculate(op, row, "the contract had changed before")
    row.refresh_from_db()
    assert (fresh.deadline, fresh.policy) == (AT + HOUR, "standard-1")
    assert row.deadline == AT + 30 * MINUTE and row.superseded_why == "recalculated"
    assert deeds()[-1] == "clock.recalculated"


def test_each_update_promises_the_next_one(world: World, fixed: FixedClock) -> None:
    with transaction.atomic():
        first = clocks.promise(ENGINE, TOPIC, world.system, "P1", fixed.now())
    assert first.deadline == AT + 30 * MINUTE
    now = fixed.advance(20 * MINUTE)
    with transaction.atomic():
        second = clocks.promise(ENGINE, TOPIC, world.system, "P1", now, at=now + 2 * HOUR)
    first.refresh_from_db()
    assert first.met_at == now and first.breached_at is None and second.deadline == now + 2 * HOUR
    watch_clocks(fixed.advance(3 * HOUR))
    assert deeds().count("clock.breached") == 1


def test_where_nothing_can_be_counted_the_clock_says_so(world: World, fixed: FixedClock) -> None:
    BusinessCalendar.objects.create(
        client=world.client, name="business-hours", version=1, zone="UTC", created_at=AT, created_by="t"
    )
    row = world.start(severity="P2")
    assert row.deadline is None and row.reason == "calendar_never_opens"
    watch_clocks(fixed.advance(timedelta(days=30)))
    row.refresh_from_db()
    assert row.breached_at is None and "no due time" in row.steps[-1]["text"]


def test_nothing_due_costs_one_question(world: World, fixed: FixedClock) -> None:
    rows = [
        Clock(
            topic=f"thing/{number}",
            client=world.client,
            system=world.system,
            kind="response",
            tier="standard",
            severity="P1",
            policy="shipped-1",
            started_at=AT,
            deadline=AT + HOUR,
            reason="open_in_hours",
            next_at=AT + HOUR,
        )
        for number in range(500)
    ]
    Clock.objects.bulk_create(rows)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        watch_clocks(fixed.now())
    assert len(seen) == 1


def test_a_calendar_that_comes_to_have_no_open_time_is_told_once(world: World, fixed: FixedClock) -> None:
    Grant.objects.create(user=world.owner, role="admin", client=world.client)
    BusinessCalendar.objects.create(
        client=world.client, name="business-hours", version=1, zone="UTC", created_at=AT, created_by="t"
    )
    look_at_hours(fixed.now())
    look_at_hours(fixed.advance(HOUR))
    told = Page.objects.get(purpose="notice", facts__type="calendar.never_opens")
    assert told.person == world.owner and "no open second" in told.facts["title"]
