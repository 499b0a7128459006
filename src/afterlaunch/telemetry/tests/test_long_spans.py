"""Spans of half a megabyte: whatever one commit holds of them, and whatever comes after, the file takes it."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from afterlaunch.telemetry import pieces
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.engines import duck_file
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tables import SPAN_TABLE
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

A_COMMIT, COMMITS = 120, 4
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 10}


def of_half_a_megabyte() -> Any:
    """Texts that nothing makes smaller."""
    keys = ("gen_ai.input.messages", "gen_ai.output.messages", *(f"note.{number}" for number in range(6)))
    spans = [
        span({**CHAT, **{key: os.urandom(30_000).hex() for key in keys}}, number=number, trace=number)
        for number in range(1, A_COMMIT + 1)
    ]
    return normalise(body(*spans), PROTOBUF, "acme", 0).table


def others(table: Any, number: int) -> Any:
    """The same spans under other ids."""
    first = number * table.num_rows + 1
    ids = [place.to_bytes(8, "big") for place in range(first, first + table.num_rows)]
    for name, column in (
        ("span_id", pa.array(ids, pa.binary(8))),
        ("trace_id", pa.array([one + one for one in ids], pa.binary(16))),
    ):
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def test_commits_of_long_spans_and_small_ones_after_them_land(tmp_path: Path) -> None:
    store = Store(Duck(tmp_path / "t.duckdb"))
    long = of_half_a_megabyte()
    assert long.nbytes / long.num_rows > 400_000
    small = normalise(body(*(span(CHAT, number=number) for number in range(1, 51))), PROTOBUF, "acme", 0).table
    for number in range(COMMITS):
        assert store.commit([others(long, number)]) == (A_COMMIT, 0)
        assert store.commit([others(small, 1_000 + number)]) == (50, 0)
    (told,) = store.query("select count(*) as spans, sum(length(input_text))::bigint as text from spans")
    assert told == {"spans": COMMITS * (A_COMMIT + 50), "text": COMMITS * A_COMMIT * 60_000}
    assert row_groups(store) >= COMMITS, "what was at its place is written anew"
    store.close()


def test_row_groups_become_one_when_much_was_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = normalise(body(*(span(CHAT, number=number) for number in range(1, 51))), PROTOBUF, "acme", 0).table
    for number in range(3):
        store = Store(Duck(tmp_path / "t.duckdb"))
        store.commit([others(small, number)])
        store.close()
    store = Store(Duck(tmp_path / "t.duckdb"))
    assert row_groups(store) == 3
    monkeypatch.setattr(duck_file, "MOST_REPLACED", 1)
    assert store.take_out(SPAN_TABLE, "seq = 0") == 1
    assert row_groups(store) == 1
    assert store.query("select count(*) as spans from spans") == [{"spans": 149}]
    store.close()


def row_groups(store: Store) -> int:
    (told,) = store.query("select count(distinct row_group_id) as groups from pragma_storage_info('spans')")
    return int(told["groups"])


def waiting(rows: int, size: int) -> pieces.Waiting:
    return pieces.Waiting(pa.table({"a": np.zeros(rows)}), size, Future())


@pytest.mark.parametrize(("size", "bodies"), [(1_000, 40), (5 * 2**20, 12), (20 * 2**20, 3), (100 * 2**20, 1)])
def test_a_commit_takes_as_many_bodies_as_its_bytes_allow(size: int, bodies: int) -> None:
    backlog = deque(waiting(40, size) for _ in range(40))
    assert len(pieces.full(backlog)) == bodies and len(backlog) == 40 - bodies
