"""What ClickHouse does differently from a file of our own: a commit over several tables lands once, whatever fails in
the middle of it; several processes write; a question is translated, never a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from afterlaunch.ground.errors import Unavailable
from afterlaunch.ground.settings import WrongSetting
from afterlaunch.telemetry import queries, records
from afterlaunch.telemetry.engines import Changes
from afterlaunch.telemetry.engines import clickhouse_commits as commits
from afterlaunch.telemetry.engines.clickhouse import ClickHouse
from afterlaunch.telemetry.engines.clickhouse_clients import address
from afterlaunch.telemetry.engines.clickhouse_database import statements
from afterlaunch.telemetry.engines.clickhouse_sql import LONGEST_PARAMETER, bound
from afterlaunch.telemetry.engines.clickhouse_tables import Site
from afterlaunch.telemetry.signals import tables as signals
from afterlaunch.telemetry.store import Store, close_store, engine_at, open_store
from afterlaunch.telemetry.tables import CALL_TABLE, SUM_TABLES, SUMS, TIERS
from afterlaunch.telemetry.tables import TABLES as TABLES_ALL
from afterlaunch.telemetry.tests.places import Places, new_places
from afterlaunch.telemetry.tests.test_one_call_one_cost import AT, CHAT, USED, span, stream, usage
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
        told.append((answers(), records.calls(START, END, limit=1000), records.spans(limit=1000)))
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


def told_by_three() -> list[Any]:
    said = {**CHAT, **USED, "gen_ai.response.id": "r1"}
    return [span(number, f"app.{number}", 2000, 100, said) for number in (1, 2, 3)]


def counted(store: Store) -> tuple[list[int], dict[str, int]]:
    """(members of each call, the sums)."""
    calls = store.query("select members from calls")
    (sums,) = store.query("select sum(calls)::bigint as calls, sum(in_uncached)::bigint as tokens from sums_hour")
    return [len(call["members"]) for call in calls], sums


ONE_OF_THREE = ([3], {"calls": 1, "tokens": 100})


@ON_CLICKHOUSE
def test_of_two_that_replace_the_same_call_one_looks_again(stores: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, (one, two, three) = stores(), stores(), told_by_three()
    first.commit([one])
    really, meanwhile = first._write_down, iter([three])

    def write_down(*what: Any, **more: Any) -> None:
        for table in meanwhile:
            second.commit([table])
        really(*what, **more)

    monkeypatch.setattr(first, "_write_down", write_down)
    first.commit([two])
    assert counted(second) == ONE_OF_THREE


@ON_CLICKHOUSE
def test_who_is_claimed_by_somebody_else_is_left_alone(stores: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, (one, two, three) = stores(), stores(), told_by_three()
    first.commit([one])
    really, meanwhile, refused = first.engine._as_they_were, iter([three]), []

    def as_they_were(gone: Any) -> bool:
        for table in meanwhile:  # the claim stands already
            with monkeypatch.context() as hurried:
                hurried.setattr("afterlaunch.telemetry.store.TRIES", 2)
                try:
                    second.commit([table])
                except Unavailable as problem:
                    refused.append(problem)
        return bool(really(gone))

    monkeypatch.setattr(first.engine, "_as_they_were", as_they_were)
    first.commit([two])
    assert len(refused) == 1
    second.commit([three])
    assert counted(second) == ONE_OF_THREE


@ON_CLICKHOUSE
def test_members_stored_at_the_same_moment_are_made_one_by_the_duty(
    stores: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, tables = stores(), stores(), told_by_three()
    with monkeypatch.context() as blind:
        blind.setattr("afterlaunch.telemetry.merging.neighbours", lambda *_: [])
        for store, table in zip((first, second, first), tables, strict=True):
            store.commit([table])
        first.commit([stream(11, 0)])
        second.commit([usage(12, 500)])
    assert counted(first)[1]["calls"] == 4
    assert first.settle(AT + 3600 * 10**9) > 0
    assert sorted(counted(second)[0]) == [2, 3] and counted(second)[1] == {"calls": 2, "tokens": 200}
    assert second.settle(AT + 3600 * 10**9) == 0


@ON_CLICKHOUSE
def test_a_row_that_was_replaced_does_not_come_back_when_the_newer_one_is_erased(stores: Any) -> None:
    store, (one, two, _) = stores(), told_by_three()
    store.commit([one])
    store.commit([two])
    assert store.take_out(CALL_TABLE, "len(members) = 2") == 1
    assert store.query("select * from calls") == []


@ON_CLICKHOUSE
def test_sums_move_to_another_series_in_every_tier_even_where_minutes_are_forgotten(
    stores: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores()
    store.commit([spans(1, 60)])
    (before,) = store.query("select count(*) as days, sum(calls)::bigint as calls from sums_day")
    ids = {row["id"]: row["id"] ^ 1 for row in store.query("select id from series")}
    series = store.engine.arrow("select * from series")
    moved = series.set_column(0, "id", pa.array([ids[one] for one in series["id"].to_pylist()]))
    store.engine.delete(SUM_TABLES["minute"], "minute < ?", [queries.minute_of(START) + 1440])
    with monkeypatch.context() as broken:
        broken.setattr(store.engine, "_mutate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.engine.restate(ids, moved)
    for _ in range(2):  # what broke off is ended, and what is done again changes nothing more
        store.engine.restate(ids, moved)
    (after,) = store.query(
        "select count(*) as days, sum(calls)::bigint as calls from sums_day where list_contains(?, series)",
        [list(ids.values())],
    )
    assert after["calls"] == before["calls"] > 50
    (hours,) = store.query("select sum(calls)::bigint as calls from sums_hour")
    assert hours["calls"] == before["calls"]
    for tier in TIERS:
        assert store.query(f"select 1 from sums_{tier} where list_contains(?, series)", [list(ids)]) == []
    assert {row["id"] for row in store.query("select id from series")} == set(ids.values())


@ON_CLICKHOUSE
def test_the_days_of_a_table_are_its_ttl_and_stand_when_other_processes_start(stores: Any) -> None:
    def days(store: Store) -> dict[str, str | None]:
        assert isinstance(store.engine, ClickHouse)
        made = {name: one["made"] for name, one in store.engine._held().items()}
        found = {name: re.search(r"TTL .*toIntervalDay\((\d+)\)", made[name]) for name in ("spans", "calls", "series")}
        return {name: match and match[1] for name, match in found.items()}

    first = stores()
    assert days(first) == {"spans": None, "calls": None, "series": None}
    first.engine.keep({"spans": 30, "calls": 400})
    assert days(stores()) == {"spans": "30", "calls": "400", "series": None}
    first.engine.keep({"spans": 60})
    assert days(first) == {"spans": "60", "calls": None, "series": None}


def test_the_ddl_of_a_cluster_is_replicated_and_sharded_and_can_be_read(chdb: Places) -> None:
    site = Site("telemetry", "main", {"spans": 30})
    told = list(statements([*TABLES_ALL, *signals.TABLES], site))
    engine = engine_at(chdb())
    assert isinstance(engine, ClickHouse)
    for statement in told:
        engine._rows(f"explain ast {statement}", {})
    engine.close()
    (spans_local,) = [one for one in told if "telemetry.spans_local on cluster 'main' (" in one]
    assert (
        "ReplicatedReplacingMergeTree('/clickhouse/tables/telemetry/spans_local/{shard}', '{replica}')" in spans_local
    )
    assert "toIntervalDay(30)" in spans_local and "cityHash64(trace_id)" in " ".join(told)
    assert "telemetry.series_local" not in " ".join(told), "every node joins it whole"


@pytest.mark.parametrize(
    "url",
    ["clickhouse://", "chdb://", "clickhouse://h/a b", "clickhouse://h/x?cluster=a'b", "clickhouse://h?color=red"],
)
def test_an_address_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(WrongSetting, match="AFTERLAUNCH_TELEMETRY_URL"):
        address(url)


def test_a_password_is_never_shown() -> None:
    assert "hidden" not in repr(address("clickhouses://me:hid%2Fden@h:9440/x")).replace("hid/den", "hidden")
    assert address("clickhouses://me:hid%2Fden@h:9440/x").password == "hid/den"
