"""A store made anew from its raw spans is the store that was there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from typer.testing import CliRunner

from afterlaunch.cli.main import app
from afterlaunch.ground import clock
from afterlaunch.ground.settings import reload
from afterlaunch.telemetry import migration, queries, records, store
from afterlaunch.telemetry.engines.clickhouse import ClickHouse
from afterlaunch.telemetry.engines.clickhouse_clients import address
from afterlaunch.telemetry.rebuild import rebuild
from afterlaunch.telemetry.store import Store, engine_at
from afterlaunch.telemetry.tables import CALL_TABLE, MINUTE_NS, PROFILE_TABLES, SPAN_TABLE, SUM_TABLES
from afterlaunch.telemetry.tests.places import new_places
from afterlaunch.telemetry.tests.test_one_call_one_cost import AGENT, AT, CHAT, MS, USED, span, stream, usage
from afterlaunch.telemetry.tests.test_tiers import answers, spans

CALLS = "select * exclude (flags, members, scopes) from calls order by client, start_ns, span_id"
ROWS = "select * from {} order by all"


def filled(file: Path | str) -> None:
    """Calls of two scopes that are one, streams with late records, an agent's usage told in sum, and days of others."""
    kept = Store(engine_at(file))
    said = {**CHAT, **USED, "gen_ai.response.id": "resp_1"}
    commits = [
        [span(1, "app.one", 0, 100, {**said, "sampling.ratio": "0.1"}, trace=7)],
        [span(2, "app.two", 5, 90, {**said, "sampling.ratio": "0.2"}, trace=8), usage(4, 500)],
        [stream(3, 0)],
        [span(5, "agents", 0, 900, {**AGENT, **USED}, trace=9)],
        *([spans(seed, 150)] for seed in range(2)),
    ]
    random.Random(1).shuffle(commits)
    for tables in commits:
        kept.commit(tables)
    kept.settle(AT + 120_000 * MS)
    kept.bury(1, "acme", "poison", b"x")
    kept.close()


def test_it_gives_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "t.duckdb"
    filled(file)
    store.open_store(file)
    before, calls = answers(), store.current().query("select * from calls order by client, span_id")
    store.close_store()
    found = rebuild(file, clock.now_ns(), lambda text: None)
    assert not found.different and found.after["calls"] > 250 and found.file is not None
    assert found.after["calls_sampled"] == 1 and found.after["calls_unsent_milli"] == 4_000
    found.file.replace(file)
    store.open_store(file)
    assert answers() == before and store.current().query("select * from calls order by client, span_id") == calls
    assert store.current().query("select why from dead_letter") == [{"why": "poison"}]
    store.close_store()


SINCE = AT + 86_400_000 * MS


def only_the_newest_spans(kept: Store) -> None:
    """As after a retention of spans that is shorter than that of calls and sums."""
    for _ in range(3):
        kept.upkeep(clock.now_ns())
    assert kept.take_out(SPAN_TABLE, "start_ns < ?", [SINCE])


def test_what_is_older_than_the_spans_that_are_held_is_what_it_was(tmp_path: Path) -> None:
    file = tmp_path / "t.duckdb"
    filled(file)
    store.open_store(file)
    only_the_newest_spans(store.current())
    before, calls = answers(), store.current().query(CALLS)
    store.close_store()
    found = rebuild(file, clock.now_ns(), lambda text: None, SINCE)
    assert not found.different and found.after["calls"] and calls[0]["start_ns"] < SINCE
    assert found.file is not None
    found.file.replace(file)
    store.open_store(file)
    try:
        assert answers() == before and store.current().query(CALLS) == calls
    finally:
        store.close_store()


@pytest.fixture
def chdb(tmp_path: Path) -> Iterator[str]:
    with new_places("clickhouse", tmp_path) as places:
        yield str(places())


