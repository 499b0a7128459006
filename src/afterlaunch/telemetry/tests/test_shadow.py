"""What a shadow answered for nobody counts in what was spent, and in nothing that is judged; on both engines."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path

from afterlaunch.ground import clock
from afterlaunch.telemetry import queries, records, served
from afterlaunch.telemetry.attribution import breakdown
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.store import close_store, open_store
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, span

START = clock.from_ns(AT).astimezone(UTC)
HOUR = (START, START + timedelta(hours=1))
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 10,
    "afterlaunch.gateway": True,
    "afterlaunch.route": "chat",
}


def test_copies_are_counted_in_money_and_nowhere_else(place: Path | str) -> None:
    store = open_store(place)
    plain = [
        span({**CALL, "afterlaunch.arm": "baseline", "afterlaunch.call_id": f"c{one}"}, number=one, trace=one)
        for one in range(1, 11)
    ]
    copies = [
        span(
            {**CALL, "afterlaunch.arm": "shadow", "afterlaunch.call_id": f"c{one}", "error.type": "500"},
            number=100 + one,
            trace=100 + one,
            status=2,
        )
        for one in range(1, 7)
    ]
    store.commit([normalise(body(*plain, *copies, scope="afterlaunch.gateway"), PROTOBUF, "acme", 0).table])
    try:
        (whole,) = queries.windows(*HOUR, [])
        assert (whole.calls, whole.failed) == (16, 6)
        for rows in (
            queries.judged(*HOUR, []),
            queries.answered(*HOUR, []),
            queries.judged_stretches(HOUR, []),
            queries.answered_stretches(HOUR, []),
            [one for one in queries.series(*HOUR, 60) if one.calls],
        ):
            assert [(one.calls, one.failed) for one in rows] == [(10, 0)]
        arms = {row.key["arm"] for row in queries.judged(*HOUR, ["route", "arm"])}
        assert arms == {"baseline"}
        (one,) = served.served(HOUR)
        assert (one.calls, one.unserved, served.faults(*HOUR)) == (10, 0, {})
        spent = {row.value: row.calls for row in breakdown(*HOUR, "purpose").rows}
        assert spent == {"production": 10, "shadow": 6}
        assert records.gateway_calls(START, "acme", "chat") == {"baseline": 10, "shadow": 6}
    finally:
        close_store()
