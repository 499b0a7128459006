"""What was answered for is committed, whatever happens between: crashes, torn writes, a store that refuses."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from afterlaunch.telemetry import buffer as buffers
from afterlaunch.telemetry import pieces
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.counts import PRESSED_ROWS, Pressure
from afterlaunch.telemetry.journal import Journal


def table(*numbers: int) -> Any:
    return pa.table({"number": pa.array(numbers, pa.int64())})


class Shelf:
    """A store that can be held up, and that refuses what it is told to."""

    unwritable: tuple[type[Exception], ...] = (pa.ArrowInvalid,)

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.buried: list[str] = []
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.refuse: Callable[[list[int]], Exception | None] = lambda numbers: None

    def commit(self, tables: list[Any]) -> tuple[int, int]:
        self.entered.set()
        assert self.free.wait(10)
        numbers = pa.concat_tables(tables)["number"].to_pylist()
        if problem := self.refuse(numbers):
            raise problem
        self.numbers += [number for number in numbers if number not in self.numbers]
        return len(numbers), 0

    def bury(self, at_ns: int, client: str, why: str, body: bytes) -> None:
        self.buried.append(why)


def busy(shelf: Shelf, buffer: Buffer) -> None:
    """One commit is under way and will not end before the shelf is free."""
    shelf.free.clear()
    shelf.entered.clear()
    buffer.put(table(0), 1)
    assert shelf.entered.wait(5)


def test_while_the_writer_is_busy_senders_are_answered_from_the_journal(tmp_path: Path) -> None:
    shelf = Shelf()
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    busy(shelf, buffer)
    for number in (1, 2):
        buffer.reserve(10)
        buffer.decoded()
        buffer.put(table(number), 10).result(5)
    assert shelf.numbers == [] and buffer.held_bytes == 40, "room is held until the commit"
    left = list(Journal(tmp_path / "j").kept())
    assert [one["number"].to_pylist() for one in left] == [[1], [2]]
    shelf.free.set()
    buffer.close()
    assert shelf.numbers == [0, 1, 2] and list(tmp_path.iterdir()) == []


def test_where_much_comes_senders_are_answered_before_the_commit(tmp_path: Path) -> None:
    shelf = Shelf()
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    shelf.free.clear()
    first = buffer.put(table(*range(2 * PRESSED_ROWS)), 1)
    assert shelf.entered.wait(5) and not first.done(), "one sender is answered after the commit, however much it sends"
    shelf.free.set()
    first.result(5)
    shelf.free.clear()
    buffer.reserve(10)  # more is being read, so that the commit waits for it
    buffer.put(table(-1), 1).result(5)
    assert buffer.counts.journaled == 1 and -1 not in shelf.numbers
    shelf.free.set()
    buffer.decoded()
    buffer.close()
    assert shelf.numbers[-1] == -1 and list(tmp_path.iterdir()) == []


def test_pressure_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    pressure = Pressure()
    for _ in range(10):
        now += 0.5
        assert not pressure
        pressure.came(PRESSED_ROWS // 3)
    for _ in range(4):
        now += 0.1
        pressure.came(PRESSED_ROWS // 3)
    assert pressure
    now += 2
    assert not pressure


def test_what_a_crash_left_in_the_journal_is_committed_at_the_next_start(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append([table(1), table(2, 3)])
    journal.append([table(4)])
    shelf = Shelf()
    Buffer(shelf, 1000, Journal(tmp_path / "j")).close()
    assert shelf.numbers == [1, 2, 3, 4] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", range(0, 40, 3))
def test_a_torn_record_was_never_answered_for(tmp_path: Path, kept: int) -> None:
    journal = Journal(tmp_path / "j")
    _, whole = journal.append([table(1)])
    _, end = journal.append([table(2)])
    file = tmp_path / "j.0"
    file.write_bytes(file.read_bytes()[: whole + kept * (end - whole) // 40])
    assert [one["number"].to_pylist() for one in Journal(tmp_path / "j").kept()] == [[1]]


def test_a_damaged_record_ends_the_file_and_harms_no_other_file(tmp_path: Path) -> None:
    first = Journal(tmp_path / "j")
    first.append([table(1)])
    _, end = first.append([table(2)])
    Journal(tmp_path / "j").append([table(3)])
    data = bytearray((tmp_path / "j.0").read_bytes())
    data[end - 9] ^= 255
    (tmp_path / "j.0").write_bytes(data)
    assert [one["number"].to_pylist() for one in Journal(tmp_path / "j").kept()] == [[1], [3]]


def test_a_store_that_refuses_for_a_while_gets_everything_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "AGAIN_SECONDS", 0.01)
    shelf = Shelf()
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    busy(shelf, buffer)
    buffer.put(table(1), 1).result(5)
    times = iter([OSError("the disk is full")] * 3)
    shelf.refuse = lambda numbers: next(times, None) if 1 in numbers else None
    shelf.free.set()
    buffer.put(table(2), 1).result(5)
    until = time.monotonic() + 5
    while len(shelf.numbers) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    buffer.close()
    assert sorted(shelf.numbers) == [0, 1, 2] and buffer.counts.failed_commits >= 3


def test_who_was_not_answered_yet_is_told_that_it_failed(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.refuse = lambda numbers: OSError("the disk is full")
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    with pytest.raises(OSError, match="full"):
        buffer.put(table(1), 1).result(5)
    shelf.refuse = lambda numbers: None
    buffer.put(table(2), 1).result(5)
    buffer.close()
    assert shelf.numbers == [2]


def test_a_journal_that_cannot_be_written_answers_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, journal = Shelf(), Journal(tmp_path / "j")
    buffer = Buffer(shelf, 1000, journal)
    busy(shelf, buffer)

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdatasync", full)
    with pytest.raises(OSError, match="No space"):
        buffer.put(table(1), 1).result(5)
    monkeypatch.undo()
    buffer.put(table(2), 1).result(5)
    shelf.free.set()
    buffer.close()
    assert shelf.numbers == [0, 2]


def test_what_can_never_be_stored_is_buried_and_its_neighbours_are_kept(tmp_path: Path) -> None:
    shelf = Shelf()
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    busy(shelf, buffer)
    shelf.refuse = lambda numbers: pa.ArrowInvalid("poison") if 1 in numbers else None
    for number in (1, 2):
        buffer.put(table(number), 1).result(5)
    shelf.free.set()
    buffer.close()
    assert sorted(shelf.numbers) == [0, 2] and shelf.buried == ["ArrowInvalid: poison"] and buffer.held_bytes <= 0


def test_of_a_store_that_breaks_as_a_whole_the_log_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(buffers, "AGAIN_SECONDS", 0.01)
    shelf, tries = Shelf(), list[list[int]]()
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    busy(shelf, buffer)
    for number in range(1, 6):
        buffer.put(table(number), 1).result(5)

    def full(numbers: list[int]) -> Exception | None:
        tries.append(numbers)
        return OSError("the disk is full") if len(tries) < 20 else None

    shelf.refuse = lambda numbers: full(numbers) if numbers != [0] else None
    shelf.free.set()
    until = time.monotonic() + 10
    while len(shelf.numbers) < 6 and time.monotonic() < until:
        time.sleep(0.01)
    buffer.close()
    assert tries == [[1, 2, 3, 4, 5]] * 20 and shelf.numbers == [0, 1, 2, 3, 4, 5]
    said = [record.getMessage().partition(",")[0] for record in caplog.records]
    assert said == ["telemetry cannot be stored (bodies: 5)", "over: telemetry cannot be stored"]
    assert "19 tries of 95 bodies" in caplog.text and caplog.text.count("Traceback") == 1


def test_bodies_are_not_tried_alone_where_the_store_broke_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them is poison, and the disk is full by the time the second is tried."""
    monkeypatch.setattr(buffers, "AGAIN_SECONDS", 0.01)
    shelf, tries = Shelf(), list[list[int]]()
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    busy(shelf, buffer)
    for number in range(1, 5):
        buffer.put(table(number), 1).result(5)

    def answer(numbers: list[int]) -> Exception | None:
        tries.append(numbers)
        if {1, 4} <= {*numbers}:
            poison: Exception = pa.ArrowInvalid("poison")
            return poison
        return OSError("the disk is full") if len(tries) == 3 else None

    shelf.refuse = lambda numbers: answer(numbers) if numbers != [0] else None
    shelf.free.set()
    until = time.monotonic() + 10
    while len(shelf.numbers) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    buffer.close()
    assert tries == [[1, 2, 3, 4], [1], [2], [2, 3, 4]]
    assert shelf.numbers == [0, 1, 2, 3, 4] and buffer.held_bytes == 0 and not list(tmp_path.iterdir())


