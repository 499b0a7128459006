from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from tests.real_input import real

from afterlaunch.calendars.windows import Window, current_or_next, is_open, read_window, window, within
from afterlaunch.ground.errors import Invalid

UTC_ZONE = ZoneInfo("UTC")


def _rule(given: dict[str, object]) -> Window:
    flags = given["weekdays_sun0"]
    assert isinstance(flags, list)
    days = tuple(number or 7 for number, on in enumerate(flags) if on)
    return window(days, str(given["start"]), str(given["end"]))


def test_the_published_weekly_rules_hold() -> None:
    data = json.loads(real("vectors/incidents/goalert_schedule_rule.json").read_text())
    for case in data["cases"]:
        rule, at = _rule(case["rule"]), datetime.fromisoformat(case["at"])
        if case["fn"] == "IsActive":
            assert is_open([rule], UTC_ZONE, at) is case["expect"], case
            continue
        found = current_or_next([rule], UTC_ZONE, at)
        assert found is not None, case
        wanted = datetime.fromisoformat(case["expect"])
        assert found[0 if case["fn"] == "StartTime" else 1] == wanted, case


def test_overlapping_windows_count_once() -> None:
    zone = ZoneInfo("Europe/Berlin")
    rules = [window((1,), "08:00", "12:00"), window((1,), "11:00", "15:00"), window((1,), "15:00", "16:00")]
    start = datetime(2026, 6, 8, tzinfo=zone)
    found = within(rules, zone, start, start.replace(day=9))
    assert [(a.astimezone(zone).hour, b.astimezone(zone).hour) for a, b in found] == [(8, 16)]


def test_a_window_in_a_repeated_hour_covers_both_and_in_a_gap_is_what_is_left() -> None:
    zone = ZoneInfo("Europe/Berlin")
    night = [window((7,), "02:15", "02:45")]
    (autumn,) = within(night, zone, datetime(2026, 10, 25, tzinfo=zone), datetime(2026, 10, 25, 12, tzinfo=zone))
    assert (autumn[1] - autumn[0]).total_seconds() == 90 * 60
    assert within(night, zone, datetime(2026, 3, 29, tzinfo=zone), datetime(2026, 3, 29, 12, tzinfo=zone)) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"days": ["mon"], "start": "24:00", "end": "08:00"}, "can't start at 24:00"),
        ({"days": [], "start": "08:00", "end": "18:00"}, "at least one day"),
        ({"days": [0], "start": "08:00", "end": "18:00"}, "no weekday"),
        ({"days": ["mon"], "start": "8", "end": "18:00"}, "no time of day"),
        ({"days": ["mon"], "start": "08:00"}, "no hours"),
        ({"start": "08:00", "end": "18:00"}, "no weekly window"),
    ],
)
def test_a_wrong_window_says_what_is_wrong(given: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_window(given)


def test_days_may_be_named() -> None:
    assert read_window({"days": ["Fri", "monday", 3], "start": "08:00", "end": "24:00"}).days == (1, 3, 5)
