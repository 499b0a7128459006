from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterlaunch.calendars.business import (
    AROUND_THE_CLOCK,
    WEEKDAYS_8_TO_18,
    Calendar,
    NeverOpen,
    SpecialDay,
    add,
    between,
    business_date_after,
    end_of_business_date,
    intervals,
    is_business_date,
    is_open,
    next_open,
)
from afterlaunch.calendars.documents import document, frozen, read_calendar, require_open, thawed
from afterlaunch.calendars.windows import Hours, window
from afterlaunch.ground.errors import Invalid

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar("Europe/Berlin", WEEKDAYS_8_TO_18)
NIGHTS = Calendar("Europe/Berlin", (window((1, 2, 3, 4, 5), "22:00", "06:00"),), closures=(date(2026, 6, 10),))
ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("posix", "right")))
INSTANTS = st.integers(946_684_800, 2_145_916_800).map(lambda s: datetime.fromtimestamp(s, UTC))  # 2000 to 2037
clock = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.sampled_from((0, 15, 30)))
windows = st.builds(window, st.lists(st.integers(1, 7), min_size=1, unique=True), clock, clock)
calendars = st.builds(
    Calendar,
    st.sampled_from(ZONES),
    st.lists(windows, min_size=1, max_size=3).map(tuple),
    st.sampled_from(("", "DE", "US", "BR", "IR", "AU")),
)


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def test_an_all_day_calendar_has_days_of_23_and_25_hours_and_such_weeks() -> None:
    always = Calendar("Europe/Berlin", AROUND_THE_CLOCK)
    assert between(always, at("2026-03-29T00:00"), at("2026-03-30T00:00")) == 23 * 3600
    assert between(always, at("2026-10-25T00:00"), at("2026-10-26T00:00")) == 25 * 3600
    assert between(always, at("2026-03-23T00:00"), at("2026-03-30T00:00")) == 167 * 3600
    assert between(always, at("2026-10-19T00:00"), at("2026-10-26T00:00")) == 169 * 3600
    howe = Calendar("Australia/Lord_Howe", AROUND_THE_CLOCK)
    zone = ZoneInfo("Australia/Lord_Howe")
    assert between(howe, at("2026-04-05T00:00", zone), at("2026-04-06T00:00", zone)) == 24.5 * 3600


def test_counted_time_ends_with_its_window() -> None:
    assert add(OFFICE, at("2026-06-12T16:00"), 2 * 3600) == at("2026-06-12T18:00")
    assert add(OFFICE, at("2026-06-12T16:00"), 2 * 3600 + 1) == at("2026-06-15T08:00") + timedelta(seconds=1)
    assert add(OFFICE, at("2026-06-13T12:00"), 0) == at("2026-06-13T12:00")


def test_a_holiday_is_a_date_of_the_calendars_zone_and_cuts_a_night_at_midnight() -> None:
    assert is_open(NIGHTS, at("2026-06-09T23:59")) and not is_open(NIGHTS, at("2026-06-10T00:00"))
    assert not is_open(NIGHTS, at("2026-06-10T23:00")) and not is_open(NIGHTS, at("2026-06-11T01:00"))
    assert intervals(NIGHTS, at("2026-06-09T12:00"), at("2026-06-12T12:00")) == [
        (at("2026-06-09T22:00"), at("2026-06-10T00:00")),
        (at("2026-06-11T22:00"), at("2026-06-12T06:00")),
    ]
    auckland = Calendar("Pacific/Auckland", AROUND_THE_CLOCK, "NZ")
    zone = ZoneInfo("Pacific/Auckland")  # 25 December begins there while it is the 24th in UTC
    assert not is_open(auckland, datetime(2026, 12, 24, 12, 0, tzinfo=UTC))
    assert is_open(auckland, at("2026-12-24T23:59", zone))


def test_observed_holidays_close_as_well_as_the_days_themselves() -> None:
    american = Calendar("America/New_York", AROUND_THE_CLOCK, "US")
    assert not is_business_date(american, date(2026, 7, 3)) and not is_business_date(american, date(2026, 7, 4))
    assert not is_business_date(american, date(2027, 12, 31))  # New Year's Day 2028 is a Saturday


def test_a_subdivision_has_holidays_of_its_own() -> None:
    corpus_christi = date(2026, 6, 4)
    assert is_business_date(Calendar("Europe/Berlin", WEEKDAYS_8_TO_18, "DE", "BE"), corpus_christi)
    assert not is_business_date(Calendar("Europe/Berlin", WEEKDAYS_8_TO_18, "DE", "BY"), corpus_christi)


