"""What the specification promises, counted by hand beside it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterlaunch.calendars.business import AROUND_THE_CLOCK, WEEKDAYS_8_TO_18, Calendar, NeverOpen, SpecialDay
from afterlaunch.calendars.windows import Hours, window
from afterlaunch.sla.due import due, paused
from afterlaunch.sla.pauses import Span, ends_by_cap, standing
from afterlaunch.sla.targets import MATRIX, Slot, Target

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar("Europe/Berlin", WEEKDAYS_8_TO_18)
GERMAN = Calendar("Europe/Berlin", WEEKDAYS_8_TO_18, "DE")
ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("posix", "right")))
INSTANTS = st.integers(946_684_800, 2_145_916_800).map(lambda s: datetime.fromtimestamp(s, UTC))  # 2000 to 2037
calendars = st.builds(
    lambda zone, country, start, end: Calendar(zone, (window((1, 2, 3, 4, 5), start, end),), country),
    st.sampled_from(ZONES),
    st.sampled_from(("", "DE", "US", "NZ")),
    st.sampled_from(("00:30", "08:00", "22:00")),
    st.sampled_from(("06:00", "18:00", "24:00", "08:00")),
)
P1 = MATRIX["standard"]["P1"]


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
    assert due(P1, OFFICE, at(opened)).at == at(standard)
    assert due(MATRIX["enterprise"]["P1"], OFFICE, at(opened)).at == at(enterprise)


def test_both_candidates_the_reason_and_every_step_are_told() -> None:
    answer = due(P1, OFFICE, at("2026-06-09T07:55"))
    assert answer.reason == "closed_next_opening"
    assert answer.candidates == {"off_hours": at("2026-06-09T09:55"), "next_opening": at("2026-06-09T08:30")}
    assert [step.text for step in answer.steps] == [
        "Promised: 30 min in business hours, 2 h off hours.",
        "It began Tue 9 Jun 2026 07:55 (Europe/Berlin).",
        "The calendar business-hours was closed (outside its windows): off hours, "
        "Tue 9 Jun 2026 07:55 + 2 h = Tue 9 Jun 2026 09:55.",
        "Next opening Tue 9 Jun 2026 08:00 + 30 min = Tue 9 Jun 2026 08:30.",
        "The earlier of the two counts.",
        "Due Tue 9 Jun 2026 08:30 (Europe/Berlin).",
    ]


def test_a_holiday_is_named_and_the_next_opening_lies_after_it() -> None:
    answer = due(P1, GERMAN, at("2026-12-25T10:00"))
    assert answer.at == at("2026-12-25T12:00") and "Christmas Day" in answer.steps[2].text
    assert answer.candidates["next_opening"] == at("2026-12-28T08:30")


def test_an_enterprise_p2_counts_elapsed_time_and_a_contract_may_count_business_time() -> None:
    enterprise = MATRIX["enterprise"]["P2"]
    assert due(enterprise, OFFICE, at("2026-06-12T17:00")).at == at("2026-06-12T21:00")
    business = Target("duration", "business", 4 * 3600, 4 * 3600)
    assert due(business, OFFICE, at("2026-06-12T17:00")).at == at("2026-06-15T11:00")
    assert due(business, OFFICE, at("2026-06-12T14:00")).at == at("2026-06-12T18:00")  # ends with the window


def test_the_next_business_day_skips_weekends_and_holidays_and_ends_with_its_last_window() -> None:
    p2 = MATRIX["standard"]["P2"]
    assert due(p2, OFFICE, at("2026-06-12T17:00")).at == at("2026-06-15T18:00")
    assert due(p2, OFFICE, at("2026-06-15T00:30")).at == at("2026-06-16T18:00")  # strictly after the local date
    york = ZoneInfo("America/New_York")  # Friday 3 July 2026 is the observed holiday
    american = Calendar("America/New_York", WEEKDAYS_8_TO_18, "US")
    assert due(p2, american, at("2026-07-02T10:00", york)).at == at("2026-07-06T18:00", york)
    p3 = MATRIX["enterprise"]["P3"]
    assert due(p3, GERMAN, at("2026-12-30T10:00")).at == at("2027-01-04T18:00")  # 31 Dec, then over New Year's Day
    assert "New Year's Day" in " ".join(step.text for step in due(p3, GERMAN, at("2026-12-30T10:00")).steps)


def test_a_half_day_ends_at_its_own_end_and_a_policy_may_set_the_time() -> None:
    half = (SpecialDay(date(2026, 12, 31), (Hours("08:00", "12:00"),)),)
    calendar = Calendar("Europe/Berlin", WEEKDAYS_8_TO_18, "DE", half_days=half)
    assert due(MATRIX["standard"]["P2"], calendar, at("2026-12-30T10:00")).at == at("2026-12-31T12:00")
    at_noon = Target("business_days", "business", days=1, due_time="12:30")
    assert due(at_noon, OFFICE, at("2026-06-09T10:00")).at == at("2026-06-10T12:30")


def test_the_last_window_of_a_business_day_may_end_the_day_after() -> None:
    nights = Calendar("Europe/Berlin", (window((1, 2, 3, 4, 5), "22:00", "06:00"),))
    assert due(MATRIX["standard"]["P2"], nights, at("2026-06-09T10:00")).at == at("2026-06-11T06:00")
    always = Calendar("Europe/Berlin", AROUND_THE_CLOCK)
    assert due(MATRIX["standard"]["P2"], always, at("2026-03-28T10:00")).at == at("2026-03-30T00:00")


def test_the_weekly_batch_moves_off_a_closed_date_and_the_years_end_is_nothing_special() -> None:
    p3 = MATRIX["standard"]["P3"]
    assert due(p3, OFFICE, at("2026-06-09T10:00")).at == at("2026-06-15T10:00")
    assert due(p3, OFFICE, at("2026-06-15T10:00")).at == at("2026-06-22T10:00")  # strictly after
    closed = Calendar("Europe/Berlin", WEEKDAYS_8_TO_18, closures=(date(2026, 6, 15),))
    answer = due(p3, closed, at("2026-06-15T09:00"))
    assert (answer.at, answer.reason) == (at("2026-06-16T10:00"), "batch_slot_moved")
    assert due(p3, closed, at("2026-06-15T12:00")).at == at("2026-06-16T10:00")  # the moved one is still ahead
    assert due(p3, OFFICE, at("2026-12-29T10:00")).at == at("2027-01-04T10:00")
    shut = Calendar("Europe/Berlin", WEEKDAYS_8_TO_18, closures=tuple(date(2026, 8, day) for day in range(1, 25)))
    assert due(p3, shut, at("2026-08-20T10:00")).at == at("2026-08-25T10:00")


def test_a_slot_in_a_gap_or_a_repeated_hour_happens_once() -> None:
    always = Calendar("Europe/Berlin", AROUND_THE_CLOCK)
    slot = Target("batch_slot", "business", slot=Slot(7, "02:30"))
    assert due(slot, always, at("2026-03-28T10:00")).at == at("2026-03-29T03:00")
    first = due(slot, always, at("2026-10-24T10:00")).at
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC) and due(slot, always, first).at == at("2026-11-01T02:30")
    elsewhere = Target("batch_slot", "business", slot=Slot(1, "10:00", "Asia/Tokyo"))
    assert due(elsewhere, OFFICE, at("2026-06-09T10:00")).at == at("2026-06-15T10:00", ZoneInfo("Asia/Tokyo"))


def test_elapsed_time_runs_through_a_clock_change() -> None:
    always = Calendar("Europe/Berlin", AROUND_THE_CLOCK)
    assert due(P1, always, at("2026-03-29T01:45")).at == at("2026-03-29T03:15")


def test_a_calendar_that_never_opens_gives_no_business_day_but_an_off_hours_target() -> None:
    never = Calendar("UTC", ())
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert due(P1, never, start).at == start + timedelta(hours=2)
    for target in (MATRIX["standard"]["P2"], MATRIX["standard"]["P3"], Target("duration", "business", 60, 60)):
        with pytest.raises(NeverOpen):
            due(target, never, start)


def test_a_pause_moves_the_deadline_by_what_would_have_counted() -> None:
    elapsed = Target("duration", "elapsed", 4 * 3600, 4 * 3600)
    answer = due(elapsed, OFFICE, at("2026-06-09T10:00"))
    span = Span(at("2026-06-09T11:00"), at("2026-06-09T12:30"))
    assert paused(answer, elapsed, OFFICE, [span]).at == at("2026-06-09T15:30")
    business = Target("duration", "business", 4 * 3600, 4 * 3600)
    answer = due(business, OFFICE, at("2026-06-12T15:00"))  # Friday, 3 h left of it
    over_weekend = Span(at("2026-06-12T17:00"), at("2026-06-15T09:00"))
    assert answer.at == at("2026-06-15T09:00")
    assert paused(answer, business, OFFICE, [over_weekend]).at == at("2026-06-15T11:00")
    late = Span(at("2026-06-16T09:00"), at("2026-06-16T10:00"))
    told = paused(answer, business, OFFICE, [late])
    assert told.at == answer.at and "moves nothing" in told.steps[-1].text


def test_pauses_are_merged_and_capped() -> None:
    start, hour = at("2026-06-01T00:00"), timedelta(hours=1)
    raw = [(start, start + 10 * hour), (start + 5 * hour, start + 20 * hour), (start + 30 * hour, None)]
    now = start + 200 * hour
    assert standing(raw, now, 72 * 3600, 240 * 3600) == [
        Span(start, start + 20 * hour),
        Span(start + 30 * hour, start + 102 * hour, True),
    ]
    assert standing(raw, now, 72 * 3600, 60 * 3600)[1] == Span(start + 30 * hour, start + 70 * hour, True)
    assert ends_by_cap(raw, start + 30 * hour, 72 * 3600, 60 * 3600) == start + 70 * hour
    assert ends_by_cap(raw, start + 30 * hour, 72 * 3600, 240 * 3600) == start + 102 * hour


@settings(max_examples=300, deadline=None)
@given(calendars, INSTANTS)
def test_the_deadline_is_never_later_than_a_candidate(calendar: Calendar, start: datetime) -> None:
    answer = due(P1, calendar, start)
    assert answer.at == min(answer.candidates.values()) and answer.at > start


@settings(max_examples=200, deadline=None)
@given(calendars, INSTANTS, st.integers(1, 86_400), st.sampled_from(("standard", "enterprise")))
def test_who_came_later_is_never_promised_earlier_days_or_batches(
    calendar: Calendar, start: datetime, seconds: int, tier: str
) -> None:
    for severity in ("P2", "P3"):
        target = MATRIX[tier][severity]
        assert due(target, calendar, start).at <= due(target, calendar, start + timedelta(seconds=seconds)).at
