"""What ClickHouse does differently from a file of our own: a commit over several tables lands once, whatever fails in
the middle of it; several processes write; a question is translated, never a value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from afterlaunch.telemetry import queries
from afterlaunch.telemetry.engines import Changes
from afterlaunch.telemetry.engines import clickhouse_commits as commits
from afterlaunch.telemetry.engines.clickhouse import ClickHouse
from afterlaunch.telemetry.engines.clickhouse_sql import LONGEST_PARAMETER, bound
from afterlaunch.telemetry.store import Store, close_store, engine_at, open_store
from afterlaunch.telemetry.tables import SUMS, TIERS
from afterlaunch.telemetry.tests.places import Places, new_places
from afterlaunch.telemetry.tests.test_one_call_one_cost import CHAT, USED, span, stream, usage
from afterlaunch.telemetry.tests.test_tiers import DAYS, START, answers, spans

TABLES = ("spans", "calls", "series", "sums_minute", "sums_hour", "sums_day", "profile_minute", "profile_hour")
ON_CLICKHOUSE = pytest.mark.parametrize("places", ["clickhouse"], indirect=True)


END = START + timedelta(days=DAYS)


class Broken(Exception):
    pass


@pytest.fixture
def chdb(tmp_path: Path) -> Iterator[Places]:
    with new_places("clickhouse", tmp_path) as places:
        yield places


@pytest.fixture
def stores(places: Places) -> Iterator[Any]:
    """Opens a store, at the same place every time: each one is a process of its own to the others."""
    where = places()
    opened: list[Store] = []

    def another(at: Path | str = where) -> Store:
        opened.append(Store(engine_at(at)))
        return opened[-1]

    yield another
    for store in opened:
        store.close()


def held(store: Store) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for name in TABLES:
        rows = store.query(f"select * from {name}")
        if name.startswith(("sums_", "profile_")):  # not merged yet
            keys = ("minute", "series", "measure", "bucket")
            summed: dict[Any, dict[str, int]] = {}
            for row in rows:
                into = summed.setdefault(tuple(row.get(key) for key in keys), {})
                for measure, value in row.items():
                    if measure not in keys:
                        into[measure] = into.get(measure, 0) + value
            rows = [{"key": key, **values} for key, values in summed.items() if any(values.values())]
        out[name] = sorted(map(repr, rows))
    return out


def failing(monkeypatch: pytest.MonkeyPatch, number: int, after: bool) -> None:
    """The insert of this number fails, before or after the server took it."""
    really, count = ClickHouse._insert, iter(range(1000))

    def insert(self: ClickHouse, name: str, rows: Any, token: str) -> None:
        meant = next(count) == number
        if meant and not after:
            raise Broken
        really(self, name, rows, token)
        if meant:
            raise Broken

    monkeypatch.setattr(ClickHouse, "_insert", insert)


@ON_CLICKHOUSE
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_commit_that_broke_anywhere_lands_once_when_it_is_sent_again(
    places: Places, stores: Any, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    batch, company = spans(1, 40), spans(2, 10)
    alone = stores(places())
    for table in (batch, company):
        alone.commit([table])
    expected = held(alone)
    for number in range(7):
        where = places()
        with monkeypatch.context() as broken:
            failing(broken, number, after)
            with pytest.raises(Broken):
                stores(where).commit([batch])
        other = stores(where)
        other.commit([company.slice(0, 5), batch.slice(7, 20)])
        other.commit([company, batch])
        assert other.commit([batch, company])[0] == 0
        assert held(other) == expected, f"insert {number}"


@ON_CLICKHOUSE
def test_what_nobody_sends_again_is_finished_by_the_duty(stores: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        failing(broken, 2, after=False)
        with pytest.raises(Broken):
            stores().commit([spans(1, 40)])
    other = stores()
    assert other.query("select count(*) as calls from calls")[0]["calls"] == 0
    monkeypatch.setattr(commits, "STALE_SECONDS", -1)
    other.upkeep(0)
    other.upkeep(0)
    (summed,) = other.query("select sum(calls)::bigint as calls from sums_minute")
    assert summed["calls"] == 40 and other.query("select count(*) as spans from spans")[0]["spans"] == 40


@ON_CLICKHOUSE
def test_the_same_change_twice_changes_nothing_more(stores: Any) -> None:
    engine = stores().engine
    row = dict.fromkeys(SUMS.names, 0) | {"minute": 29_000_000, "series": 7, "calls": 3}
    for _ in range(2):
        engine.write(Changes("once", {"sums_minute": _table([row])}))
    for tier in TIERS:
        assert engine.query(f"select minute, calls from sums_{tier}") == [
            {"minute": 29_000_000 // TIERS[tier] * TIERS[tier], "calls": 3}
        ]


def _table(rows: list[dict[str, int]]) -> Any:
    return pa.Table.from_pylist(rows, schema=SUMS)


@ON_CLICKHOUSE
def test_members_of_a_call_that_come_to_different_processes_become_one(stores: Any) -> None:
    first, second = stores(), stores()
    first.commit([stream(1, 0)])
    second.commit([usage(2, 500)])
    twins = [
        span(number, f"app.{number}", 2000, 100, {**CHAT, **USED, "gen_ai.response.id": "r1"}) for number in (7, 8)
    ]
    second.commit([twins[0]])
    first.commit([twins[1]])
    assert first.commit([twins[0]]) == (0, 1)
    calls = first.query("select * from calls order by start_ns")
    assert [len(call["members"]) for call in calls] == [2, 2]
    (sums,) = second.query("select sum(calls)::bigint as calls, sum(in_uncached)::bigint as tokens from sums_day")
    assert sums == {"calls": 2, "tokens": 200}


def test_both_engines_answer_alike_to_the_last_digit(tmp_path: Path, chdb: Places) -> None:
    told = []
    for where in (tmp_path / "t.duckdb", chdb()):
        store = open_store(where)
        for seed in (1, 2, 3):
            store.commit([spans(seed, 200)])
        told.append((answers(), queries.calls(START, END, limit=1000), queries.spans(limit=1000)))
        close_store()
    assert told[0][0] == told[1][0]
    for one, other in zip(*(rows for _, *rows in told), strict=True):
        assert [_bare(row) for row in one] == [_bare(row) for row in other]


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    """ClickHouse has no NULL for a list or a map: an empty one stands for it. `seq` is DuckDB's own."""
    kept = {name: value for name, value in row.items() if name != "seq"}
    return {name: value if value or isinstance(value, (bool, int, str)) else None for name, value in kept.items()}


