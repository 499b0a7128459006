"""ST-1, ST-3: what a component shows, and what happens by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from afterlaunch.status_pages.rules import Override, State, Trouble, automatic, phase_of, state_of, worst

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


@pytest.mark.parametrize(
    ("severities", "maintained", "override", "expected"),
    [
        ([], False, None, State.OPERATIONAL),
        ([], True, None, State.MAINTENANCE),
        (["P3"], True, None, State.DEGRADED),
        (["P3", "P1"], False, None, State.MAJOR),
        (["P2"], False, Override(State.OPERATIONAL, LATER), State.OPERATIONAL),  # a person says so
        (["P2"], False, Override(State.OPERATIONAL, AT - timedelta(hours=1)), State.PARTIAL),  # it opened afterwards
        ([], False, Override(State.DEGRADED, AT), State.DEGRADED),
    ],
)
def test_never_better_than_the_worst_incident_unless_a_person_says_so(
    severities: list[str], maintained: bool, override: Override | None, expected: State
) -> None:
    assert state_of([Trouble(one, AT) for one in severities], maintained, override) is expected


def test_what_has_recovered_is_only_degraded() -> None:
    assert state_of([Trouble("P1", AT, recovered=True)], False, None) is State.DEGRADED
    assert worst([]) is State.OPERATIONAL


@pytest.mark.parametrize("policy", ["draft", "publish", "nothing"])
def test_of_security_nothing_happens_by_itself(policy: str) -> None:
    assert automatic(policy, True, "P1") == "nothing"
    assert automatic(policy, False, "P1") == policy


def test_phases_are_told_in_words_for_outsiders() -> None:
    assert phase_of(False, False, False) == "investigating"
    assert phase_of(True, False, False) == "identified"
    assert phase_of(True, True, False) == "monitoring"
    assert phase_of(False, True, True) == "resolved"
