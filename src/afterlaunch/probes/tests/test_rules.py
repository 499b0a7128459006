"""HB-5, PR-4: from a try to the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterlaunch.probes import rules
from afterlaunch.probes.outcomes import Result
from afterlaunch.probes.rules import Found, Plan, Seen, State
from afterlaunch.probes.uptime import Calls, Rounds, coverage, of_both, of_probes, of_traffic, shown

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAN = Plan(MINUTE, 2, timedelta(seconds=15), 2, 1, timedelta(0))


def follow(results: str, plan: Plan = PLAN) -> tuple[Seen, list[str]]:
    """o: ok, f: failed, n: not run."""
    seen, counted, at = Seen(State.NEW, AT), [], AT
    for one in results:
        result = {"o": Result.OK, "f": Result.FAIL, "n": Result.NOT_RUN}[one]
        done = rules.after(seen, result, "x", plan, at, at + MINUTE)
        seen, at = done.seen, done.next_due
        counted.append(done.counts)
    return seen, counted


def test_a_failure_is_tried_again_before_the_location_is_down() -> None:
    assert follow("ff")[0].state is State.FAILING
    seen, counted = follow("ffffo")
    assert follow("fff")[0].state is State.DOWN and counted == ["retried", "retried", "failed", "failed", "ok"]
    assert seen.state is State.UP and seen.failures == 0


def test_retries_come_soon_and_never_after_the_next_round() -> None:
    done = rules.after(Seen(State.UP, AT), Result.FAIL, "x", PLAN, AT, AT + MINUTE)
    assert done.next_due == AT + timedelta(seconds=15)
    soon = rules.after(Seen(State.UP, AT), Result.FAIL, "x", PLAN, AT, AT + timedelta(seconds=4))
    assert soon.next_due == AT + timedelta(seconds=4)


def test_what_could_not_be_tried_is_no_failure() -> None:
    seen, counted = follow("onnnnnn")
    assert seen.state is State.UP and seen.heard == AT and counted[1:] == ["not_run"] * 6


def places(*states: str, heard: datetime = AT, failures: int = 3) -> dict[str, Seen]:
    found = {"u": State.UP, "d": State.DOWN, "f": State.FAILING, "n": State.NEW}
    return {str(n): Seen(found[one], heard, failures=failures * (one == "d")) for n, one in enumerate("".join(states))}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("uuu", "up"),
        ("duu", "failing"),
        ("ddu", "down"),
        ("ddd", "down"),
        ("fuu", "failing"),
        ("nnn", "new"),
        ("dn", "down"),
    ],
)  # fmt: skip
def test_a_quorum_of_locations_decides(states: str, expected: str) -> None:
    assert rules.state_of(places(states), PLAN, AT).state.value == expected


def test_locations_that_fell_silent_do_not_hold_up_the_others() -> None:
    silent = places("uu", heard=AT - timedelta(hours=1))
    heard = {"here": Seen(State.DOWN, AT, failures=1)}
    assert rules.state_of({**silent, **heard}, PLAN, AT).state is State.DOWN


def test_what_nobody_could_try_for_a_while_is_no_data_and_never_up() -> None:
    found = rules.state_of(places("u"), PLAN, AT)
    assert found.look_again == AT + timedelta(minutes=5)
    assert rules.state_of(places("u"), PLAN, AT + timedelta(minutes=5.1)).state is State.NO_DATA
    slow = Plan(timedelta(minutes=10), 0, MINUTE, 1, 1, timedelta(0))
    assert rules.state_of(places("d"), slow, AT + timedelta(minutes=30)).state is State.DOWN
    assert rules.state_of(places("d"), slow, AT + timedelta(minutes=31)).state is State.NO_DATA


def test_an_absence_of_the_platform_makes_nobody_stale_at_once() -> None:
    later = AT + timedelta(hours=3)
    assert rules.state_of(places("u"), PLAN, later, back_since=later).state is State.UP


DOWN = Found(State.DOWN, "failed", 1, 1, failures=2)


@pytest.mark.parametrize(
    ("found", "plan", "told", "parents", "reason"),
    [
        (Found(State.UP, "x"), PLAN, None, [], "not_down"),
        (DOWN, PLAN, None, [], "tell"),
        (DOWN, Plan(MINUTE, 0, MINUTE, 1, 3, timedelta(0)), None, [], "too_few_failures"),
        (DOWN, PLAN, None, [State.DOWN, State.UP], "parent_down"),
        (DOWN, PLAN, None, [State.FAILING], "parent_unsure"),
        (DOWN, PLAN, AT - 2 * MINUTE, [], "told"),
        (DOWN, Plan(MINUTE, 0, MINUTE, 1, 1, 2 * MINUTE), AT - 2 * MINUTE, [], "again"),
        (DOWN, Plan(MINUTE, 0, MINUTE, 1, 1, 3 * MINUTE), AT - 2 * MINUTE, [], "told"),
    ],
)
def test_who_is_told_and_who_is_not(
    found: Found, plan: Plan, told: datetime | None, parents: list[State], reason: str
) -> None:
    assert rules.notice(found, plan, told, parents, AT) == reason


def test_nothing_depends_on_itself() -> None:
    assert rules.circular(1, {1: [2], 2: [3], 3: [1]})
    assert not rules.circular(1, {1: [2, 3], 2: [3]})


def test_bars_show_the_rounds_of_all_locations() -> None:
    assert rules.marked("u", "ok", 1) == "ur" and rules.marked("u", "retried", 0) == "u"
    assert len(rules.marked("u" * 90, "failed", 0)) == 90
    assert rules.combined(["uud", "nud"], 2) == "uud" and rules.combined(["n", "n"], 1) == "n"
    assert rules.combined(["ud", "uu"], 2) == "ur"


@given(st.text("ofn", max_size=60), st.integers(0, 3))
def test_rounds_are_counted_once_and_down_needs_every_retry(results: str, retries: int) -> None:
    plan = Plan(MINUTE, retries, timedelta(seconds=5), 1, 1, timedelta(0))
    seen, counted = follow(results, plan)
    assert len(counted) == len(results)
    if seen.state is State.DOWN:
        assert "f" * (retries + 1) in results.replace("n", "")
    assert (seen.failures > 0) == (seen.state is State.DOWN)


# -- uptime ----------------------------------------------------------------------------------------------------------


def test_uptime_says_how_it_came_about() -> None:
    assert of_probes(Rounds(4_317, 3, 20)).formula == "4,317 of 4,320 rounds of probes were well"
    assert of_traffic(Calls(1_000, 5)).share == 0.995


def test_unknown_stays_unknown() -> None:
    assert of_both(Rounds(0, 0, 50), Calls()).share is None
    assert shown(None) == "not known" and shown(0.999999) == "99.999 %" and shown(1.0) == "100 %"
    assert coverage(Rounds(50, 0, 50), MINUTE, 1, timedelta(minutes=100)) == 0.5
    assert coverage(Rounds(), MINUTE, 1, timedelta(0)) is None


def test_a_system_is_never_better_than_the_worse_of_its_sources() -> None:
    found = of_both(Rounds(100, 0), Calls(100, 10))
    assert (found.share, found.source) == (0.9, "traffic") and "less than" in found.formula
    assert of_both(Rounds(99, 1), Calls()).source == "probes"