def test_a_long_list_is_written_out_and_holds_no_statement() -> None:
    marks = ["{p1: Array(String)}", "it's", "\\', 1) --", "\0"]
    wanted = [*marks, *(f"v{number}" for number in range(LONGEST_PARAMETER))]
    sql = "select 1 from spans where client in (select unnest(?)) and tenant in (select unnest(?)) and start_ns > 12345"
    text, given = bound(sql, [wanted, wanted], frozenset())
    assert given == {} and text.count("'{p1: Array(String)}'") == 2 and text.endswith("start_ns > 12345")
    engine_sees = text.partition("client IN ")[2].partition(" AND tenant")[0]
    assert engine_sees.startswith("['{p1: Array(String)}', 'it\\'s', '\\\\\\', 1) --', '\\0', 'v0'")


@ON_CLICKHOUSE
def test_values_of_any_kind_come_back_as_they_were_asked(stores: Any) -> None:
    query = stores().query
    hard = ["it's", "\\0", "\\", "a\tb\nc", "{p0: String}", "?", "\0x", "ünïcödé \U0001f600", ""]
    for text in hard:
        assert query("select ? as told", [text]) == [{"told": text}]
    many = [*hard, *map(str, range(LONGEST_PARAMETER))]
    assert query("select list_contains(?, ?) as held, len(?) as many", [many, "\0x", many]) == [
        {"held": True, "many": len(many)}
    ]
    asked = query("select ? as n, ? as x, ? as yes, ? as nothing", [-(2**63), 0.1, True, None])
    assert asked == [{"n": -(2**63), "x": 0.1, "yes": True, "nothing": None}]