def test_a_long_backlog_lets_senders_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_ROWS", 2)
    monkeypatch.setattr(pieces, "BACKLOG_ROWS", 2)
    shelf = Shelf()
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    busy(shelf, buffer)
    ends = [buffer.put(table(number), 1) for number in range(1, 7)]
    ends[0].result(5)
    with pytest.raises(TimeoutError):
        ends[-1].result(0.2)
    shelf.free.set()
    ends[-1].result(5)
    buffer.close()
    assert sorted(shelf.numbers) == list(range(7))


def test_commits_are_full_while_more_keeps_coming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_ROWS", 4)
    monkeypatch.setattr(pieces, "BACKLOG_ROWS", 4)
    shelf, sizes = Shelf(), list[int]()
    shelf.refuse = lambda numbers: sizes.append(len(numbers))
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    busy(shelf, buffer)
    ends = [buffer.put(table(*range(first, first + 3)), 7) for first in range(1, 13, 3)]
    ends[0].result(5)
    shelf.free.set()
    for end in ends:
        end.result(5)
    buffer.close()
    assert shelf.numbers == list(range(13)) and sizes == [1, 4, 4, 4]
    assert buffer.held_bytes == 0 and not list(tmp_path.iterdir())


def test_what_waits_is_committed_in_whole_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_ROWS", 4)
    monkeypatch.setattr(pieces, "BACKLOG_ROWS", 8)
    shelf, sizes = Shelf(), list[int]()
    shelf.refuse = lambda numbers: sizes.append(len(numbers))
    buffer = Buffer(shelf, 1000, Journal(tmp_path / "j"))
    busy(shelf, buffer)
    for first in range(1, 7, 3):
        buffer.put(table(*range(first, first + 3)), 7).result(5)
    shelf.free.set()
    buffer.close()
    assert shelf.numbers == list(range(7)) and sizes == [1, 4, 2]
    assert buffer.held_bytes == 0 and not list(tmp_path.iterdir())


