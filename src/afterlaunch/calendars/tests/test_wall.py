from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.real_input import real

from afterlaunch.calendars.wall import (
    add_clock,
    clock_change,
    clock_time,
    date_of,
    first_instant,
    hours_between,
    last_instant,
    local_of,
    start_of_date,
    zone_data_version,
    zone_named,
)
from afterlaunch.ground.errors import Invalid

ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("posix", "right")))
INSTANTS = st.integers(946_684_800, 2_145_916_800).map(lambda s: datetime.fromtimestamp(s, UTC))  # 2000 to 2037
zones = st.sampled_from(ZONES).map(ZoneInfo)


def _rows(name: str) -> tuple[list[Any], ZoneInfo]:
    data = json.loads(real("vectors/incidents/goalert_clock.json").read_text())
    return data[name], ZoneInfo(data["tz"])


def _span(clock: str) -> timedelta:
    hours, minutes = (int(part) for part in clock.lstrip("-").split(":"))
    span = timedelta(hours=hours, minutes=minutes)
    return -span if clock.startswith("-") else span


@pytest.mark.parametrize(("name", "find"), [("FirstOfDay", first_instant), ("LastOfDay", last_instant)])
def test_a_wall_time_becomes_the_published_instant(name: str, find: Any) -> None:
    rows, zone = _rows(name)
    for row in rows:
        local = datetime.fromisoformat(row["day"]).replace(tzinfo=None) + _span(row["clock"])
        assert find(local, zone) == datetime.fromisoformat(row["expect"]), row


def test_moving_on_the_wall_clock_gives_the_published_instants() -> None:
    rows, zone = _rows("AddClock")
    for row in rows:
        found = add_clock(datetime.fromisoformat(row["t"]), _span(row["add_clock"]), zone)
        assert found == datetime.fromisoformat(row["expect"]), row


def test_hours_on_the_wall_clock_are_the_published_ones() -> None:
    rows, zone = _rows("HoursBetween")
    for row in rows:
        a, b = datetime.fromisoformat(row["a"]), datetime.fromisoformat(row["b"])
        assert hours_between(a, b, zone) == row["expect_hours"], row


def test_days_on_which_clocks_change_are_the_published_ones() -> None:
    rows, zone = _rows("IsDST")
    for row in rows:
        found = clock_change(datetime.fromisoformat(row["day"]).date(), zone)
        assert (found is not None) == row["is_transition_day"], row
        if found is not None:
            assert (found[0].strftime("%H:%M"), found[1]) == (row["at"], _span(row["change"]))


def test_a_date_without_midnight_begins_at_its_first_instant() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    assert start_of_date(date(2017, 10, 15), zone).astimezone(zone).isoformat() == "2017-10-15T01:00:00-02:00"


def test_a_date_that_a_zone_left_out_is_empty() -> None:
    zone = ZoneInfo("Pacific/Apia")
    assert start_of_date(date(2011, 12, 30), zone) == start_of_date(date(2011, 12, 31), zone)


def test_clocks_that_go_back_over_midnight_do_not_begin_a_date_twice() -> None:
    zone = ZoneInfo("America/St_Johns")  # until 2011 at 00:01, back to 23:01 of the day before
    start = start_of_date(date(2010, 11, 7), zone)
    assert local_of(start + timedelta(minutes=30), zone).date() == date(2010, 11, 6)
    assert date_of(start + timedelta(minutes=30), zone) == date(2010, 11, 7)


@settings(max_examples=400, deadline=None)
@given(zones, INSTANTS)
def test_every_instant_lies_in_its_date(zone: ZoneInfo, at: datetime) -> None:
    day = date_of(at, zone)
    assert start_of_date(day, zone) <= at < start_of_date(day + timedelta(days=1), zone)


@settings(max_examples=400, deadline=None)
@given(zones, INSTANTS)
def test_every_instant_is_the_first_or_last_of_its_wall_time(zone: ZoneInfo, at: datetime) -> None:
    local = local_of(at, zone)
    assert at in (first_instant(local, zone), last_instant(local, zone))
    assert first_instant(local, zone) <= at <= last_instant(local, zone)


@settings(max_examples=400, deadline=None)
@given(zones, INSTANTS)
def test_first_instants_never_run_backwards(zone: ZoneInfo, at: datetime) -> None:
    local = local_of(at, zone)
    found = [first_instant(local + timedelta(minutes=15 * n), zone) for n in range(12)]
    assert found == sorted(found)


def test_a_time_of_day_is_told_plainly() -> None:
    assert clock_time("24:00") == timedelta(days=1)
    for wrong in ("24:01", "8:00", "08:60", "", 480, "08:00\n"):
        with pytest.raises(Invalid, match="no time of day"):
            clock_time(wrong)
    with pytest.raises(Invalid, match="no IANA time zone"):
        zone_named("Europe/Atlantis")


def test_the_edition_of_the_zone_data_is_known() -> None:
    assert zone_data_version().startswith(("system", "package"))
