"""The embedded store and the folder it lies in."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from afterlaunch.telemetry.engines.duck import MEMORY, Duck


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
