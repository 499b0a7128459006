from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from afterlaunch.calendars.recurrence import document, fits_date, following, holds, read_recurrence, within
from afterlaunch.ground.errors import Invalid

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def test_a_nightly_maintenance_is_where_its_zone_says() -> None:
    nightly = read_recurrence(
        {
            "times": [{"start_time": "22:00", "end_time": "24:00"}],
            "weekdays": ["monday:friday"],
            "location": "Europe/Berlin",
        }
    )
    assert holds(nightly, at("2026-06-12T23:59")) and not holds(nightly, at("2026-06-13T00:00"))
    assert not holds(nightly, at("2026-06-13T22:30"))
    assert following(nightly, at("2026-06-13T12:00")) == (at("2026-06-15T22:00"), at("2026-06-16T00:00"))


def test_days_of_the_month_count_from_its_end_and_are_clamped() -> None:
    last = read_recurrence({"days_of_month": ["-3:-1"]})
    assert [day for day in range(1, 29) if fits_date(last, date(2026, 2, day))] == [26, 27, 28]
    late = read_recurrence({"days_of_month": ["29:31"]})
    assert fits_date(late, date(2026, 4, 30)) and not fits_date(late, date(2026, 2, 28))
    mixed = read_recurrence({"days_of_month": ["25:-1"]})
    assert fits_date(mixed, date(2026, 2, 28)) and not fits_date(mixed, date(2026, 2, 24))


def test_months_and_years_are_ranges_with_both_ends_and_an_empty_field_fits_all() -> None:
    one = read_recurrence({"months": ["november:december", 2], "years": ["2026:2027"]})
    assert fits_date(one, date(2026, 2, 1)) and fits_date(one, date(2027, 12, 31))
    assert not fits_date(one, date(2028, 2, 1)) and not fits_date(one, date(2026, 3, 1))
    assert holds(read_recurrence({}), datetime(2026, 1, 1, tzinfo=UTC))


def test_whole_days_join_and_a_leap_day_is_found() -> None:
    weekend = read_recurrence({"weekdays": ["saturday", "sunday"], "location": "Europe/Berlin"})
    assert following(weekend, at("2026-03-25T12:00")) == (at("2026-03-28T00:00"), at("2026-03-30T00:00"))
    leap = read_recurrence({"months": ["2"], "days_of_month": ["29"]})
    assert following(leap, datetime(2028, 3, 1, tzinfo=UTC)) == (
        datetime(2032, 2, 29, tzinfo=UTC),
        datetime(2032, 3, 1, tzinfo=UTC),
    )
    past = read_recurrence({"years": ["2020"]})
    assert following(past, datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_clock_changes_stretch_and_shrink_it() -> None:
    night = read_recurrence({"times": [{"start_time": "01:00", "end_time": "04:00"}], "location": "Europe/Berlin"})

    def hours(day: str) -> list[float]:
        since = at(f"{day}T00:00")
        return [(b - a) / timedelta(hours=1) for a, b in within(night, since, since + timedelta(hours=12))]

    assert (hours("2026-03-29"), hours("2026-10-25"), hours("2026-06-01")) == ([2], [4], [3])


def test_it_is_written_as_it_was_read() -> None:
    given: dict[str, Any] = {
        "times": [{"start_time": "09:00", "end_time": "17:00"}],
        "weekdays": ["monday:friday", "sunday"],
        "days_of_month": ["1:5", "-3:-1"],
        "months": ["january:march", "december"],
        "years": ["2026:2028"],
        "location": "Europe/Berlin",
    }
    assert document(read_recurrence(given)) == given


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": [{"start_time": "17:00", "end_time": "09:00"}]},
        {"times": [{"start_time": "17:00"}]},
        {"weekdays": ["friday:monday"]},
        {"weekdays": ["someday"]},
        {"days_of_month": ["0"]},
        {"days_of_month": ["32"]},
        {"days_of_month": ["-1:5"]},
        {"months": ["13"]},
        {"years": "2026"},
        {"location": "Nowhere"},
        {"minutes": []},
        [],
    ],
)
def test_a_wrong_one_is_refused(wrong: object) -> None:
    with pytest.raises(Invalid):
        read_recurrence(wrong)