def test_half_days_and_extra_open_days_replace_the_windows_of_their_date() -> None:
    calendar = Calendar(
        "Europe/Berlin",
        WEEKDAYS_8_TO_18,
        "DE",
        half_days=(SpecialDay(date(2026, 12, 31), (Hours("08:00", "12:00"),)),),
        extra_days=(
            SpecialDay(date(2026, 12, 12), (Hours("10:00", "14:00"),)),
            SpecialDay(date(2026, 12, 25), (Hours("09:00", "10:00"),)),
        ),
    )
    assert end_of_business_date(calendar, date(2026, 12, 31)) == at("2026-12-31T12:00")
    assert is_open(calendar, at("2026-12-12T10:00")) and not is_open(calendar, at("2026-12-12T14:00"))
    assert is_open(calendar, at("2026-12-25T09:30")) and not is_open(calendar, at("2026-12-25T11:00"))
    assert business_date_after(calendar, date(2026, 12, 25), 1) == date(2026, 12, 28)


def test_a_date_begins_where_its_zone_begins_it() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    calendar = Calendar("America/Sao_Paulo", AROUND_THE_CLOCK, closures=(date(2017, 10, 15),))
    assert is_open(calendar, at("2017-10-14T23:59", zone)) and next_open(calendar, at("2017-10-15T01:00", zone)) == at(
        "2017-10-16T00:00", zone
    )
    apia = Calendar("Pacific/Apia", AROUND_THE_CLOCK)
    assert not is_business_date(apia, date(2011, 12, 30))


def test_a_calendar_that_never_opens_is_refused_and_never_loops() -> None:
    never = Calendar("UTC", (), extra_days=(SpecialDay(date(2020, 1, 1), (Hours("08:00", "09:00"),)),))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert next_open(never, now) is None
    with pytest.raises(NeverOpen):
        add(never, now, 60)
    with pytest.raises(NeverOpen):
        business_date_after(never, now.date(), 1)
    with pytest.raises(Invalid, match="no open second"):
        require_open(never, now)
    assert next_open(never, datetime(2019, 6, 1, tzinfo=UTC)) == datetime(2020, 1, 1, 8, tzinfo=UTC)


def test_a_calendar_survives_freezing_and_its_data_editions_are_told() -> None:
    given = {
        "zone": "Europe/Berlin",
        "windows": [{"days": ["mon", "tue"], "start": "08:00", "end": "24:00"}],
        "country": "de",
        "subdivision": "BY",
        "closures": ["2026-12-24"],
        "half_days": [{"date": "2026-12-31", "windows": [{"start": "08:00", "end": "12:00"}]}],
        "extra_days": [{"date": "2026-12-12", "windows": [{"start": "10:00", "end": "14:00"}]}],
    }
    calendar = read_calendar(given, "support", 3)
    stored = frozen(calendar)
    assert thawed(stored) == calendar and read_calendar(document(calendar), "support", 3) == calendar
    assert stored["holidays_package"] and stored["zone_data"]


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("zone", "Mars/Olympus", "no IANA time zone"),
        ("country", "XX", "No holidays are known"),
        ("subdivision", "BY", "needs its country"),
        ("closures", ["24.12.2026"], "no date"),
        ("closures", "2026-12-24", "are a list"),
        ("half_days", [{"date": "2026-12-31", "windows": []}], "has no windows"),
        ("half_days", [{"date": "2026-12-31"}], "no half day"),
        ("open", True, "has no 'open'"),
    ],
)
def test_a_wrong_calendar_says_what_is_wrong(member: str, value: object, said: str) -> None:
    given = {"zone": "Europe/Berlin", "windows": [], member: value}
    with pytest.raises(Invalid, match=said):
        read_calendar(given)


def test_a_date_can_be_special_only_once() -> None:
    half = {"date": "2026-12-24", "windows": [{"start": "08:00", "end": "12:00"}]}
    with pytest.raises(Invalid, match="2026-12-24 is there twice"):
        read_calendar({"zone": "UTC", "closures": ["2026-12-24"], "half_days": [half]})


@settings(max_examples=300, deadline=None)
@given(calendars, INSTANTS, st.integers(0, 60 * 3600))
def test_between_is_the_inverse_of_add(calendar: Calendar, start: datetime, seconds: int) -> None:
    assert between(calendar, start, add(calendar, start, seconds)) == seconds


@settings(max_examples=200, deadline=None)
@given(calendars, INSTANTS, st.integers(0, 40 * 86400), st.integers(0, 40 * 86400))
def test_open_time_adds_up_and_is_never_negative(calendar: Calendar, a: datetime, first: int, second: int) -> None:
    b, c = a + timedelta(seconds=first), a + timedelta(seconds=first + second)
    whole = between(calendar, a, c)
    assert whole == pytest.approx(between(calendar, a, b) + between(calendar, b, c)) and whole >= 0


@settings(max_examples=200, deadline=None)
@given(calendars, INSTANTS)
def test_open_now_is_the_same_as_opening_now(calendar: Calendar, at: datetime) -> None:
    opening = next_open(calendar, at)
    assert opening is not None and (opening == at) == is_open(calendar, at)
    assert is_open(calendar, opening)