def test_what_cannot_be_put_into_one_piece_keeps_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second column does not fit in memory, once."""
    joined, turns = pieces._joined, iter([False, True])
    wide = [
        pa.table({"a": [number, number], "b": [str(number), None], "c": [None, 1.5], "d": pa.nulls(2, pa.int64())})
        for number in range(3)
    ]

    def fragile(parts: Any, nothing: Any) -> Any:
        if next(turns, False):
            raise MemoryError
        return joined(parts, nothing)

    monkeypatch.setattr(pieces, "_joined", fragile)
    group = [pieces.Waiting(one, 1, Future()) for one in wide]
    with pytest.raises(MemoryError):
        pieces.in_one_piece(group)
    assert [one.table for one in group] == wide
    (whole,) = pieces.in_one_piece(group)
    assert whole == pa.concat_tables(wide).combine_chunks() and [one.table for one in group] == wide


def test_appending_while_others_are_done_loses_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    positions: queue.Queue[tuple[int, int] | None] = queue.Queue()

    def finish() -> None:
        while (position := positions.get()) is not None:
            journal.done(position)

    other = threading.Thread(target=finish)
    other.start()
    for number in range(300):
        positions.put(journal.append([table(number)]))
    positions.put(None)
    other.join(10)
    assert not other.is_alive()
    journal.append([table(300)])
    assert [one["number"].to_pylist() for one in Journal(tmp_path / "j").kept()][-1] == [300]
