"""Bodies that wait at the same time are read together, and each sender gets the answer to its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry import decoding as decodings
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.conventions import normalise, normalise_all
from afterlaunch.telemetry.decoding import MOST_BODIES, MOST_BYTES, Body, Decoding
from afterlaunch.telemetry.intake import TRACES, Door, Intake, Made, Sender
from afterlaunch.telemetry.keeping.content import SPAN_SHAPE
from afterlaunch.telemetry.keeping.rules import Rules
from afterlaunch.telemetry.keeping.watch import Watched, guarded
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 1}


def of(number: int, spans: int = 1, **told: Any) -> bytes:
    """A body of its own trace."""
    return body(*(span(CHAT | told, number=one + 1, trace=number) for one in range(spans)), resource={})


def odd(number: int) -> bytes:
    """One good span and one whose id can't be an id."""
    good, bad = span(CHAT, trace=number), span(CHAT, number=2, trace=number)
    bad.trace_id = bytes(16)
    return body(good, bad, resource={})


class Gate:
    """Holds the first reading back until the others wait."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()
        self.groups: list[int] = []

    def alone(self, one: Body) -> str:
        self.groups.append(1)
        if not self.entered.is_set():
            self.entered.set()
            assert self.open.wait(10)
        return one.data.decode()

    def together(self, bodies: Sequence[Body]) -> list[str] | None:
        self.groups.append(len(bodies))
        return None if any(one.data == b"bad" for one in bodies) else [one.data.decode() for one in bodies]


def answers(bodies: Sequence[Body], gate: Gate) -> list[str]:
    with ThreadPoolExecutor(1) as pool:
        decoding = Decoding(pool, gate.alone, gate.together)
        first = decoding.read(Body(b"first", PROTOBUF, "acme", 0))
        assert gate.entered.wait(10)
        waiting = [decoding.read(one) for one in bodies]
        gate.open.set()
        assert first.result(10) == "first"
        return [one.result(10) for one in waiting]


def test_where_several_send_the_first_waits_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decodings, "LINGER_SECONDS", 5.0)
    gate = Gate()
    gate.entered.set()
    bodies = [Body(str(n).encode(), PROTOBUF, "acme", 0) for n in range(3)]
    with ThreadPoolExecutor(1) as pool:
        decoding = Decoding(pool, gate.alone, gate.together)
        with decoding.sender():
            assert decoding.read(bodies[0]).result(2) == "0", "a lone sender waits for nobody"
            with decoding.sender(), decoding.sender():
                assert [one.result(2) for one in [decoding.read(one) for one in bodies]] == ["0", "1", "2"]
    assert gate.groups == [1, 3]


def test_those_that_wait_are_read_together_in_bounds() -> None:
    gate = Gate()
    bodies = [Body(str(n).encode(), PROTOBUF, "acme", 0) for n in range(MOST_BODIES + 3)]
    assert answers(bodies, gate) == [str(n) for n in range(len(bodies))]
    assert gate.groups == [1, MOST_BODIES, 3]
    gate = Gate()
    large = [Body(b"x" * (MOST_BYTES // 2), PROTOBUF, "acme", 0) for _ in range(3)]
    answers(large, gate)
    assert gate.groups == [1, 2, 1]


def test_bodies_of_other_clients_and_forms_never_come_along() -> None:
    gate = Gate()
    bodies = [
        Body(b"a", PROTOBUF, "acme", 0),
        Body(b"b", PROTOBUF, "other", 0),
        Body(b"c", PROTOBUF, None, 0),
        Body(b"d", "application/json", "acme", 0),
        Body(b"e", PROTOBUF, "acme", 0),
    ]
    assert answers(bodies, gate) == ["a", "b", "c", "d", "e"]
    assert gate.groups == [1, 2, 1, 1, 1]


def test_what_cannot_be_read_together_is_read_one_by_one() -> None:
    gate = Gate()
    bodies = [Body(data, PROTOBUF, "acme", 0) for data in (b"a", b"bad", b"c")]
    assert answers(bodies, gate) == ["a", "bad", "c"]
    assert gate.groups == [1, 3, 1, 1, 1]


def test_whatever_breaks_reading_together_keeps_nobody_waiting() -> None:
    """Also what is no Exception: a library that gave up, say."""

    def together(bodies: Sequence[Body]) -> list[str] | None:
        raise GaveUp

    gate = Gate()
    with ThreadPoolExecutor(4) as pool:
        decoding: Decoding[str] = Decoding(pool, gate.alone, together)
        first = decoding.read(Body(b"first", PROTOBUF, None, 0))
        assert gate.entered.wait(10)
        others = [decoding.read(Body(b"%d" % number, PROTOBUF, None, 0)) for number in range(3)]
        gate.open.set()
        assert first.result(10) == "first" and [one.result(10) for one in others] == ["0", "1", "2"]


class GaveUp(BaseException):
    pass


def test_a_sender_that_has_left_takes_nobody_along() -> None:
    gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        decoding = Decoding(pool, gate.alone, gate.together)
        decoding.read(Body(b"first", PROTOBUF, "acme", 0))
        assert gate.entered.wait(10)
        gone, stays = (decoding.read(Body(data, PROTOBUF, "acme", 0)) for data in (b"gone", b"stays"))
        assert gone.cancel()
        gate.open.set()
        assert stays.result(10) == "stays"


def test_several_bodies_are_mapped_as_each_alone() -> None:
    bodies = [of(n, n % 4, **{f"own.{n}": n, "gen_ai.usage.output_tokens": n}) for n in range(12)]
    made, sizes = normalise_all(bodies, "acme", 0)
    assert sizes == [n % 4 for n in range(12)] and not made.rejected
    begin = 0
    for data, size in zip(bodies, sizes, strict=True):
        assert made.table.slice(begin, size).to_pylist() == normalise(data, PROTOBUF, "acme", 0).table.to_pylist()
        begin += size
    with pytest.raises(Invalid):
        normalise_all([bodies[1], b"\xff"], "acme", 0)


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    """One whose first body waits until the others are there too; masks as the server's does."""
    buffer = Buffer(stores.open_store(tmp_path / "t.duckdb"), 10_000_000)
    entered, gate = threading.Event(), threading.Event()

    def decode(data: bytes, content_type: str, client: str | None, received_ns: int) -> Made:
        if not entered.is_set():
            entered.set()
            gate.wait(10)
        return TRACES.decode(data, content_type, client, received_ns)

    signal = guarded(replace(TRACES, decode=decode), SPAN_SHAPE, Watched(Rules))
    made = Intake(buffer, 1_000_000, Door(True), signal)
    made.open = gate.set  # type: ignore[attr-defined]
    yield made
    buffer.close()
    stores.close_store()


