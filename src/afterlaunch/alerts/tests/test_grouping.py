from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.real_input import real

from afterlaunch.alerts.grouping import Told, needs_telling, next_look

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_group_is_told_again_when_prometheus_alertmanager_would() -> None:
    """AL-4."""
    cases = json.loads(real("vectors/incidents/alertmanager_dedup_needs_update.json").read_text())["cases"]
    for case in cases:
        last = case["last_notified"]
        told = None
        if last is not None:
            ago = last["sent_ago_seconds"]
            at = None if ago is None else NOW - timedelta(seconds=ago)
            told = Told(frozenset(last["firing"]), frozenset(last["resolved"]), at)
        repeat = timedelta(seconds=case["repeat_interval_seconds"])
        found = needs_telling(
            told, set(case["firing_now"]), set(case["resolved_now"]), repeat, case["send_resolved"], NOW
        )
        assert found.yes == case["expect_notify"], case["note"]
    assert len(cases) == 11


def test_a_p1_waits_for_nothing() -> None:
    assert next_look(None, "P1", 30, 300, NOW) == NOW
    assert next_look(None, "P2", 30, 300, NOW) == NOW + timedelta(seconds=30)
    assert next_look(NOW - timedelta(minutes=1), "P2", 30, 300, NOW) == NOW + timedelta(minutes=4)
    assert next_look(NOW - timedelta(hours=1), "P2", 30, 300, NOW) == NOW