@pytest.fixture
def in_clickhouse(chdb: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    filled(chdb)
    monkeypatch.setattr(migration, "PIECE", 200)
    monkeypatch.setattr("afterlaunch.cli.rebuild.with_data", lambda data: None)
    monkeypatch.setattr("afterlaunch.telemetry.keeping.forgetting.whole_since", lambda *_: clock.from_ns(SINCE))
    monkeypatch.setenv("AFTERLAUNCH_TELEMETRY_URL", chdb)
    reload()
    yield chdb
    monkeypatch.undo()
    reload()


def told(where: str) -> list[Any]:
    """What a reader is told; and all that there is in tables which readers of notes ask."""
    store.open_store(where)
    try:
        tables = ("attribute_counts", "dead_letter")
        return [*answers(), store.current().query(CALLS), *(store.current().query(ROWS.format(one)) for one in tables)]
    finally:
        store.close_store()


@pytest.mark.django_db
def test_in_clickhouse_one_command_gives_what_was_there(in_clickhouse: str) -> None:
    kept = Store(engine_at(in_clickhouse))
    only_the_newest_spans(kept)
    kept.close()
    before = told(in_clickhouse)
    done = CliRunner().invoke(app, ["rebuild-telemetry", "--json"])
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout)["after"]["calls"] > 50 and told(in_clickhouse) == before
    other = ClickHouse(address(in_clickhouse))
    (databases,) = other.query("select count(*) as found from system.databases where name like '%rebuilt'")
    other.close()
    assert not databases["found"]


@pytest.mark.django_db
def test_in_clickhouse_what_was_wrong_is_said_and_put_right_when_it_is_accepted(in_clickhouse: str) -> None:
    before = told(in_clickhouse)
    kept = Store(engine_at(in_clickhouse))
    middle = SINCE // MINUTE_NS + 600
    for table in (CALL_TABLE, SUM_TABLES["minute"], SUM_TABLES["hour"], PROFILE_TABLES["day"]):
        assert kept.take_out(table, f'"minute" >= {SINCE // MINUTE_NS} and "minute" < {middle}')
    kept.close()
    wrong = told(in_clickhouse)
    assert wrong != before
    refused = CliRunner().invoke(app, ["rebuild-telemetry"])
    assert refused.exit_code == 1 and "calls: was" in refused.stderr and told(in_clickhouse) == wrong
    taken = CliRunner().invoke(app, ["rebuild-telemetry", "--accept"])
    assert taken.exit_code == 0, taken.stderr
    assert told(in_clickhouse) == before


@pytest.mark.django_db
def test_in_clickhouse_nothing_is_changed_while_somebody_writes(
    in_clickhouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*_: Any) -> None:
        other = Store(engine_at(in_clickhouse))
        other.commit([spans(77, 5)])
        other.close()

    monkeypatch.setattr("afterlaunch.telemetry.rebuild_in_place.inherited", meanwhile)
    refused = CliRunner().invoke(app, ["rebuild-telemetry", "--accept"])
    assert refused.exit_code == 1 and "serve ingest" in refused.stderr


@pytest.mark.django_db
def test_what_was_wrong_is_said_and_kept_until_the_new_one_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "telemetry.duckdb"
    filled(file)
    with duckdb.connect(str(file)) as other:
        other.execute(
            "update sums_minute set cost_nano = cost_nano + 1 where minute = (select max(minute) from sums_minute)"
        )
    monkeypatch.setattr("afterlaunch.cli.rebuild.with_data", lambda data: None)
    monkeypatch.setattr("afterlaunch.telemetry.keeping.forgetting.whole_since", lambda *_: clock.from_ns(SINCE))
    monkeypatch.setenv("AFTERLAUNCH_DATA", str(tmp_path))
    reload()
    try:
        refused = CliRunner().invoke(app, ["rebuild-telemetry"])
        assert refused.exit_code == 1 and "cost_nano: was" in refused.stderr
        taken = CliRunner().invoke(app, ["rebuild-telemetry", "--accept"])
        assert taken.exit_code == 0, taken.stderr
        again = CliRunner().invoke(app, ["rebuild-telemetry"])
        assert again.exit_code == 0 and "made anew" in again.stderr
    finally:
        monkeypatch.undo()
        reload()


def test_a_store_of_the_first_layout_is_brought_up_to_date(tmp_path: Path) -> None:
    file = tmp_path / "t.duckdb"
    filled(file)
    with duckdb.connect(str(file)) as old:
        (count,) = old.execute("select count(*) from spans").fetchall()[0]
        old.execute("alter table spans drop column seq")
        for (name,) in old.execute("select table_name from duckdb_tables()").fetchall():
            if name.startswith(("sums_", "profile_")) or name in ("series", "rolled", "trace_blocks"):
                old.execute(f"drop table {name}")
        old.execute("create table rollup (minute integer)")
        old.execute("alter table calls add column latency smallint")
    store.open_store(file)
    try:
        assert records.total_spans() == count
        assert sum(window.calls for window in queries.windows(*_all(), [])) > 100
    finally:
        store.close_store()


def _all() -> tuple[datetime, datetime]:
    return clock.from_ns(AT - 10**15), clock.from_ns(AT + 10**15)
