"""What is written goes out in its order, at once for few calls, and once a turn for many."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterlaunch.gateway.flushing import CROWD, Flusher, Writer


class Line:
    """What a transport was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.told.append(("write", data))

    def writelines(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def write_eof(self) -> None:
        self.told.append(("eof", b""))

    def close(self) -> None:
        self.closing = True
        self.told.append(("close", b""))

    def abort(self) -> None:
        self.closing = True
        self.told.append(("abort", b""))

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0


def _writer(line: Line, flusher: Flusher) -> Writer:
    return Writer(cast(asyncio.Transport, line), flusher)


def _run(calls: int, do: Any) -> Line:
    line, flusher = Line(), Flusher()
    flusher.calls = calls

    async def turn() -> None:
        do(_writer(line, flusher))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(turn())
    return line


def test_few_calls_send_at_once() -> None:
    line, flusher = Line(), Flusher()
    flusher.calls = CROWD - 1
    _writer(line, flusher).write(b"one")
    assert line.told == [("write", b"one")]


def test_many_calls_send_at_the_end_of_the_turn_and_each_line_once() -> None:
    flusher, lines = Flusher(), [Line() for _ in range(3)]
    flusher.calls = CROWD

    async def turn() -> list[int]:
        for writer in [_writer(line, flusher) for line in lines]:
            writer.write(b"one")
            writer.write(b"two")
            assert writer.unsent == 6
        before = [len(line.told) for line in lines]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return before

    assert asyncio.run(turn()) == [0, 0, 0]
    assert [line.told for line in lines] == [[("write", b"onetwo")]] * 3


@pytest.mark.parametrize("end", ["close", "write_eof"])
def test_an_end_comes_after_what_was_written(end: str) -> None:
    def do(writer: Writer) -> None:
        writer.write(b"one")
        getattr(writer, end)()

    assert _run(CROWD, do).told == [("write", b"one"), ("eof" if end == "write_eof" else end, b"")]


def test_after_an_abort_nothing_is_sent() -> None:
    def do(writer: Writer) -> None:
        writer.write(b"one")
        writer.abort()

    assert _run(CROWD, do).told == [("abort", b"")]


def test_a_line_that_was_lost_harms_no_other() -> None:
    flusher, lines = Flusher(), [Line(), Line()]
    flusher.calls = CROWD

    async def turn() -> None:
        for line in lines:
            _writer(line, flusher).write(b"one")
        lines[0].closing = True
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(turn())
    assert [line.told for line in lines] == [[], [("write", b"one")]]


@given(st.lists(st.tuples(st.integers(0, 2 * CROWD), st.sampled_from(["write", "lines", "turn"])), max_size=30))
def test_bytes_keep_their_order_whoever_comes_and_goes(steps: list[tuple[int, str]]) -> None:
    line, flusher = Line(), Flusher()

    async def write() -> bytes:
        writer, sent = _writer(line, flusher), b""
        for number, (calls, step) in enumerate(steps):
            flusher.calls = calls
            part = b"%d," % number
            if step == "turn":
                await asyncio.sleep(0)
                continue
            sent += part
            if step == "write":
                writer.write(part)
            else:
                writer.writelines([part])
        for _ in range(3):
            await asyncio.sleep(0)
        return sent

    assert asyncio.run(write()) == b"".join(data for _, data in line.told)
