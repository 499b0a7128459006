"""A recorded hour of real traffic, played into the store: every token is there, however one groups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv
from tests.real_input import real

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import queries, records, store
from afterlaunch.telemetry.columns import DIMENSIONS
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.recordings import Labels, bodies

HOUR = (datetime(2023, 11, 16, 18, 15, tzinfo=UTC), datetime(2023, 11, 16, 19, 15, tzinfo=UTC))
RESOURCE = {"service.name": "chat", "afterlaunch.system": "chat", "deployment.environment.name": "production"}
CALLS, CONTEXT, GENERATED = 19_366, 22_361_870, 4_088_665


@pytest.fixture
def opened(place: Path | str) -> Iterator[store.Store]:
    yield store.open_store(place)
    store.close_store()


def play(into: store.Store, file: Path, labels: Labels | None = None) -> tuple[int, int]:
    tables = [normalise(body.data, body.content_type, None, 0).table for body in bodies(file, RESOURCE, labels)]
    done = [into.commit(tables[n : n + 8]) for n in range(0, len(tables), 8)]
    return sum(stored for stored, _ in done), sum(again for _, again in done)


def labels(row: int) -> dict[str, str]:
    return {
        "tenant.id": f"tenant-{row % 7}",
        "gen_ai.agent.name": f"agent-{row % 3}",
        "afterlaunch.route": f"route-{row % 5}",
        "gen_ai.request.model": ("gpt-4o", "gpt-4o-mini", "o3")[row % 3],
    }


def test_the_azure_hour_is_counted_to_the_token_under_any_grouping(opened: store.Store) -> None:
    file = real("data/llm-traffic/azure2023_conv.parquet")
    assert play(opened, file, labels) == (CALLS, 0)
    assert play(opened, file, labels) == (0, CALLS)
    groupings: list[list[str]] = [[], *([name] for name in DIMENSIONS), ["tenant", "agent", "model"], list(DIMENSIONS)]
    for group_by in groupings:
        rows = queries.windows(*HOUR, group_by)
        told = tuple(sum(getattr(row, name) for row in rows) for name in ("calls", "input_tokens", "output_tokens"))
        assert told == (CALLS, CONTEXT, GENERATED), group_by
    for minutes in (1, 7, 60):
        steps = queries.series(*HOUR, minutes)
        assert sum(step.input_tokens for step in steps) == CONTEXT
        assert sum(step.output_tokens for step in steps) == GENERATED
    tenants = queries.windows(*HOUR, ["tenant"])
    assert sorted(row.calls for row in tenants) == [2766, 2766, 2766, 2767, 2767, 2767, 2767]


def test_a_log_that_names_no_model_and_no_end_has_unknown_cost_and_latency(opened: store.Store, tmp_path: Path) -> None:
    at = datetime(2023, 11, 16, 18, 15, 46, 680590, tzinfo=UTC)
    table = pa.table({"TIMESTAMP": [at.replace(tzinfo=None)], "ContextTokens": [374], "GeneratedTokens": [44]})
    csv.write_csv(table, tmp_path / "log.csv")
    assert play(opened, tmp_path / "log.csv") == (1, 0)
    (window,) = queries.windows(at - timedelta(minutes=1), at + timedelta(minutes=1), [])
    assert (window.calls, window.calls_unknown_cost, window.p95_ms) == (1, 1, None)
    (call,) = records.calls(*HOUR)
    assert call["start"] == at


def test_a_file_that_is_no_recording_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Invalid, match="TIMESTAMP"):
        list(bodies(tmp_path / "log.csv", {}))
    (tmp_path / "log.txt").write_text("x")
    with pytest.raises(Invalid, match="no recording"):
        list(bodies(tmp_path / "log.txt", {}))
    with pytest.raises(Invalid, match="no file"):
        list(bodies(tmp_path / "absent.csv", {}))
