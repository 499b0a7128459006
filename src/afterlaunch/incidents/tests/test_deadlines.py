from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from afterlaunch.calendars.business import WEEKDAYS_8_TO_18, Calendar
from afterlaunch.incidents.rules import MATRIX, due, judge_clock

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar("Europe/Berlin", WEEKDAYS_8_TO_18)


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


# 2026-06-09 is a Tuesday, 2026-06-13 a Saturday
@pytest.mark.parametrize(
    ("opened", "standard", "enterprise"),
    [
        ("2026-06-09T07:55", "2026-06-09T08:30", "2026-06-09T08:15"),
        ("2026-06-09T06:00", "2026-06-09T08:00", "2026-06-09T06:30"),
        ("2026-06-09T08:00", "2026-06-09T08:30", "2026-06-09T08:15"),
        ("2026-06-09T17:50", "2026-06-09T18:20", "2026-06-09T18:05"),
        ("2026-06-09T18:00", "2026-06-09T20:00", "2026-06-09T18:30"),
        ("2026-06-13T12:00", "2026-06-13T14:00", "2026-06-13T12:30"),
    ],
)
def test_a_p1_is_promised_as_the_matrix_says(opened: str, standard: str, enterprise: str) -> None:
    assert due(MATRIX["standard", "P1"], OFFICE, at(opened)).at == at(standard)
    assert due(MATRIX["enterprise", "P1"], OFFICE, at(opened)).at == at(enterprise)


def test_both_candidates_and_the_reason_are_told() -> None:
    answer = due(MATRIX["standard", "P1"], OFFICE, at("2026-06-09T07:55"))
    assert answer.reason == "closed_next_opening"
    assert answer.candidates == {"off_hours": at("2026-06-09T09:55"), "next_opening": at("2026-06-09T08:30")}


def test_next_business_day_is_the_end_of_it_and_skips_weekend_and_holidays() -> None:
    assert due(MATRIX["standard", "P2"], OFFICE, at("2026-06-12T17:00")).at == at("2026-06-15T18:00")
    american = Calendar("America/New_York", WEEKDAYS_8_TO_18, "US")
    york = ZoneInfo("America/New_York")  # Friday 3 July 2026 is the observed holiday
    assert due(MATRIX["standard", "P2"], american, at("2026-07-02T10:00", york)).at == at("2026-07-06T18:00", york)
    assert due(MATRIX["enterprise", "P3"], OFFICE, at("2026-06-12T17:00")).at == at("2026-06-16T18:00")


def test_a_p3_waits_for_the_weekly_batch_which_moves_off_a_closed_date() -> None:
    assert due(MATRIX["standard", "P3"], OFFICE, at("2026-06-09T10:00")).at == at("2026-06-15T10:00")
    assert due(MATRIX["standard", "P3"], OFFICE, at("2026-06-15T10:00")).at == at("2026-06-22T10:00")
    closed = Calendar("Europe/Berlin", WEEKDAYS_8_TO_18, closures=(date(2026, 6, 15),))
    answer = due(MATRIX["standard", "P3"], closed, at("2026-06-15T09:00"))
    assert (answer.at, answer.reason) == (at("2026-06-16T10:00"), "batch_slot_moved")
    assert due(MATRIX["standard", "P3"], OFFICE, at("2026-12-29T10:00")).at == at("2027-01-04T10:00")


def test_deadlines_never_run_backwards_and_never_pass_a_candidate() -> None:
    target, start = MATRIX["standard", "P1"], at("2026-06-07T00:00")
    answers = [due(target, OFFICE, start + timedelta(minutes=7 * n)) for n in range(400)]
    assert all(answer.at == min(answer.candidates.values()) for answer in answers)


def test_an_acknowledgement_at_the_deadline_is_in_time() -> None:
    deadline = at("2026-06-09T08:30")
    assert judge_clock(deadline, deadline, deadline).verdict == "met"
    late = judge_clock(deadline, deadline + timedelta(seconds=1), deadline + timedelta(days=1))
    assert (late.verdict, late.breached_at) == ("breached", deadline)
    assert judge_clock(deadline, None, deadline).verdict == "running"
