"""Layers, temporary schedules and overrides: the plan that is shown is the one by which pages are routed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.calendars.windows import window
from afterlaunch.oncall.final import (
    Fixed,
    Layer,
    Override,
    Schedule,
    Temporary,
    Version,
    final_shifts,
    gaps,
    on_call_at,
)
from afterlaunch.oncall.rotations import Rotation

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
wall = datetime.fromisoformat
WORK = (window((1, 2, 3, 4, 5), "09:00", "17:00"),)


def weekly(*people: str, **rest: object) -> Layer:
    turning = Rotation("weekly", 1, "UTC", wall("2026-03-02T09:00"), tuple((one,) for one in people))
    return Layer("main", turning, **rest)  # type: ignore[arg-type]


def schedule(*layers: Layer, overrides: tuple[Override, ...] = (), **rest: object) -> Schedule:
    return Schedule((Version(START, layers),), overrides=overrides, **rest)  # type: ignore[arg-type]


def told(one: Schedule, days: float) -> list[tuple[object, float]]:
    """(person, hours) of each shift."""
    return [(s.person, (s.end - s.start) / HOUR) for s in final_shifts(one, START, START + days * DAY)]


def names(one: Schedule, after: timedelta) -> set[object]:
    return {shift.person for shift in on_call_at(one, START + after)}


def test_the_highest_priority_decides_and_a_lower_one_shows_through_again() -> None:
    day = Layer("day", Rotation("daily", 1, "UTC", wall("2026-03-02T00:00"), (("d",),)), windows=WORK, priority=5)
    both = schedule(weekly("a", "b"), day)
    assert told(both, 1) == [("d", 8), ("a", 16)]
    assert {s.layer for s in final_shifts(both, START, START + DAY)} == {"day", "main"}


def test_all_of_one_priority_and_all_of_a_group_are_on_call_together() -> None:
    pair = Layer("pair", Rotation("daily", 1, "UTC", wall("2026-03-02T09:00"), (("x", "y"), ("z",))))
    assert names(schedule(weekly("a"), pair), HOUR) == {"a", "x", "y"}
    assert names(schedule(weekly("a"), pair), DAY + HOUR) == {"a", "z"}


def test_a_layer_without_anybody_decides_nothing() -> None:
    empty = Layer("empty", Rotation("daily", 1, "UTC", wall("2026-03-02T00:00"), ((),)), priority=9)
    assert names(schedule(weekly("a"), empty), HOUR) == {"a"}


def test_before_the_first_version_nobody_is_on_call_and_a_new_version_leaves_the_past() -> None:
    both = Schedule((Version(START, (weekly("a"),)), Version(START + DAY, (weekly("b"),))))
    assert on_call_at(both, START - HOUR) == []
    assert told(both, 2) == [("a", 24), ("b", 24)]


def test_a_temporary_schedule_replaces_all_layers_while_it_lasts() -> None:
    fixed = Layer("holiday", fixed=(Fixed(START + HOUR, START + 3 * HOUR, ("t",)),))
    one = schedule(weekly("a"), temporary=(Temporary(START + HOUR, START + 4 * HOUR, (fixed,)),))
    assert told(one, 1) == [("a", 1), ("t", 2), ("a", 20)]
    assert gaps(final_shifts(one, START, START + DAY), START, START + DAY) == [(START + 3 * HOUR, START + 4 * HOUR)]


def test_overrides_apply_in_the_order_they_were_made_and_a_later_one_wins() -> None:
    end = START + DAY
    swap, back = Override("replace", START, end, "b", "a"), Override("replace", START, end, "c", "b")
    assert told(schedule(weekly("a"), overrides=(swap, back)), 1) == [("c", 24)]
    assert told(schedule(weekly("a"), overrides=(back, swap)), 1) == [("b", 24)]
    (shift,) = final_shifts(schedule(weekly("a"), overrides=(swap, back)), START, end)
    assert (shift.stands_in_for, shift.reason) == (("a",), "replaced")


def test_each_kind_of_override() -> None:
    pair = Layer("pair", Rotation("daily", 1, "UTC", wall("2026-03-02T09:00"), (("a", "b"),)))

    def after(kind: str, person: str | None = None, absent: str | None = None) -> set[object]:
        return names(schedule(pair, overrides=(Override(kind, START, START + DAY, person, absent),)), HOUR)

    assert after("add", "z") == {"a", "b", "z"} and after("add", "a") == {"a", "b"}
    assert after("remove", absent="a") == {"b"} and after("remove", absent="z") == {"a", "b"}
    assert after("replace", "z", "a") == {"z", "b"} and after("replace", "z", "q") == {"a", "b"}
    assert after("replace", "b", "a") == {"b"}
    assert after("cover", "z") == {"z"} and after("cover", "a") == {"a"}


def test_cover_and_add_put_somebody_where_nobody_is() -> None:
    for kind in ("cover", "add"):
        alone = Schedule(overrides=(Override(kind, START, START + HOUR, "z"),))
        assert told(alone, 1) == [("z", 1)]


def test_an_override_over_several_handoffs_does_not_melt_shifts() -> None:
    cover = Override("cover", START - DAY, START + 3 * WEEK, "z")
    found = final_shifts(schedule(weekly("a", "b"), overrides=(cover,)), START, START + 3 * WEEK)
    assert [(s.person, s.stands_in_for) for s in found] == [("z", ("a",)), ("z", ("b",)), ("z", ("a",))]
    assert [s.end - s.start for s in found] == [WEEK] * 3


def test_one_person_alone_in_a_rotation_still_has_a_shift_for_every_turn() -> None:
    assert len(final_shifts(schedule(weekly("a")), START, START + 3 * WEEK)) == 3


def test_turns_only_after_active_periods_when_asked() -> None:
    people = tuple((letter,) for letter in "abcdefg")
    turning = Rotation("daily", 1, "UTC", wall("2026-03-02T00:00"), people, "active_period")
    one = schedule(Layer("work", turning, windows=WORK))
    assert [person for person, _ in told(one, 10)] == list("abcdefga")
    by_calendar = Rotation("daily", 1, "UTC", wall("2026-03-02T00:00"), people, "calendar")
    assert [person for person, _ in told(schedule(Layer("work", by_calendar, windows=WORK)), 10)] == list("abcdeabc")


people = st.sampled_from("abcd")
overrides = st.builds(
    lambda kind, since, hours, person, absent: Override(
        kind, START + since * HOUR, START + (since + hours) * HOUR, person, absent
    ),
    st.sampled_from(["add", "remove", "replace", "cover"]), st.integers(-50, 700), st.integers(1, 400), people, people,
)  # fmt: skip
layers = st.builds(
    lambda kind, length, zone, group, windows, priority: Layer(
        f"{kind}{length}{priority}",
        Rotation(kind, length, zone, wall("2026-02-27T02:30"), tuple((one,) for one in group)),
        (),
        windows,
        zone,
        priority,
    ),
    st.sampled_from(["hourly", "daily", "weekly", "monthly"]), st.integers(1, 12),
    st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.lists(people, min_size=1, max_size=4), st.sampled_from([(), WORK, (window((6, 7), "22:00", "06:00"),)]),
    st.integers(0, 2),
)  # fmt: skip


@given(
    st.lists(layers, max_size=3),
    st.lists(overrides, max_size=4),
    st.lists(st.integers(0, 719), min_size=5, max_size=20),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_plan_and_the_routing_agree_at_every_instant(
    drawn: list[Layer], made: list[Override], hours: list[int]
) -> None:
    one = schedule(*drawn, overrides=tuple(made))
    plan = final_shifts(one, START, START + 30 * DAY)
    edges = {edge for shift in plan for edge in (shift.start, shift.end - timedelta(microseconds=1))}
    for at in [*sorted(edges)[:30], *(START + hour * HOUR for hour in hours)]:
        planned = sorted(str(shift.person) for shift in plan if shift.start <= at < shift.end)
        routed = sorted(str(shift.person) for shift in on_call_at(one, at))
        assert planned == routed and len(set(routed)) == len(routed)
    holes = gaps(plan, START, START + 30 * DAY)
    assert all(not on_call_at(one, begins + (ends - begins) / 2) for begins, ends in holes)
