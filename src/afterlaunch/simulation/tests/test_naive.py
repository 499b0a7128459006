"""The slow computations themselves, against values worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from afterlaunch.simulation.naive import Minutes, on_call, turn
from afterlaunch.simulation.plan import (
    WORKDAYS,
    CalendarPlan,
    ClientPlan,
    Hours,
    OverridePlan,
    RotationPlan,
    StepPlan,
    make,
)

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = CalendarPlan("Europe/Berlin", (Hours(WORKDAYS, "08:00", "18:00"),), "DE", "BE")


def at(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.fixture(scope="module")
def minutes() -> Minutes:
    return Minutes(WEEK, at("2026-03-23T00:00"), at("2026-04-10T00:00"))


@pytest.mark.parametrize(
    ("opened", "standard", "enterprise"),
    [  # the table CLK-3, in the week of 23 March 2026
        ("2026-03-24T07:55", "2026-03-24T08:30", "2026-03-24T08:15"),
        ("2026-03-24T06:00", "2026-03-24T08:00", "2026-03-24T06:30"),
        ("2026-03-24T08:00", "2026-03-24T08:30", "2026-03-24T08:15"),
        ("2026-03-24T17:50", "2026-03-24T18:20", "2026-03-24T18:05"),
        ("2026-03-24T18:00", "2026-03-24T20:00", "2026-03-24T18:30"),
        ("2026-03-28T12:00", "2026-03-28T14:00", "2026-03-28T12:30"),
    ],
)
def test_a_p1_is_due_as_the_table_says(minutes: Minutes, opened: str, standard: str, enterprise: str) -> None:
    assert minutes.deadline("standard", "P1", at(opened)) == at(standard)
    assert minutes.deadline("enterprise", "P1", at(opened)) == at(enterprise)


def test_business_days_pass_over_easter(minutes: Minutes) -> None:
    assert minutes.deadline("standard", "P2", at("2026-04-02T09:00")) == at("2026-04-07T18:00")
    assert minutes.deadline("enterprise", "P3", at("2026-04-02T09:00")) == at("2026-04-08T18:00")


def test_the_weekly_slot_moves_off_easter_monday(minutes: Minutes) -> None:
    assert minutes.deadline("standard", "P3", at("2026-03-30T10:00")) == at("2026-04-07T10:00")
    assert minutes.deadline("standard", "P3", at("2026-04-06T11:00")) == at("2026-04-07T10:00")
    assert minutes.deadline("standard", "P3", at("2026-03-28T10:00")) == at("2026-03-30T10:00")


def test_a_handoff_in_the_hour_that_spring_takes_out_is_right_after_it() -> None:
    rotation = RotationPlan("America/New_York", datetime.fromisoformat("2026-03-01T02:30"), ("a", "b"))
    assert turn(rotation, datetime(2026, 3, 8, 6, 59, tzinfo=UTC)) == "a"
    assert turn(rotation, datetime(2026, 3, 8, 7, 0, tzinfo=UTC)) == "b"  # 03:00 by daylight time


def test_a_handoff_in_the_hour_that_comes_twice_is_at_its_first_time() -> None:
    rotation = RotationPlan("Australia/Sydney", datetime.fromisoformat("2026-03-29T02:30"), ("a", "b"))
    assert turn(rotation, datetime(2026, 4, 4, 15, 29, tzinfo=UTC)) == "a"
    assert turn(rotation, datetime(2026, 4, 4, 15, 30, tzinfo=UTC)) == "b"
    assert turn(rotation, datetime(2026, 4, 4, 16, 10, tzinfo=UTC)) == "b"  # 02:10 for the second time


def test_overrides_count_in_the_order_in_which_they_were_made() -> None:
    rotation = RotationPlan("UTC", datetime.fromisoformat("2026-03-02T09:00"), ("a", "b", "c"))
    client = ClientPlan("acme", "UTC", WEEK, rotation, (StepPlan("schedule", 300),))
    start, end = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)
    cover = OverridePlan("acme", "cover", start, start, end, "", "b")
    swap = OverridePlan("acme", "replace", start, start, end, "b", "c")
    idle = OverridePlan("acme", "replace", start, start, end, "a", "c")
    noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert on_call(client, [], noon) == {"a"}
    assert on_call(client, [cover], noon) == {"b"}
    assert on_call(client, [cover, swap], noon) == {"c"}
    assert on_call(client, [cover, idle], noon) == {"b"}
    assert on_call(client, [cover, swap], end) == {"a"}


def test_the_same_seed_plans_the_same_and_all_of_it_was_asked_for() -> None:
    one, two, other = make(5, 90, 2000, 200), make(5, 90, 2000, 200), make(6, 90, 2000, 200)
    assert one == two and one.alerts != other.alerts
    assert len(one.alerts) == 2000 and len(one.systems) == 10 and len(one.people) == 12
    assert len({person.zone for person in one.people}) == 4
    assert {alert.severity for alert in one.alerts} == {"P1", "P2", "P3"}
    assert one.start.date() == date(2026, 3, 1) and (one.end - one.start).days == 90


def test_no_two_firings_of_one_identity_overlap() -> None:
    last: dict[tuple[str, str, str], datetime] = {}
    for alert in make(3, 90, 2000, 0).alerts:
        assert alert.start < alert.end
        assert last.get(alert.identity, alert.start) <= alert.start
        last[alert.identity] = alert.end
