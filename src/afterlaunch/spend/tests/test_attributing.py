"""Who is told to have caused spend, and what of it serves nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from afterlaunch.ground import clock
from afterlaunch.spend.attributing import Told, idle, judge, unattributed
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.models import Verdict

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seen", "status", "reason"),
    [
        (Told(200, 100, 5, 5_000, 100), "breach", "untold_above_usual"),
        (Told(200, 10, 5, 5_000, 100), "ok", "told_as_usual"),
        (Told(100, 14, 5, 5_000, 100), "warning", "perhaps_untold"),
        (Told(200, 200, 5, 5_000, 4_000), "not_assessed", "dimension_not_in_use"),
        (Told(50, 50, 5, 5_000, 0), "not_assessed", "too_few_calls"),
    ],
)
def test_only_a_dimension_that_was_told_can_be_lost(seen: Told, status: str, reason: str) -> None:
    found = unattributed({"tenant": seen, "agent": Told()})
    assert (found.status, found.reason) == (status, reason)


def test_shadows_and_probes_have_bounds() -> None:
    def of(nano: int) -> Window:
        return Window(NOW, NOW, {}, calls=10, cost_nano=nano)

    assert idle(of(10**10), of(9 * 10**9)).status == "ok"
    assert idle(of(10**10), of(7 * 10**9)).status == "breach"
    assert idle(of(10**10), None).status == "breach"
    assert idle(of(10**8), None).status == "not_assessed"


@pytest.mark.django_db
def test_headers_that_a_deployment_lost_are_found(tmp_path: Path) -> None:
    store = stores.open_store(tmp_path / "t.duckdb")
    calls = []
    for number in range(400):
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5",
        }
        at = NOW - timedelta(hours=20) if number < 200 else NOW - timedelta(minutes=20)
        if number < 200 or number % 2:
            attributes["tenant.id"] = "north"
        one = span(
            {**attributes, "gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 10},
            number=number + 1,
            trace=number + 1,
        )
        one.start_time_unix_nano, one.end_time_unix_nano = clock.to_ns(at), clock.to_ns(at) + 10**9
        calls.append(one)
    with clock.frozen(NOW):
        store.commit([normalise(body(*calls), PROTOBUF, "acme", 0).table])
        judge(NOW)
    verdict = Verdict.objects.get(judge="spend.unattributed")
    assert (verdict.status, verdict.system, verdict.evidence["dimension"]) == ("breach", "desk", "tenant")
    assert "100 of 200 calls (50.0%" in verdict.explanation
    assert Verdict.objects.get(judge="spend.idle").reason == "too_little_spent"
    stores.close_store()
