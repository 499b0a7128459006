"""Everything that one engine holds is on the other afterwards; what broke goes on, and a second run takes the rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from afterlaunch.cli.main import app
from afterlaunch.ground import clock
from afterlaunch.telemetry import migration, queries, records, store
from afterlaunch.telemetry.engines.clickhouse import ClickHouse
from afterlaunch.telemetry.migration import Moved, migrate
from afterlaunch.telemetry.signals import tables as signals
from afterlaunch.telemetry.signals.points import POINTS
from afterlaunch.telemetry.store import Store, engine_at
from afterlaunch.telemetry.tables import PROFILE_TABLES, SUM_TABLES, TABLES
from afterlaunch.telemetry.tests.places import Places, new_places
from afterlaunch.telemetry.tests.test_one_call_one_cost import stream, usage
from afterlaunch.telemetry.tests.test_tiers import START, answers, spans

EVERY = [*TABLES, *signals.TABLES]


@pytest.fixture
def chdb(tmp_path: Path) -> Iterator[Places]:
    with new_places("clickhouse", tmp_path) as places:
        yield places


def filled(where: Path | str) -> Path | str:
    kept = Store(engine_at(where))
    signals.prepare(kept)
    kept.commit([spans(1, 150), stream(1, 0), usage(2, 500)])
    kept.bury(1_772_323_200 * 10**9, "acme", "poison", b"\xff\x00")
    kept.land(signals.METRICS, points(0))
    kept.close()
    return where


def points(first: int) -> Any:
    row: dict[str, Any] = dict.fromkeys(POINTS.names) | {"client": "acme", "name": "load", "value": 0.25}
    rows = [
        row | {"series": 7, "at_ns": 1_772_323_200 * 10**9 + number, "labels": [("a", "b")]}
        for number in range(first, first + 5)
    ]
    return pa.Table.from_pylist(rows, schema=POINTS)


def moved(source: Path | str, target: Path | str) -> Moved:
    one, other = Store(engine_at(source)), Store(engine_at(target))
    try:
        for side in (one, other):
            signals.prepare(side)
        return migrate(one.engine, other.engine, EVERY, lambda *_: None)
    finally:
        one.close()
        other.close()


def told(where: Path | str) -> list[Any]:
    store.open_store(where)
    try:
        calls = store.current().query(
            "select span_id, members, cost_nano from calls order by client, start_ns, span_id"
        )
        return [*answers(), calls, records.total_spans(), store.current().query("select value, labels from points")]
    finally:
        store.close_store()


@pytest.mark.parametrize("back", [False, True], ids=["to-clickhouse", "from-clickhouse"])
def test_the_other_engine_answers_alike_and_a_second_run_copies_nothing(
    tmp_path: Path, chdb: Places, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    monkeypatch.setattr(migration, "PIECE", 40)
    source, target = tmp_path / "t.duckdb", chdb()
    first, second = (target, source) if back else (source, target)
    done = moved(filled(first), second)
    assert not done.differences and done.copied == done.rows and done.rows["spans"] == 152
    assert told(second) == told(first)
    again = moved(first, second)
    assert not again.differences and not any(again.copied.values())


@pytest.mark.parametrize("back", [False, True], ids=["to-clickhouse", "from-clickhouse"])
def test_hours_and_days_come_along_where_their_minutes_are_forgotten(
    tmp_path: Path, chdb: Places, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    monkeypatch.setattr(migration, "PIECE", 40)
    source, target = tmp_path / "t.duckdb", chdb()
    first, second = (target, source) if back else (source, target)
    kept = Store(engine_at(filled(first)))
    for _ in range(3):
        kept.upkeep(clock.to_ns(START + timedelta(days=30)))
    for tiers in (SUM_TABLES, PROFILE_TABLES):
        assert kept.take_out(tiers["minute"], "minute < ?", [queries.minute_of(START) + 1440])
    kept.close()
    done = moved(first, second)
    assert not done.differences and done.copied["sums_hour"] == done.rows["sums_hour"] > 0 < done.rows["profile_day"]
    assert told(second) == told(first)
    again = moved(first, second)
    assert not again.differences and not any(again.copied.values())


def test_what_broke_goes_on_and_what_came_since_is_taken(
    tmp_path: Path, chdb: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "PIECE", 40)
    source, target = filled(tmp_path / "t.duckdb"), chdb()
    really, left = ClickHouse.write, iter(range(4))

    def broken(self: ClickHouse, changes: Any) -> None:
        really(self, changes)
        if next(left, None) is None:
            raise OSError("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(ClickHouse, "write", broken)
        with pytest.raises(OSError, match="cut"):
            moved(source, target)
    grown = Store(engine_at(source))
    grown.commit([spans(2, 20)])
    grown.land(signals.METRICS, points(3))
    grown.close()
    done = moved(source, target)
    assert not done.differences and 0 < done.copied["spans"] <= done.rows["spans"] == 172
    assert told(target) == told(source)


@pytest.mark.django_db
def test_the_command_says_what_it_did_and_what_differs(
    tmp_path: Path, chdb: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFTERLAUNCH_DATA", str(tmp_path))
    filled(tmp_path / "telemetry.duckdb")
    target, run = str(chdb()), CliRunner().invoke
    done = run(app, ["migrate-telemetry", "--to", target, "--json"])
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout)["copied"]["spans"] == 152 and "equal in count and sums" in done.stderr
    monkeypatch.setattr(migration, "_copied", lambda *_: 0)
    other = Store(engine_at(target))
    other.engine.delete(TABLES[0], "op_kind = 'tool'")
    other.close()
    refused = run(app, ["migrate-telemetry", "--to", target])
    assert refused.exit_code == 1 and "spans, 2026-03-0" in refused.stderr
    assert run(app, ["migrate-telemetry", "--to", "mysql://x"]).exit_code == 2