def sent(intake: Any, *told: tuple[str | None, bytes]) -> list[Any]:
    """The answers, or what was raised, to bodies that wait at the same time."""

    async def at_once() -> list[Any]:
        tasks = [
            asyncio.ensure_future(intake.take(Sender(client), data, PROTOBUF))
            for client, data in (("acme", of(999)), *told)
        ]
        await asyncio.sleep(0.2)
        intake.open()
        return (await asyncio.gather(*tasks, return_exceptions=True))[1:]

    return asyncio.run(at_once())


def held() -> list[tuple[str, int]]:
    rows = stores.current().query("select client, count(*) as spans from spans group by client order by client")
    return [(row["client"], row["spans"]) for row in rows]


def test_each_sender_is_told_of_its_own_body(intake: Intake) -> None:
    fine, bad, mixed, other = sent(intake, ("acme", of(1, 3)), ("acme", b"\xff"), ("acme", odd(2)), ("other", of(1, 2)))
    assert (fine.rejected, mixed.rejected, other.rejected) == (0, 1, 0)
    assert isinstance(bad, Invalid) and "number 1 of the request" in mixed.messages[0]
    assert held() == [("acme", 1 + 3 + 1), ("other", 2)]


def test_what_is_read_together_is_masked_and_stored_whole(intake: Intake) -> None:
    secret = {"input.value": "write to erika.mustermann@example.org"}
    made = sent(intake, *(("acme", of(n, n, **secret)) for n in range(5)))
    assert [one.table.num_rows for one in made] == [0, 1, 2, 3, 4] and not any(one.rejected for one in made)
    assert held() == [("acme", 1 + 10)]
    texts = stores.current().query("select distinct input_text from spans where input_text is not null")
    assert texts == [{"input_text": "write to [masked: e-mail]"}]
    assert stores.current().query("select count(*) as many from dead_letter") == [{"many": 0}]
