"""iCalendar in and out, in the forms that calendar programs write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from icalendar import Calendar

from afterlaunch.ground.errors import Invalid
from afterlaunch.oncall.calendar_in import Read, read
from afterlaunch.oncall.calendar_out import Entry, calendar_text, etag_of, uid_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PEOPLE = {"ada@acme.example": 1, "ada": 1, "ben": 2, "cleo ng": 3}


def event(*lines: str, uid: str = "u1", summary: str = "Ada") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", f"SUMMARY:{summary}", *lines, "END:VEVENT"])


def told(*events: str, head: str = "", zone: str = "Europe/Berlin") -> Read:
    body = "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *([head] if head else []), *events, "END:VCALENDAR", ""])
    return read(body.encode(), zone, NOW, PEOPLE.get)


def starts(found: Read) -> list[str]:
    return [one["from"] for one in found.shifts]


NINE = ("DTSTART;TZID=Europe/Berlin:20260327T090000", "DTEND;TZID=Europe/Berlin:20260328T090000")


def test_a_recurrence_keeps_its_hour_when_clocks_change_and_leaves_no_hole() -> None:
    found = told(event(*NINE, "RRULE:FREQ=DAILY;COUNT=4"))
    assert starts(found) == ["2026-03-27T08:00:00Z", "2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z",
                             "2026-03-30T07:00:00Z"]  # fmt: skip
    assert [one["to"] for one in found.shifts][:3] == starts(found)[1:]


def test_one_occurrence_is_left_out_one_is_moved_to_somebody_else_and_one_is_cancelled() -> None:
    moved = event("RECURRENCE-ID;TZID=Europe/Berlin:20260328T090000", "DTSTART;TZID=Europe/Berlin:20260328T120000",
                  "DTEND;TZID=Europe/Berlin:20260328T180000", summary="Ben")  # fmt: skip
    gone = event("RECURRENCE-ID;TZID=Europe/Berlin:20260330T090000", "DTSTART;TZID=Europe/Berlin:20260330T090000",
                 "STATUS:CANCELLED")  # fmt: skip
    found = told(event(*NINE, "RRULE:FREQ=DAILY;COUNT=5", "EXDATE;TZID=Europe/Berlin:20260329T090000"), moved, gone)
    assert [(one["from"], one["people"]) for one in found.shifts] == [
        ("2026-03-27T08:00:00Z", [1]), ("2026-03-28T11:00:00Z", [2]), ("2026-03-31T07:00:00Z", [1]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "head", "expected"),
    [
        (
            ("DTSTART;VALUE=DATE:20260303", "DTEND;VALUE=DATE:20260305"),
            "",
            ("2026-03-02T23:00:00Z", "2026-03-04T23:00:00Z"),
        ),
        (
            ("DTSTART;VALUE=DATE:20260303",),
            "X-WR-TIMEZONE:America/New_York",
            ("2026-03-03T05:00:00Z", "2026-03-04T05:00:00Z"),
        ),
        (
            ("DTSTART:20260303T090000", "DURATION:PT8H"),
            "X-WR-TIMEZONE:America/New_York",
            ("2026-03-03T08:00:00Z", "2026-03-03T16:00:00Z"),
        ),
        (
            ("DTSTART;TZID=W. Europe Standard Time:20260303T090000", "DURATION:PT1H"),
            "",
            ("2026-03-03T08:00:00Z", "2026-03-03T09:00:00Z"),
        ),
        (
            ("DTSTART;TZID=Nowhere/Else:20260303T090000", "DURATION:PT1H"),
            "",
            ("2026-03-03T08:00:00Z", "2026-03-03T09:00:00Z"),
        ),
        (("DTSTART:20260303T090000Z", "DTEND:20260303T100000Z"), "", ("2026-03-03T09:00:00Z", "2026-03-03T10:00:00Z")),
    ],
)
def test_all_day_floating_windows_and_utc_times(lines: tuple[str, ...], head: str, expected: tuple[str, str]) -> None:
    (one,) = told(event(*lines), head=head).shifts
    assert (one["from"], one["to"]) == expected


def test_a_zone_that_the_calendar_describes_itself() -> None:
    zone = "\r\n".join(
        ["BEGIN:VTIMEZONE", "TZID:Ours", "BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0300",
         "TZOFFSETTO:+0300", "END:STANDARD", "END:VTIMEZONE"]
    )  # fmt: skip
    assert starts(told(zone, event("DTSTART;TZID=Ours:20260303T090000", "DURATION:PT1H"))) == ["2026-03-03T06:00:00Z"]


@pytest.mark.parametrize(
    ("rule", "count", "first"),
    [
        ("FREQ=WEEKLY;BYDAY=MO,TU;UNTIL=20260401T000000Z", 18, "2026-02-02T08:00:00Z"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=3", 3, "2026-02-02T08:00:00Z"),
        ("FREQ=MONTHLY;BYDAY=1MO", 15, "2026-02-02T08:00:00Z"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;UNTIL=20260430", 3, "2026-02-27T08:00:00Z"),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24", 1, "2026-12-24T08:00:00Z"),
        ("FREQ=DAILY;BYHOUR=9,21;COUNT=5", 5, "2026-02-02T08:00:00Z"),
        ("FREQ=WEEKLY;BYDAY=MO;BYHOUR=21;BYMINUTE=30;UNTIL=20260301T000000Z", 4, "2026-02-02T20:30:00Z"),
    ],
)
def test_recurrences_that_schedules_are_written_with(rule: str, count: int, first: str) -> None:
    found = told(event("DTSTART;TZID=Europe/Berlin:20260202T090000", "DURATION:PT8H", f"RRULE:{rule}"))
    assert (starts(found)[0], len(found.shifts)) == (first, count)


def test_an_old_hourly_recurrence_is_read_at_once_and_only_within_the_window() -> None:
    found = told(event("DTSTART:19800101T000000Z", "DURATION:PT1H", "RRULE:FREQ=HOURLY;INTERVAL=6"))
    assert len(found.shifts) == (31 + 400) * 4
    found = told(event("DTSTART:19800101T000000Z", "DURATION:PT12H", "RRULE:FREQ=DAILY;BYHOUR=6,18"))
    assert len(found.shifts) == (31 + 400) * 2 + 1 and starts(found)[1] == "2026-01-30T18:00:00Z"


def at(name: str, when: str, of: str = "") -> str:
    return f"{name}{of};TZID=Europe/Berlin:202603{when}00"


def test_a_change_of_this_and_all_that_follow_leaves_alone_what_was_changed_by_itself() -> None:
    later = event(at("RECURRENCE-ID", "28T0900", ";RANGE=THISANDFUTURE"), at("DTSTART", "28T1000"),
                  at("DTEND", "28T2000"), summary="Ben")  # fmt: skip
    other = event(at("RECURRENCE-ID", "30T0900"), at("DTSTART", "30T1200"), at("DTEND", "30T1800"), summary="Cleo Ng")
    over = event(at("RECURRENCE-ID", "31T0900", ";RANGE=THISANDFUTURE"), at("DTSTART", "31T0900"), "STATUS:CANCELLED")
    found = told(event(*NINE, "RRULE:FREQ=DAILY;COUNT=6"), later, over, other)
    assert [(one["from"], one["to"], one["people"]) for one in found.shifts] == [
        ("2026-03-27T08:00:00Z", "2026-03-28T08:00:00Z", [1]),
        ("2026-03-28T09:00:00Z", "2026-03-28T19:00:00Z", [2]),
        ("2026-03-29T08:00:00Z", "2026-03-29T18:00:00Z", [2]),  # ten o'clock, also when clocks have changed
        ("2026-03-30T10:00:00Z", "2026-03-30T16:00:00Z", [3]),
    ]


def test_what_is_moved_into_the_window_is_read_and_all_day_events_move_by_days() -> None:
    days = ("DTSTART;VALUE=DATE:20250105", "DTEND;VALUE=DATE:20250106", "RRULE:FREQ=WEEKLY;UNTIL=20260125")
    moved = event("RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20260125", "DTSTART;VALUE=DATE:20260302",
                  "DTEND;VALUE=DATE:20260304")  # fmt: skip
    assert [(one["from"], one["to"]) for one in told(event(*days), moved).shifts] == [
        ("2026-03-01T23:00:00Z", "2026-03-03T23:00:00Z")
    ]
    far = event("RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20260125", "DTSTART;VALUE=DATE:20300302")
    with pytest.raises(Invalid, match="more than 400 days"):
        told(event(*days), far)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("DTSTART:20260303T090000Z", "DURATION:PT1H", "RRULE:FREQ=SECONDLY"), "not understood"),
        (("DTSTART:20260303T090000Z", "DURATION:PT1H", "RRULE:FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30"), "not understood"),
        (("DTSTART:20260303T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYSETPOS=5"), "not understood"),
        (("DTSTART:20260303T090000Z", "DURATION:PT1H", "RRULE:FREQ=HOURLY;INTERVAL=24;BYHOUR=5"), "not understood"),
        (("DTSTART:20260303T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYHOUR=24"), "not understood"),
        (("DTSTART:nonsense",), "no DTSTART that can be read"),
        (("DURATION:PT1H",), "no DTSTART that can be read"),
    ],
)
def test_what_cannot_be_read_is_said(lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        told(event(*lines))


@pytest.mark.parametrize("body", [b"", b"hello", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", b"x" * (5 * 1024 * 1024 + 1)])
def test_an_empty_or_broken_or_huge_body_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        read(body, "UTC", NOW, PEOPLE.get)


@pytest.mark.parametrize(
    ("summary", "more", "people", "unmatched", "priority"),
    [
        ("ADA", (), [1], [], 0),
        ("[L2] cleo NG", (), [3], [], 2),
        ("Ada & Ben", (), [1, 2], [], 0),
        ("On call", ("ATTENDEE;CN=x:MAILTO:Ada@Acme.example",), [1], [], 0),
        ("Zoe", (), [], ["Zoe"], 0),
        ("Ada, Zoe", (), [1], ["Zoe"], 0),
        ("", (), [], ["—"], 0),
    ],
)
def test_people_by_attendee_or_name(
    summary: str, more: tuple[str, ...], people: list[int], unmatched: list[str], priority: int
) -> None:
    found = told(event("DTSTART:20260303T090000Z", "DURATION:PT1H", *more, summary=summary))
    (one,) = found.shifts
    assert (one["people"], found.unmatched, one["priority"]) == (people, unmatched, priority)


def entry(**rest: Any) -> Entry:
    told = {
        "person": 1, "schedule": 2, "start": NOW, "end": NOW + timedelta(days=1),
        "summary": "Ada, on call; äöü\\ " * 6, "description": "line one\nline two", "changed": NOW,
    }  # fmt: skip
    return Entry(**{**told, **rest})


def test_a_feed_is_read_back_and_keeps_every_rule_of_the_format() -> None:
    body = calendar_text("Acme, primary", "Europe/Berlin", [entry()], reminders=(60, 15))
    lines = body.split(b"\r\n")
    assert body.endswith(b"\r\n") and all(len(line) <= 75 for line in lines) and b"\n" not in b"".join(lines)
    for line in lines:
        line.decode()  # no character is cut in two
    for wanted in (b"VERSION:2.0", b"METHOD:PUBLISH", b"X-WR-CALNAME:Acme\\, primary", b"X-WR-TIMEZONE:Europe/Berlin",
                   b"REFRESH-INTERVAL;VALUE=DURATION:PT1H", b"DTSTART:20260302T120000Z"):  # fmt: skip
        assert wanted in lines, wanted
    (event,) = Calendar.from_ical(body).walk("VEVENT")
    assert str(event["SUMMARY"]) == entry().summary and str(event["DESCRIPTION"]) == "line one\nline two"
    assert len(event.walk("VALARM")) == 2


def test_a_uid_stays_while_the_start_moves_and_changes_with_person_schedule_or_end() -> None:
    same = uid_of(entry(start=NOW - timedelta(days=3)))
    assert same == uid_of(entry())
    assert len({same, uid_of(entry(person=2)), uid_of(entry(schedule=3)), uid_of(entry(end=NOW))}) == 4
    assert calendar_text("x", "UTC", [entry()]) == calendar_text("x", "UTC", [entry()])
    assert etag_of(b"a") != etag_of(b"b")
