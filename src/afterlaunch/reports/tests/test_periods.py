from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from afterlaunch.ground.errors import Invalid
from afterlaunch.reports.periods import following, period, preceding

NOW = datetime(2026, 12, 5, 9, 30, 20, tzinfo=UTC)


def test_a_months_bounds_lie_at_midnight_of_the_zone_over_a_change_of_clocks() -> None:
    march = period("2026-03", "Europe/Berlin", NOW)
    assert (march.start, march.end) == (datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC))
    assert len(march.days) == 31 and march.over
    lengths = {b - a for a, b in zip(march.bounds, march.bounds[1:], strict=False)}
    assert lengths == {timedelta(hours=24), timedelta(hours=23)}


def test_a_month_without_a_midnight_begins_at_its_first_instant() -> None:
    # Clocks in Beirut went from 00:00 to 01:00 on 26 March 2023; in Cairo on 28 April 2023.
    assert period("2023-03", "Asia/Beirut", NOW).begins[25] == datetime(2023, 3, 25, 22, tzinfo=UTC)


def test_a_running_month_reaches_to_the_minute_of_the_present() -> None:
    december = period("2026-12", "UTC", NOW)
    assert not december.over and december.until == datetime(2026, 12, 5, 9, 31, tzinfo=UTC)
    assert len(december.bounds) == 6 and len(december.days) == 31


@pytest.mark.parametrize(
    "month", ["2026-13", "2026-00", "26-11", "2026-1", "november", "", "2026-11-01", "0001-01", "٢٠٢٦-١١"]
)
def test_what_is_no_month_is_refused_with_an_example(month: str) -> None:
    with pytest.raises(Invalid) as refused:
        period(month, "UTC", NOW)
    assert "2026-11" in refused.value.hint


def test_a_month_that_has_not_begun_is_refused() -> None:
    with pytest.raises(Invalid, match="has not begun"):
        period("2027-01", "UTC", NOW)
    with pytest.raises(Invalid, match="no IANA time zone"):
        period("2026-11", "Mars/Olympus", NOW)


def test_months_follow_each_other_over_the_year() -> None:
    assert following("2026-12") == "2027-01" and preceding("2026-01") == "2025-12" and following("2026-01") == "2026-02"
