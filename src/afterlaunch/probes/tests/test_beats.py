"""HB-1, HB-2, HB-4: the states of a heartbeat, and when a job is due."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterlaunch.ground.errors import Invalid
from afterlaunch.probes.beats import Absence, Beat, Plan, State, judge, pinged, resumed
from afterlaunch.probes.schedules import Schedule, checked

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
HOURLY = Plan(Schedule(3_600), timedelta(minutes=5))


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_a_new_one_is_never_down() -> None:
    assert judge(Beat(), HOURLY, AT + timedelta(days=400)).state is State.NEW


@pytest.mark.parametrize(
    ("after", "state", "reason"),
    [(0, "up", "on_time"), (60, "up", "on_time"), (61, "late", "late"), (65, "late", "late"), (65.1, "down", "silent")],
)
def test_silence_makes_it_late_and_then_down(after: float, state: str, reason: str) -> None:
    beat, _ = pinged(Beat(), HOURLY, "success", "", AT)
    found = judge(beat, HOURLY, AT + minutes(after))
    assert (found.state.value, found.reason) == (state, reason)


def test_it_is_looked_at_again_exactly_when_time_alone_may_change_it() -> None:
    beat, _ = pinged(Beat(), HOURLY, "success", "", AT)
    assert judge(beat, HOURLY, AT).look_again == AT + minutes(60)
    assert judge(beat, HOURLY, AT + minutes(61)).look_again == AT + minutes(65)


def test_a_failure_is_down_at_once_and_only_a_success_ends_it() -> None:
    beat, _ = pinged(Beat(), HOURLY, "fail", "", AT)
    assert judge(beat, HOURLY, AT).reason == "failed"
    beat, _ = pinged(beat, HOURLY, "start", "", AT + minutes(1))
    assert judge(beat, HOURLY, AT + minutes(1)).state is State.DOWN
    beat, took = pinged(beat, HOURLY, "success", "", AT + minutes(3))
    assert judge(beat, HOURLY, AT + minutes(3)).state is State.UP and took == minutes(2)


def test_one_that_fell_silent_stays_down_while_it_only_starts() -> None:
    beat = Beat(State.DOWN, AT)
    beat, _ = pinged(beat, HOURLY, "start", "r1", AT + minutes(90))
    assert judge(beat, HOURLY, AT + minutes(90)).state is State.DOWN


def test_a_start_without_an_end_in_time_is_down() -> None:
    plan = Plan(Schedule(3_600), minutes(5), minutes(20))
    beat, _ = pinged(Beat(State.UP, AT + minutes(60)), plan, "start", "r1", AT + minutes(59))
    assert judge(beat, plan, AT + minutes(78)).state is State.LATE  # under way: nobody is paged
    found = judge(beat, plan, AT + minutes(79))
    assert (found.state, found.reason) == (State.DOWN, "no_end")


def test_a_new_one_that_started_and_never_ended_is_down() -> None:
    plan = Plan(Schedule(3_600), minutes(5), minutes(20))
    beat, _ = pinged(Beat(), plan, "start", "", AT)
    assert judge(beat, plan, AT).look_again == AT + minutes(20)
    assert judge(beat, plan, AT + minutes(20)).reason == "no_end"


def test_runs_that_overlap_are_told_apart_by_their_ids() -> None:
    plan = Plan(Schedule(3_600), minutes(5), minutes(20))
    beat, _ = pinged(Beat(), plan, "start", "a", AT)
    beat, _ = pinged(beat, plan, "start", "b", AT + minutes(5))
    beat, took = pinged(beat, plan, "success", "a", AT + minutes(6))
    assert took == minutes(6) and set(beat.runs) == {"b"}
    assert judge(beat, plan, AT + minutes(25)).reason == "no_end"


def test_a_later_success_ends_the_runs_that_crashed_before_it() -> None:
    plan = Plan(Schedule(3_600), minutes(5), minutes(20))
    beat, _ = pinged(Beat(), plan, "start", "crashed", AT)
    beat, _ = pinged(beat, plan, "start", "good", AT + minutes(30))
    beat, _ = pinged(beat, plan, "success", "good", AT + minutes(35))
    assert not beat.runs and judge(beat, plan, AT + minutes(35)).state is State.UP


def test_a_paused_one_stays_paused_whatever_it_tells() -> None:
    beat, _ = pinged(Beat(State.PAUSED), HOURLY, "fail", "", AT)
    assert judge(beat, HOURLY, AT + timedelta(days=3)).state is State.PAUSED
    assert judge(resumed(HOURLY, AT), HOURLY, AT + minutes(65.1)).state is State.DOWN


def test_who_was_due_while_the_platform_was_away_gets_one_grace_more() -> None:
    beat = Beat(State.UP, AT)
    gone = [Absence(AT - minutes(10), AT + minutes(30))]
    assert judge(beat, HOURLY, AT + minutes(35), gone).state is State.LATE
    assert judge(beat, HOURLY, AT + minutes(35.1), gone).state is State.DOWN
    assert judge(beat, HOURLY, AT + minutes(5.1), []).state is State.DOWN


def test_who_was_due_right_after_an_absence_gets_it_too_and_who_was_not_does_not() -> None:
    gone = [Absence(AT - minutes(30), AT)]
    soon, later = Beat(State.UP, AT - minutes(2)), Beat(State.UP, AT + minutes(20))
    assert judge(soon, HOURLY, AT + minutes(8), gone).state is State.LATE
    assert judge(later, HOURLY, AT + minutes(25.1), gone).state is State.DOWN


# -- cron in a zone ------------------------------------------------------------------------------------------------


def runs(expression: str, zone: str, start: str, count: int) -> list[str]:
    at, out = datetime.fromisoformat(start).astimezone(UTC), []
    for _ in range(count):
        at = Schedule(cron=expression, zone=zone).after(at)  # type: ignore[assignment]
        out.append(f"{at:%m-%dT%H:%M}")
    return out


def test_a_fixed_time_in_a_gap_is_due_right_after_it() -> None:
    # Berlin, 29 March 2026: 02:00 becomes 03:00 (01:00 UTC)
    assert runs("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00+00:00", 2) == ["03-29T01:00", "03-30T00:30"]


def test_a_fixed_time_in_a_repeated_hour_is_due_once_at_its_first() -> None:
    # Berlin, 25 October 2026: 02:30 happens at 00:30 and at 01:30 UTC
    assert runs("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00+00:00", 2) == ["10-25T00:30", "10-26T01:30"]


def test_wildcards_follow_real_time() -> None:
    assert runs("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45+00:00", 4) == [
        "10-25T00:00",
        "10-25T00:30",
        "10-25T01:00",
        "10-25T01:30",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        Schedule(30),
        Schedule(cron="* * * *"),
        Schedule(cron="61 * * * *"),
        Schedule(cron="0 0 30 2 *"),
        Schedule(cron="0 0 * * *", zone="Europe/Nowhere"),
        Schedule(cron="* * * * * *"),
        Schedule(cron="@daily"),
    ],
)
def test_what_can_never_be_due_is_refused(wrong: Schedule) -> None:
    with pytest.raises(Invalid):
        checked(wrong)


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_invalid(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert checked(Schedule(cron=text or "x")).after(AT)


DEEDS = st.tuples(
    st.sampled_from(["start", "success", "fail", "log", "wait"]), st.sampled_from(["", "a", "b"]), st.integers(0, 200)
)


@given(st.lists(DEEDS, max_size=30), st.booleans())
def test_whatever_it_tells_its_state_is_sound(deeds: list[tuple[str, str, int]], limited: bool) -> None:
    plan = Plan(Schedule(3_600), minutes(5), minutes(20) if limited else None)
    beat, at = Beat(), AT
    for kind, run, wait in deeds:
        at += minutes(wait)
        before = judge(beat, plan, at)
        beat = Beat(before.state, beat.due, beat.runs, beat.failed)
        beat, took = pinged(beat, plan, kind, run, at)
        found = judge(beat, plan, at)
        assert took is None or took >= timedelta(0)
        if kind == "success":  # another run that began later may be overdue all the same
            late = limited and any(began + minutes(20) <= at for began in beat.runs.values())
            assert (found.state, found.reason == "no_end") == ((State.DOWN, True) if late else (State.UP, False))
        assert found.state is State.DOWN if kind == "fail" else True
        # Time alone changes a state never before it is looked at again.
        if found.look_again is not None and found.look_again > at:
            assert judge(beat, plan, found.look_again - timedelta(seconds=1)).state is found.state
        elif found.look_again is None:
            assert judge(beat, plan, at + timedelta(days=400)).state is found.state
