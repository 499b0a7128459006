from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.real_input import real

from afterlaunch.calendars.wall import local_of
from afterlaunch.oncall.rules import (
    DEFAULT_STEPS,
    Stand,
    Weekly,
    end_of_shift,
    move_on,
    on_call,
    shifts,
    start_of_shift,
)

BERLIN = "Europe/Berlin"
WEEKLY = Weekly(BERLIN, datetime.fromisoformat("2026-03-02T09:00"), (1, 2, 3))


def test_handoffs_are_those_of_the_published_vectors() -> None:
    data = json.loads(real("vectors/incidents/goalert_rotation_handoffs.json").read_text())
    lengths = {"daily": 1, "weekly": 7}
    cases = [case for case in data["cases"] if case["rotation"]["type"] in lengths]
    assert len(cases) >= 3
    for case in cases:
        rule = case["rotation"]
        zone = ZoneInfo(case["tz"])
        anchor = local_of(datetime.fromisoformat(rule["start"]), zone)
        rotation = Weekly(case["tz"], anchor, (1,), lengths[rule["type"]] * rule["shift_length"])
        at, until = datetime.fromisoformat(case["walk_from"]), datetime.fromisoformat(case["walk_to"])
        step, found = timedelta(seconds=max(case["step_seconds"], 600)), set()
        while at <= until:
            found |= {start_of_shift(rotation, at), end_of_shift(rotation, at)}
            at += step
        assert found == {datetime.fromisoformat(text) for text in case["handoffs"]}, case["comments"]


def test_the_handoff_stays_on_the_wall_clock_when_summer_begins() -> None:
    end = end_of_shift(WEEKLY, datetime(2026, 3, 25, tzinfo=UTC))
    assert end == datetime(2026, 3, 30, 7, 0, tzinfo=UTC)  # 09:00 in Berlin, an hour earlier than a week before


def test_an_override_over_several_handoffs_does_not_melt_shifts() -> None:
    start, end = datetime(2026, 3, 2, 8, tzinfo=UTC), datetime(2026, 3, 23, 8, tzinfo=UTC)
    plan = list(shifts([(start, WEEKLY)], [Stand(None, 9, start, end)], start, end))
    assert [one.person for one in plan] == [9, 9, 9] and [one.stands_in_for for one in plan] == [1, 2, 3]


def test_the_plan_has_no_hole_and_agrees_with_the_routing_at_every_instant() -> None:
    start = datetime(2026, 3, 2, 8, tzinfo=UTC)
    end = start + timedelta(weeks=6)
    stands = [
        Stand(2, 7, start + timedelta(days=8), start + timedelta(days=9)),
        Stand(None, 8, start + timedelta(days=8, hours=6), start + timedelta(days=8, hours=7)),
        Stand(3, 7, start, start + timedelta(days=2)),  # 3 is not on call then: it does nothing
    ]
    plan = list(shifts([(start, WEEKLY)], stands, start, end))
    assert plan[0].start == start and plan[-1].end == end
    assert all(a.end == b.start for a, b in pairwise(plan))
    for one in plan:
        for at in (one.start, one.end - timedelta(seconds=1)):
            assert on_call(WEEKLY, stands, at)[0] == one.person


def test_a_step_that_reaches_nobody_falls_through_at_once() -> None:
    assert move_on(DEFAULT_STEPS, 0, 0, paged_now=False, paged_ever=False).delay == 0
    assert move_on(DEFAULT_STEPS, 0, 0, paged_now=True, paged_ever=True).delay == DEFAULT_STEPS[0].delay
    assert move_on(DEFAULT_STEPS, 1, 0, paged_now=False, paged_ever=False).reason == "nobody_reachable"
