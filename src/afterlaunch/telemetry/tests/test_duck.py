"""The embedded store and the folder it lies in."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from random import Random

import duckdb
import pytest

from afterlaunch.telemetry.engines import duck_file
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.engines.duck_file import MEMORY
from afterlaunch.telemetry.tables import PROFILE_TABLES, TABLES


def test_what_does_not_fit_in_memory_lies_beside_the_store_until_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    left = tmp_path / "kept" / "t.duckdb.tmp" / "duckdb_temp_of_a_process_that_was_killed.tmp"
    left.parent.mkdir(parents=True)
    left.touch()
    with closing(Duck(tmp_path / "kept" / "t.duckdb")) as engine:
        assert not left.exists()
        many = 2 * int(MEMORY.removesuffix("MB")) * 2**20 // 500
        (row,) = engine.query(
            "select max(place) as last from ("
            "select row_number() over (order by hash(i)::varchar || repeat('.', 480)) as place from range(?) t(i))",
            [many],
        )
        assert row["last"] == many
    assert list(elsewhere.iterdir()) == [] and not list((tmp_path / "kept").glob("t.duckdb.tmp/*"))


def test_texts_that_do_not_fit_in_memory_are_read_with_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Random(1)
    with closing(Duck(tmp_path / "t.duckdb")) as engine:
        engine.prepare(TABLES)
        with engine.transaction() as cursor:
            for number in range(200):
                texts = [draw.randbytes(60_000).hex() for _ in range(2)]
                cursor.execute(
                    "insert into spans (start_ns, input_text, output_text) values (?, ?, ?)", [number, *texts]
                )
    monkeypatch.setattr(duck_file, "MEMORY", "12MB")
    with closing(Duck(tmp_path / "t.duckdb")) as engine:
        asked = "select * from spans order by start_ns desc limit 150"
        with pytest.raises(duckdb.OutOfMemoryException):
            engine._query(asked, [])
        assert [row["start_ns"] for row in engine.query(asked)] == [*range(199, 49, -1)]
        assert engine.arrow(asked).num_rows == 150
        (limit,) = engine.query("select current_setting('memory_limit') as told")
        assert limit["told"] == "11.4 MiB"


def test_forgetting_and_adding_up_much_needs_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duck_file, "MEMORY", "32MB")
    minutes, a_minute = 60 * 24, 1_200
    with closing(Duck(tmp_path / "t.duckdb")) as engine:
        engine.prepare(TABLES)
        with engine.transaction() as cursor:
            cursor.execute(
                f"insert into profile_minute select i // {a_minute}, i % {a_minute}, 1, 1, 1"
                f" from range({minutes * a_minute}) t(i)"
            )
            cursor.execute(f"insert into sums_minute (minute, series, calls) select i, 1, 1 from range({minutes}) t(i)")
        engine.upkeep(2 * minutes * 60 * 10**9)
        gone = [engine.delete(PROFILE_TABLES["minute"], "minute < ?", [(n + 1) * 60]) for n in range(24)]
        assert gone == [60 * a_minute] * 24
        (row,) = engine.query("select count(*) as hours, sum(calls)::bigint as calls from profile_hour")
        assert row == {"hours": 24 * a_minute, "calls": minutes * a_minute}
        assert engine.bytes_free() > 0, "what was deleted is written down by now"
