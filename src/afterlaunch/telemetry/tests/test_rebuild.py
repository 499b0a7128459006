"""A store made anew from its raw spans is the store that was there."""

from __future__ import annotations

import random
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from afterlaunch.cli.main import app
from afterlaunch.ground import clock
from afterlaunch.telemetry import queries, records, store
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.rebuild import rebuild
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tests.test_one_call_one_cost import AGENT, AT, CHAT, MS, USED, span, stream, usage
from afterlaunch.telemetry.tests.test_tiers import answers, spans


def filled(file: Path) -> None:
    """Calls of two scopes that are one, streams with late records, an agent's usage told in sum, and days of others."""
    kept = Store(Duck(file))
    said = {**CHAT, **USED, "gen_ai.response.id": "resp_1"}
    commits = [
        [span(1, "app.one", 0, 100, said, trace=7)],
        [span(2, "app.two", 5, 90, said, trace=8), usage(4, 500)],
        [stream(3, 0)],
        [span(5, "agents", 0, 900, {**AGENT, **USED}, trace=9)],
        *([spans(seed, 200)] for seed in range(5)),
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
    assert not found.different and found.after["calls"] > 1000
    found.file.replace(file)
    store.open_store(file)
    assert answers() == before and store.current().query("select * from calls order by client, span_id") == calls
    assert store.current().query("select why from dead_letter") == [{"why": "poison"}]
    store.close_store()


def test_what_was_wrong_is_said_and_kept_until_the_new_one_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "telemetry.duckdb"
    filled(file)
    with duckdb.connect(str(file)) as other:
        other.execute(
            "update sums_minute set cost_nano = cost_nano + 1 where minute = (select min(minute) from sums_minute)"
        )
    monkeypatch.setattr("afterlaunch.cli.rebuild.with_data", lambda data: None)
    monkeypatch.setenv("AFTERLAUNCH_DATA", str(tmp_path))
    from afterlaunch.ground.settings import reload

    monkeypatch.setenv("AFTERLAUNCH_TELEMETRY_URL", "clickhouse://ch/afterlaunch")
    reload()
    try:
        elsewhere = CliRunner().invoke(app, ["rebuild-telemetry"])
        assert elsewhere.exit_code == 2 and "migrate-telemetry" in elsewhere.stderr
        monkeypatch.delenv("AFTERLAUNCH_TELEMETRY_URL")
        reload()
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
        assert sum(window.calls for window in queries.windows(*_all(), [])) > 500
    finally:
        store.close_store()


def _all() -> tuple[datetime, datetime]:
    return clock.from_ns(AT - 10**15), clock.from_ns(AT + 10**15)
