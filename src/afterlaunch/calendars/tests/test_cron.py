from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterlaunch.calendars.cron import check_cron, next_run, runs
from afterlaunch.ground.errors import Invalid

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def first(expression: str, after: str, count: int) -> list[str]:
    return [one.astimezone(BERLIN).isoformat() for one in islice(runs(expression, BERLIN, at(after)), count)]


def test_a_fixed_time_in_a_gap_is_due_right_after_it_once() -> None:
    assert first("30 2 * * *", "2026-03-28T12:00+01:00", 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert first("0,30 2,3 * * *", "2026-03-29T00:00+01:00", 3) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-29T03:30:00+02:00",
        "2026-03-30T02:00:00+02:00",
    ]


def test_a_fixed_time_in_a_repeated_hour_runs_at_its_first_occurrence_only() -> None:
    wanted = ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    assert first("30 2 * * *", "2026-10-25T00:00+02:00", 2) == wanted
    assert first("30 2 * * *", "2026-10-25T02:15:00+01:00", 1) == wanted[1:]  # already in the second occurrence


def test_a_wildcard_job_follows_real_time() -> None:
    spring = list(islice(runs("*/30 * * * *", BERLIN, at("2026-03-29T01:00+01:00")), 4))
    autumn = list(islice(runs("*/30 * * * *", BERLIN, at("2026-10-25T01:30+02:00")), 6))
    assert {b - a for found in (spring, autumn) for a, b in pairwise(found)} == {timedelta(minutes=30)}


def test_half_hour_changes_are_known() -> None:
    howe = ZoneInfo("Australia/Lord_Howe")
    found = next_run("15 2 * * *", howe, datetime(2026, 10, 3, 12, tzinfo=UTC))
    assert found is not None and found.astimezone(howe).isoformat() == "2026-10-04T02:30:00+11:00"


@pytest.mark.parametrize("wrong", ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "@daily", "a b c d e"])
def test_what_can_not_be_read_or_never_comes_due_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid, match=r"cron expression|never comes due"):
        check_cron(wrong)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(("30 2 * * *", "0 1-3 * * *", "*/7 * * * *", "15 */2 * * 1-5", "0 0 29 2 *", "30 0,1,2,23 * * *")),
    st.sampled_from(("Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC")),
    st.integers(946_684_800, 2_145_916_800),
)
def test_runs_are_after_what_was_asked_and_in_order(expression: str, zone: str, seconds: int) -> None:
    after = datetime.fromtimestamp(seconds, UTC)
    found = [after, *islice(runs(expression, ZoneInfo(zone), after), 5)]
    assert all(a < b for a, b in pairwise(found)) and len(found) == 6
