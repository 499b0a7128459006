from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError

from afterlaunch.app import metrics
from afterlaunch.engine.duties import Duty, cycle
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def told(telemetry_bytes: int = 0) -> dict[str, float]:
    lines = [line for line in metrics.metrics_of(lambda: telemetry_bytes).splitlines() if not line.startswith("#")]
    return {
        name.removeprefix("afterlaunch_"): float(value) for name, _, value in (line.rpartition(" ") for line in lines)
    }


def test_the_engine_the_outbox_and_the_stores_are_told() -> None:
    def broken(now: datetime) -> None:
        raise ValueError("no disk")

    with clock.frozen(AT) as fixed:
        record(automation("test"), "test.deed", "x/1", None)
        cycle([Duty("sound", 10, lambda now: None), Duty("broken", 10, broken)], "engine:1")
        fixed.advance(30)
        seen = told(10)
    assert seen['duty_runs_total{duty="sound"}'] == seen['duty_runs_total{duty="broken"}'] == 1
    assert (seen['duty_failures_total{duty="sound"}'], seen['duty_failures_total{duty="broken"}']) == (0, 1)
    assert seen['duty_last_success_age_seconds{duty="sound"}'] == 30
    assert 'duty_last_success_age_seconds{duty="broken"}' not in seen, "it never succeeded"
    assert seen["evidence_entries"] == 1 and seen["outbox_pages"] == 0 and seen["metrics_ok"] == 1
    assert seen['incidents_open{severity="P1"}'] == 0 and seen['store_bytes{store="telemetry"}'] == 10


def test_a_database_that_cannot_be_asked_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(metrics, "_duties", fail)
    assert told() == {"metrics_ok": 0}
