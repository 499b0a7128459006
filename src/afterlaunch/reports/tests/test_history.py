"""How long a verdict stood, and where it is not believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from afterlaunch.reports.history import Step, durations
from afterlaunch.telemetry.served import Silence

START = datetime(2026, 11, 1, tzinfo=UTC)
UNTIL = START + timedelta(hours=10)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def told(*steps: Step, assessed: float = 20, silences: tuple[tuple[float, float], ...] = ()) -> dict[str, float]:
    quiet = [Silence(at(begin), at(end)) for begin, end in silences]
    found = durations(steps, START, UNTIL, at(assessed), quiet)
    return {status: seconds / 3600 for status, seconds in found.items()}


def test_each_status_has_the_time_until_the_next_one() -> None:
    assert told((at(-5), "ok"), (at(2), "breach"), (at(3), "ok")) == {"ok": 9, "breach": 1}


def test_before_the_first_verdict_nothing_is_counted() -> None:
    assert told((at(4), "ok")) == {"ok": 6}
    assert told() == {}


def test_a_status_ends_with_the_last_assessment() -> None:
    assert told((at(0), "ok"), assessed=4) == {"ok": 4, "not_assessed": 6}


def test_a_status_is_believed_for_an_hour_after_the_last_call() -> None:
    assert told((at(0), "breach"), silences=((2, 6),)) == {"breach": 7, "not_assessed": 3}
    assert told((at(0), "ok"), silences=((2, 2.5),)) == {"ok": 10}


def test_silences_and_the_last_assessment_are_not_counted_twice() -> None:
    assert told((at(0), "ok"), assessed=5, silences=((2, 9), (9, 10))) == {"ok": 3, "not_assessed": 7}


def test_what_was_not_assessed_stays_so() -> None:
    assert told((at(0), "not_assessed"), (at(5), "ok"), silences=((0, 5),)) == {"not_assessed": 5, "ok": 5}
