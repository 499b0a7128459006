"""What is stored is recalled beside whatever else a store does when it is opened."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from afterlaunch.ground.errors import Unavailable
from afterlaunch.telemetry import memory
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.engines.duck import Duck
from afterlaunch.telemetry.engines.duck_file import Reopening
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, span


def rows(*numbers: int) -> Any:
    told = [span({"gen_ai.operation.name": "chat"}, number=number) for number in numbers]
    return normalise(body(*told), PROTOBUF, "acme", AT).table


def opened(folder: Path) -> Store:
    return Store(Duck(folder / "t.duckdb"))


def test_questions_are_answered_meanwhile_and_commits_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opened(tmp_path)) as kept:
        assert kept.commit([rows(1, 2)]) == (2, 0)
    known, recalled = threading.Event(), memory.recalled
    monkeypatch.setattr(memory, "recalled", lambda engine: known.wait(60) and recalled(engine))
    with ThreadPoolExecutor(1) as other, closing(opened(tmp_path)) as kept:
        assert kept.query("select count(*) as spans from spans") == [{"spans": 2}]
        told = other.submit(kept.commit, [rows(2, 3)])
        with pytest.raises(StillWaiting):
            told.result(0.2)
        known.set()
        assert told.result(60) == (1, 1), "what was sent again is known"


def test_what_could_not_be_recalled_is_recalled_before_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(opened(tmp_path)) as kept:
        kept.commit([rows(1, 2)])
    turns, recalled = iter([True, False]), memory.recalled

    def fragile(engine: Any) -> Any:
        if next(turns):
            raise duckdb.OutOfMemoryException("no room")
        return recalled(engine)

    monkeypatch.setattr(memory, "recalled", fragile)
    with closing(opened(tmp_path)) as kept:
        assert kept.commit([rows(2, 3)]) == (1, 1)


def test_a_question_that_finds_the_file_broken_has_it_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise duckdb.FatalException("database has been invalidated")

    with closing(opened(tmp_path)) as kept:
        kept.commit([rows(1, 2)])
        reopen, times = kept.engine.reopen, list[int]()

        def counted() -> None:
            times.append(1)
            reopen()

        monkeypatch.setattr(kept.engine, "reopen", counted)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(kept.engine, "_query", broken)
            with pytest.raises(Unavailable):
                kept.query("select 1")
            with pytest.raises(Unavailable):
                kept.commit([rows(2, 3)])  # asks whether 2 is stored
        assert kept.commit([rows(2, 3)]) == (1, 1) and times == [1]


def test_until_the_file_could_be_opened_again_questions_are_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that is still full: the file is let go and cannot be attached."""
    with closing(opened(tmp_path)) as kept, ThreadPoolExecutor(1) as another:
        kept.commit([rows(1, 2)])
        engine: Any = kept.engine
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(engine, "_attach", f"attach '{tmp_path}/no/such/folder/t.duckdb' as kept")
            with pytest.raises(duckdb.Error):
                engine.reopen()
            for _ in range(2):
                with pytest.raises(Reopening):
                    kept.query("select count(*) as spans from spans")
                with pytest.raises(Reopening):
                    another.submit(kept.query, "select count(*) as spans from spans").result()
        engine.reopen()
        for ask in (kept.query, lambda sql: another.submit(kept.query, sql).result()):
            assert ask("select count(*) as spans from spans") == [{"spans": 2}]


def test_a_store_is_closed_once_nothing_reads_it(tmp_path: Path) -> None:
    for _ in range(20):
        opened(tmp_path).close()
