"""However a caller writes its requests, each is read as one, in order, or refused; never as another one."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afterlaunch import sdk
from afterlaunch.gateway import callers
from afterlaunch.gateway.answer import Answer, Reply
from afterlaunch.gateway.callers import Caller
from afterlaunch.gateway.flushing import Flusher
from afterlaunch.gateway.protocols import Refusal
from afterlaunch.gateway.request import LARGEST_HEAD, RequestHead, read_request


class Line(asyncio.Transport):
    """A connection's other end: what was written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = self.aborted = self.half = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.sent += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def write_eof(self) -> None:
        self.half = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Echo:
    """Answers a call with what was read of it, in two parts with a turn of the loop between them."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes, bytes]] = []
        self.refusals: list[str] = []
        self.left_early = self.inside = self.again_seen = 0

    def admit(self, head: RequestHead) -> EchoVisit | Reply:
        if head.target == b"/own":
            return Reply(200, (), b"own")
        if head.target == b"/no":
            return self.refused(Refusal(401, "no", "no"), head)
        self.inside += 1
        return EchoVisit(self, head)

    def again(self, admission: object, head: RequestHead) -> EchoVisit | Reply:
        assert admission is head
        self.again_seen += 1
        return self.admit(head)

    def refused(self, refusal: Refusal, head: RequestHead | None) -> Reply:
        self.refusals.append(refusal.reason)
        return Reply(refusal.status, (), refusal.reason.encode())


class EchoVisit:
    largest_request = 64 << 20

    def __init__(self, door: Echo, head: RequestHead) -> None:
        self._door, self._head = door, head
        self.admission = head

    async def run(self, body: bytes, answer: Answer) -> None:
        self._door.inside -= 1
        self._door.seen.append((self._head.method, self._head.target, body))
        answer.start(200, ())
        answer.write(self._head.target)
        await asyncio.sleep(0)
        answer.end(body)

    def left(self) -> None:
        self._door.inside -= 1
        self._door.left_early += 1

    def caller_gone(self) -> None: ...


async def _converse(reads: list[bytes], turns: int = 0) -> tuple[Line, Echo, Caller]:
    line, door = Line(), Echo()
    caller = Caller(door, set(), Flusher())
    caller.connection_made(line)
    for read in reads:
        if line.closed:
            break
        caller.data_received(read)
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(100):
            if not line.paused:
                break
            await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    return line, door, caller


def converse(*reads: bytes, turns: int = 0) -> tuple[Line, Echo, Caller]:
    """`turns` of the loop after each read, so that its answer is given before the next one."""
    return asyncio.run(_converse(list(reads), turns))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(at)]


HEAD = b"POST /x HTTP/1.1\r\nhost: a\r\n"
GOOD = [
    b"POST /1 HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\nfirst",
    b"GET /2?q HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nhost: evil\r\n\r\n",
    b"GET /own HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST /6 HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\ncontent-length: 18\r\n\r\n"
    b"GET /evil HTTP/1.1",
    b"HEAD /7 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /8 HTTP/1.0\r\n\r\n",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2_000), max_size=60))
def test_any_cut_of_a_conversation_is_read_alike(cuts: list[int]) -> None:
    line, door, _ = converse(*pieces(b"".join(GOOD), cuts))
    assert door.seen == [
        ("POST", b"/1", b"first"),
        ("GET", b"/2?q", b""),
        ("POST", b"/3", b"abcde"),
        ("POST", b"/6", b"GET /evil HTTP/1.1"),
        ("HEAD", b"/7", b""),
        ("GET", b"/8", b""),
    ]
    assert bytes(line.sent).count(b"HTTP/1.1 200 OK") == len(GOOD) and door.inside == 0 and not door.refusals
    assert line.closed


SMUGGLED = b"GET /evil HTTP/1.1\r\nhost: a\r\n\r\n"
HOSTILE = {
    "both lengths": HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, turned": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 0\r\ncontent-length: 32\r\n\r\n",
    "a list of lengths": HEAD + b"content-length: 0, 32\r\n\r\n",
    "a signed length": HEAD + b"content-length: +0\r\n\r\n",
    "a length in hexadecimal": HEAD + b"content-length: 0x0\r\n\r\n",
    "an endless length": HEAD + b"content-length: 99999999999999999999\r\n\r\n",
    "a folded line": HEAD + b"x: a\r\n content-length: 32\r\n\r\n",
    "bare line feeds": b"POST /x HTTP/1.1\nhost: a\n\n",
    "one bare line feed": HEAD + b"x: a\ncontent-length: 32\r\n\r\n",
    "a bare carriage return": HEAD + b"x: a\rcontent-length: 32\r\n\r\n",
    "space before the colon": HEAD + b"content-length : 32\r\n\r\n",
    "a nul": HEAD + b"x: a\0b\r\n\r\n",
    "another coding": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding in disguise": HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /x HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk's size with a bare line feed": HEAD + b"transfer-encoding: chunked\r\n\r\n0\n\n",
    "a chunk's size with a prefix": HEAD + b"transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "two hosts": b"POST /x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "no host": b"POST /x HTTP/1.1\r\n\r\n",
    "HTTP/0.9": b"GET /x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_what_two_readers_could_read_differently_is_refused_and_nothing_after_it_is_read(name: str, step: int) -> None:
    data = HOSTILE[name] + SMUGGLED
    line, door, _ = converse(*(data[at : at + step] for at in range(0, len(data), step)))
    assert line.sent.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) and b"connection: close" in line.sent
    assert line.sent.count(b"HTTP/1.1 ") == 1 and line.half
    assert not door.seen and door.inside == 0


def test_an_answer_in_progress_ends_before_the_refusal_of_what_follows_it() -> None:
    line, door, _ = converse(GOOD[0] + HOSTILE["both lengths"] + SMUGGLED)
    first, second = bytes(line.sent).split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200") and b"first" in first and second.startswith(b"400")
    assert [seen[1] for seen in door.seen] == [b"/1"] and line.half


def test_a_long_head_and_a_long_body_are_refused_before_they_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    line, door, caller = converse(HEAD + b"x: ", *[b"y" * 9_000] * 20)
    assert line.sent.startswith(b"HTTP/1.1 431") and door.refusals == ["headers-too-large"]
    monkeypatch.setattr(callers, "LARGEST_BODY", 1_000)
    line, door, caller = converse(HEAD + b"content-length: 1001\r\n\r\n")
    assert line.sent.startswith(b"HTTP/1.1 413") and line.half and caller._incoming is None
    chunk = b"190\r\n" + b"z" * 400 + b"\r\n"
    line, door, _ = converse(HEAD + b"transfer-encoding: chunked\r\n\r\n", chunk, chunk, chunk, chunk)
    assert line.sent.startswith(b"HTTP/1.1 413") and (door.inside, door.left_early) == (0, 1)
    assert LARGEST_HEAD == 64 << 10


def test_a_refused_caller_that_sends_on_is_answered_at_once_and_not_read() -> None:
    line, door, caller = converse(b"POST /no HTTP/1.1\r\nhost: a\r\ncontent-length: 900000\r\n\r\n", b"x" * 50_000)
    assert line.sent.startswith(b"HTTP/1.1 401") and b"connection: close" in line.sent
    assert line.half and not line.closed and door.refusals == ["no"]
    caller.check(caller._lingers + callers.LINGER_SECONDS + 0.1)
    assert line.aborted


async def _slow(reads: list[bytes], seconds: float) -> tuple[Line, Echo]:
    line, door, caller = await _converse(reads)
    caller.check(asyncio.get_running_loop().time() + seconds)
    return line, door


@pytest.mark.parametrize(
    ("sent", "after", "reason"),
    [
        (b"POST /x HT", callers.HEAD_SECONDS, "request-timeout"),
        (HEAD + b"content-length: 9\r\n\r\nabc", callers.BODY_SECONDS, "request-timeout"),
        (b"", callers.IDLE_SECONDS, ""),
        (GOOD[1], callers.IDLE_SECONDS, ""),
    ],
)
def test_a_drip_of_bytes_holds_no_connection(sent: bytes, after: float, reason: str) -> None:
    line, door = asyncio.run(_slow([sent] if sent else [], after - 1))
    assert not line.closed and not line.half
    line, door = asyncio.run(_slow([sent] if sent else [], after + 1))
    assert door.refusals == ([reason] if reason else []) and (line.half if reason else line.closed)
    assert door.inside == 0


def test_who_waits_for_a_100_gets_it_only_when_it_may_send() -> None:
    expecting = b"content-length: 2\r\nexpect: 100-continue\r\n\r\n"
    line, *_ = converse(HEAD + expecting)
    assert bytes(line.sent) == b"HTTP/1.1 100 Continue\r\n\r\n"
    line, *_ = converse(b"POST /no HTTP/1.1\r\nhost: a\r\n" + expecting)
    assert line.sent.startswith(b"HTTP/1.1 401")


def test_head_and_old_callers_get_what_they_can_read() -> None:
    line, *_ = converse(b"HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n")
    assert bytes(line.sent) == b"HTTP/1.1 200 OK\r\n\r\n" and not line.closed
    line, *_ = converse(b"GET /x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    assert bytes(line.sent) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n/x" and line.closed
    line, *_ = converse(b"GET /own HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    assert b"connection: keep-alive" in line.sent and not line.closed


def test_a_caller_that_leaves_in_the_middle_gives_back_its_place() -> None:
    async def leave() -> Echo:
        _, door, caller = await _converse([HEAD + b"content-length: 9\r\n\r\nabc"])
        assert door.inside == 1
        caller.connection_lost(None)
        return door

    door = asyncio.run(leave())
    assert (door.inside, door.left_early) == (0, 1)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 600), max_size=20))
@example(b"connection:close", [])
def test_no_bytes_at_all_bring_the_reader_down(noise: bytes, cuts: list[int]) -> None:
    line, door, _ = converse(*pieces(HEAD + noise + b"\r\n\r\n" + noise, cuts))
    assert door.inside <= 1 and len(door.refusals) <= 1
    closed = door.seen and line.closed  # a header of the noise asked for it: what follows is refused, and hears nothing
    assert not door.refusals or closed or line.sent.rstrip().endswith(door.refusals[0].encode())


def test_what_the_sdk_says_of_a_call_arrives_whatever_its_letters() -> None:
    said = {"tenant": "Bäckerei 50%", "user": "a%41", "session": "s-1"}
    head = RequestHead()
    head.method, head.target = "POST", b"/v1/chat/completions"
    head.headers = [(name.encode(), value.encode("ascii")) for name, value in sdk.headers(**said).items()]
    assert read_request(head).said == said


SAME = b"POST /same HTTP/1.1\r\nhost: a\r\nContent-Length: %d\r\nx-one: 1\r\n\r\n%b"


def same(body: bytes) -> bytes:
    return SAME % (len(body), body)


def test_a_head_that_repeats_is_read_once() -> None:
    reads = [same(b"one"), same(b"and twenty"), same(b""), same(b"x" * 200_000), same(b"end")]
    line, door, caller = converse(*reads, turns=5)
    assert [body for _, _, body in door.seen] == [b"one", b"and twenty", b"", b"x" * 200_000, b"end"]
    assert door.again_seen == 4 and caller._incoming is None and not line.closed


NEARLY = [
    SAME.replace(b"x-one: 1", b"x-one: 2") % (3, b"two"),
    SAME.replace(b"%d", b"+%d") % (3, b"two"),
    SAME.replace(b"%d", b"%d ") % (3, b"two"),
    SAME.replace(b"%d", b"%d, 3") % (3, b"two"),
    SAME.replace(b"x-one: 1", b"content-length: 3") % (3, b"two"),
    SAME.replace(b"x-one: 1", b"transfer-encoding: chunked") % (3, b"two"),
    SAME % (30, b"two"),
    SAME % (1, b"two"),
    SAME % (3, b"two") + b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n",
    SAME.replace(b"\r\nx-one", b"\n x-one") % (3, b"two"),
    (SAME % (3, b"two"))[:-2],
    (SAME % (3, b"two"))[:20],
]


@pytest.mark.parametrize("nearly", NEARLY)
def test_what_nearly_repeats_is_read_as_if_it_were_the_first(nearly: bytes) -> None:
    alone_line, alone, _ = converse(nearly)
    line, door, _ = converse(same(b"one"), nearly, turns=5)
    assert door.seen[1:] == alone.seen and door.refusals == alone.refusals
    assert line.closed == alone_line.closed and line.half == alone_line.half
