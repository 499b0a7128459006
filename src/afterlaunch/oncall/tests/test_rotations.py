"""Handoffs lie where the published vectors say, and in every zone and year no turn leaves a hole or overlaps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.real_input import real

from afterlaunch.calendars.wall import first_instant, local_of
from afterlaunch.oncall.rotations import HOURS, KINDS, Rotation, cycle, group_of, turn_at, turns

ZONES = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("posix", "right")))


def rotation(kind: str, length: int, zone: str, anchor: str, **rest: object) -> Rotation:
    members = rest.pop("members", (("a",), ("b",), ("c",)))
    return Rotation(kind, length, zone, datetime.fromisoformat(anchor), members, **rest)  # type: ignore[arg-type]


def test_handoffs_are_those_of_the_published_vectors() -> None:
    data = json.loads(real("vectors/incidents/goalert_rotation_handoffs.json").read_text())
    assert len(data["cases"]) == 16
    for case in data["cases"]:
        rule, zone = case["rotation"], case["tz"]
        anchor = local_of(datetime.fromisoformat(rule["start"]), ZoneInfo(zone))
        one = Rotation(rule["type"], rule["shift_length"], zone, anchor, (("a",),))
        first, last = datetime.fromisoformat(case["walk_from"]), datetime.fromisoformat(case["walk_to"])
        found: set[datetime] = set()
        turn = turn_at(one, first)
        expected = [datetime.fromisoformat(text) for text in case["handoffs"]]
        assert [turn.start, turn.end] == expected[:2], case
        # every instant of the walk lies in one of these turns; the walk asks at each handoff, before and after it
        step = timedelta(seconds=case["step_seconds"])
        near = [at + shift for at in expected for shift in (-step, timedelta(), step)]
        for at in (first, *near, last):
            if first <= at <= last:
                turn = turn_at(one, at)
                found |= {turn.start, turn.end}
        found |= {edge for turn in turns(one, first, last + step) for edge in (turn.start, turn.end)}
        assert found == set(expected), case


@given(
    st.sampled_from(KINDS),
    st.integers(1, 60),
    st.sampled_from(ZONES),
    st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2037-12-31")),
    st.integers(-3000, 3000),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_turns_follow_each_other_without_hole_or_overlap_in_every_zone_and_year(
    kind: str, length: int, zone: str, anchor: datetime, number: int
) -> None:
    length = length if kind == "hourly" else 1 + length % 6
    one = Rotation(kind, length, zone, anchor.replace(second=0, microsecond=0), (("a",), ("b",)))
    middle = first_instant(anchor, ZoneInfo(zone)) + timedelta(hours=number)
    span = timedelta(hours=HOURS.get(kind, 720) * length)
    found = list(turns(one, middle - 3 * span, middle + 3 * span))
    assert found[0].start <= middle - 3 * span and found[-1].end >= middle + 3 * span
    assert all(a.end == b.start and a.number < b.number for a, b in pairwise(found))
    for turn in found:
        assert turn.start < turn.end
        for at in (turn.start, turn.start + (turn.end - turn.start) / 2, turn.end - timedelta(microseconds=1)):
            assert turn_at(one, at) == turn


def test_the_handoff_stays_on_the_wall_clock_when_summer_begins() -> None:
    weekly = rotation("weekly", 1, "Europe/Berlin", "2026-03-02T09:00")
    assert turn_at(weekly, datetime(2026, 3, 25, tzinfo=UTC)).end == datetime(2026, 3, 30, 7, 0, tzinfo=UTC)


def test_a_day_that_a_month_lacks_is_its_last_and_the_next_is_the_anchors_again() -> None:
    monthly = rotation("monthly", 1, "UTC", "2026-01-31T08:00")
    found = [turn.start.strftime("%m-%d") for turn in turns(monthly, *year(2026))]
    assert " ".join(found) == "12-31 01-31 02-28 03-31 04-30 05-31 06-30 07-31 08-31 09-30 10-31 11-30 12-31"
    leap = [turn.start.strftime("%m-%d") for turn in turns(monthly, *year(2028))]
    assert "02-29" in leap


def year(number: int) -> tuple[datetime, datetime]:
    return datetime(number, 1, 1, tzinfo=UTC), datetime(number + 1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("advance", "expected"), [("calendar", "abcdefgabcdefg"), ("active_period", "abcdeeefghiiij")])
def test_turning_by_the_calendar_or_only_after_periods_that_were_active(advance: str, expected: str) -> None:
    people = tuple((letter,) for letter in ("abcdefg" if advance == "calendar" else "abcdefghij"))
    daily = rotation("daily", 1, "UTC", "2026-11-02T00:00", members=people, advance_on=advance)
    active = (True, True, True, True, True, False, False)  # the anchor is a Monday
    told = "".join(str(group_of(daily, number, active)[0]) for number in range(14))
    assert [told[place] for place in (0, 1, 2, 3, 4, 7, 8, 9)] == [
        expected[place] for place in (0, 1, 2, 3, 4, 7, 8, 9)
    ]


def test_numbers_before_the_anchor_turn_backwards() -> None:
    daily = rotation("daily", 1, "UTC", "2026-11-02T00:00", advance_on="active_period")
    assert [group_of(daily, number, (True, False))[0] for number in (-4, -2, 0, 2)] == ["b", "c", "a", "b"]


@pytest.mark.parametrize(
    ("kind", "length", "turns_of_a_cycle"),
    [
        ("hourly", 1, 168),
        ("hourly", 5, 168),
        ("hourly", 12, 14),
        ("daily", 1, 7),
        ("daily", 7, 1),
        ("weekly", 3, 1),
        ("monthly", 2, 1),
    ],
)
def test_hours_repeat_after_a_whole_number_of_weeks(kind: str, length: int, turns_of_a_cycle: int) -> None:
    assert cycle(rotation(kind, length, "UTC", "2026-11-02T00:00")) == turns_of_a_cycle
