"""What upstreams do wrong: the caller gets what was said, or an error of the gateway's in its own wire format; what is
not known of the tokens is marked. Every row is tried on both families of wire formats."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest

from afterlaunch.contracts.handling import Handling, Resilience
from afterlaunch.gateway.health import Health
from afterlaunch.gateway.tests.house import KEY, House, house, snapshot_of, until

CLOSE, RESET, STALL = "close", "reset", "stall"
PATIENCE = 0.4  # seconds that the gateway waits for a silent upstream


@dataclass(frozen=True)
class Wire:
    path: str
    usage: bytes  # a member of a whole answer
    wrong: bytes
    event: bytes
    end: bytes
    error: bytes


WIRES = {
    "openai": Wire(
        "/v1/chat/completions",
        b'"usage":{"prompt_tokens":7,"completion_tokens":2}',
        b'"usage":{"prompt_tokens":"many","completion_tokens":-3}',
        b'data: {"model":"m","choices":[{"delta":{"content":"hi"}}]}\n\n',
        b"data: [DONE]\n\n",
        b'{"error":{"message":"no","type":"server_error","code":"x"}}',
    ),
    "anthropic": Wire(
        "/v1/messages",
        b'"usage":{"input_tokens":7,"output_tokens":2}',
        b'"usage":{"input_tokens":"many","output_tokens":-3}',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"hi"}}\n\n',
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        b'{"type":"error","error":{"type":"overloaded_error","message":"no"}}',
    ),
}


def answer(body: bytes, status: int = 200, headers: bytes = b"", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % (status, size)
    return head + headers + b"\r\n" + body


def stream(*parts: bytes, whole: bool = True) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return head + chunks + (b"0\r\n\r\n" if whole else b"")


class Peer:
    """Says the same to everybody, then ends as it is told to."""

    def __init__(self, said: bytes, then: str) -> None:
        self.asked = 0
        self._said, self._then = said, then
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65_536)
            head, _, body = head.partition(b"\r\n\r\n")
            left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(body)
            while left > 0:
                left -= len(connection.recv(1 << 20))
            self.asked += 1
            connection.sendall(self._said)
            if self._then == STALL:
                self._over.wait(10)
            if self._then == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def stop(self) -> None:
        self._over.set()
        self._listening.close()


@contextmanager
def peer(house: House, said: bytes, then: str) -> Iterator[Peer]:
    """The upstream of both routes."""
    made = Peer(said, then)
    epoch = house.gateway.holder.epoch + 1
    snapshot = snapshot_of(made.url, epoch=epoch, inject="no")
    quick = Handling(Resilience(longest_wait=0.05))
    house.server.publish(
        replace(
            snapshot,
            upstreams=tuple(replace(one, timeout_seconds=PATIENCE) for one in snapshot.upstreams),
            routes=tuple(replace(one, handling=quick) for one in snapshot.routes),
        )
    )
    until(lambda: house.gateway.holder.epoch == epoch)
    try:
        yield made
    finally:
        made.stop()


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


def ask(house: House, wire: Wire, body: bytes = b'{"model":"m"}') -> Got:
    connection = http.client.HTTPConnection(urlsplit(house.url).netloc, timeout=10)
    route = "letters" if wire.path == "/v1/messages" else "answers"
    connection.request("POST", wire.path, body, {"authorization": f"Bearer {KEY}", "afterlaunch-route": route})
    found = connection.getresponse()
    headers = {name.lower(): value for name, value in found.getheaders()}
    try:
        got = Got(found.status, headers, found.read(), True)
    except http.client.IncompleteRead as cut:
        got = Got(found.status, headers, cut.partial, False)
    connection.close()
    return got


def told(house: House) -> dict[str, object]:
    """Of the last attempt."""
    until(lambda: house.server.attempts())
    return house.server.attempts()[-1]


@pytest.fixture(scope="module")
def shared_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for all rows, which tells its spans at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROVIDER_SECRET", "sk-of-the-house")
        patch.setattr("afterlaunch.gateway.exporter.PERIOD", 0.01)
        patch.setattr("afterlaunch.gateway.server_link.PAUSE", 0.01)
        with house(tmp_path_factory.mktemp("house")) as made:
            yield made


@pytest.fixture
def fault_house(shared_house: House) -> House:
    shared_house.server.spans.clear()
    shared_house.gateway._stack.health = Health()
    return shared_house


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


def own_error(wire: Wire, body: bytes) -> str:
    """The message of an error in the wire's own shape."""
    said = json.loads(body)
    if wire.path == "/v1/messages":
        assert said["type"] == "error" and said["error"]["type"]
    else:
        assert said["error"]["code"] and said["error"]["type"]
    return str(said["error"]["message"])


@pytest.mark.parametrize(
    ("said", "then", "status", "reason"),
    [
        (b"", STALL, 504, "upstream-timeout"),
        (b"", RESET, 502, "upstream-cut"),
        (b"", CLOSE, 502, "upstream-cut"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", CLOSE, 502, "upstream-cut"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", CLOSE, 502, "upstream-garbled"),
    ],
    ids=["stall", "reset", "close", "half a head", "no HTTP"],
)
def test_an_upstream_without_an_answer_is_an_error_of_the_wire(
    fault_house: House, wire: Wire, said: bytes, then: str, status: int, reason: str
) -> None:
    with peer(fault_house, said, then) as made:
        got = ask(fault_house, wire)
        assert (got.status, got.headers["afterlaunch-reason"]) == (status, reason) and own_error(wire, got.body)
        assert made.asked == 1  # what may have cost money is not sent twice
    seen = told(fault_house)
    assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("upstream-error", "unknown")


@pytest.mark.parametrize("then", [STALL, RESET, CLOSE])
def test_a_stream_that_ends_in_half_an_event_is_cut_and_estimated(fault_house: House, wire: Wire, then: str) -> None:
    sent = wire.event * 3 + wire.event[:20]
    with peer(fault_house, stream(sent, whole=False), then):
        got = ask(fault_house, wire, b'{"model":"m","stream":true}')
    assert (got.status, got.body, got.whole) == (200, sent, False)
    seen = told(fault_house)
    assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("upstream-cut", "estimated")
    assert seen["error.type"] == ("stream_timeout" if then == STALL else "stream_cut")
    assert seen["afterlaunch.estimate.output_tokens"] == 3 or seen["afterlaunch.estimate.output_tokens"] == 4


def test_a_whole_transfer_of_half_a_stream_passes_and_is_told_as_cut(fault_house: House, wire: Wire) -> None:
    sent = wire.event + wire.event[:20]
    with peer(fault_house, stream(sent), CLOSE):
        got = ask(fault_house, wire, b'{"model":"m","stream":true}')
    assert (got.status, got.body, got.whole) == (200, sent, True)
    seen = told(fault_house)
    assert (seen["afterlaunch.call_state"], seen["error.type"]) == ("upstream-cut", "stream_cut")


@pytest.mark.parametrize("then", [STALL, RESET, CLOSE])
def test_a_body_that_ends_early_stays_visibly_cut(fault_house: House, wire: Wire, then: str) -> None:
    sent = b'{"model":"m","content":"' + b"x" * 100
    with peer(fault_house, answer(sent, length=5_000), then):
        got = ask(fault_house, wire)
    assert (got.status, got.body, got.whole) == (200, sent, False)
    seen = told(fault_house)
    assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("upstream-cut", "unknown")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"model":"m",%(wrong)s}', "no count on one side"),
        (b'{"model":"m"}', "no usage in the body"),
        (b'{"model":"m","usage":null}', "no usage in the body"),
        (b'{"model":"m",', "body does not parse"),
        (b"<html>busy</html>", "body does not parse"),
        (b"", "body does not parse"),
    ],
    ids=["wrong usage", "no usage", "null", "half", "HTML", "empty"],
)
def test_a_body_whose_usage_cannot_be_read_passes_and_its_tokens_are_unknown(
    fault_house: House, wire: Wire, body: bytes, why: str
) -> None:
    sent = body.replace(b"%(wrong)s", wire.wrong)
    with peer(fault_house, answer(sent), CLOSE):
        got = ask(fault_house, wire)
    assert (got.status, got.body, got.whole) == (200, sent, True) and "afterlaunch-reason" not in got.headers
    seen = told(fault_house)
    assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("complete", "unknown")
    assert seen.get("afterlaunch.usage_unknown") == why and "gen_ai.usage.input_tokens" not in seen


def test_a_stream_without_usage_is_estimated(fault_house: House, wire: Wire) -> None:
    sent = wire.event * 3 + wire.end
    with peer(fault_house, stream(sent), CLOSE):
        got = ask(fault_house, wire, b'{"model":"m","stream":true}')
    assert (got.status, got.body, got.whole) == (200, sent, True)
    seen = told(fault_house)
    assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("complete", "estimated")
    assert seen["afterlaunch.estimate.output_tokens"] == 3 and "gen_ai.usage.output_tokens" not in seen


@pytest.mark.parametrize(
    ("status", "headers", "asked"),
    [
        (429, b"retry-after: 7\r\n", 1),
        (429, b"retry-after-ms: 20\r\n", 2),
        (429, b"", 2),
        (500, b"", 2),
        (529, b"", 2),
        (400, b"", 1),
    ],
)
def test_what_an_upstream_refuses_passes_as_it_is_after_its_tries(
    fault_house: House, wire: Wire, status: int, headers: bytes, asked: int
) -> None:
    with peer(fault_house, answer(wire.error, status, headers + b"x-request-id: r1\r\n"), CLOSE) as made:
        got = ask(fault_house, wire)
        assert (got.status, got.body, made.asked) == (status, wire.error, asked)
    assert "afterlaunch-reason" not in got.headers and got.headers["x-request-id"] == "r1"
    assert got.headers.get("retry-after") == ("7" if headers.startswith(b"retry-after:") else None)
    until(lambda: len(fault_house.server.attempts()) == asked)
    for one in fault_house.server.attempts():
        assert (one["afterlaunch.call_state"], one["afterlaunch.usage_state"]) == ("upstream-error", "unknown")


def test_a_compressed_answer_passes_compressed_and_is_metered(fault_house: House, wire: Wire) -> None:
    sent = gzip.compress(b'{"model":"m",' + wire.usage + b"}", mtime=0)
    with peer(fault_house, answer(sent, headers=b"content-encoding: gzip\r\n"), CLOSE):
        got = ask(fault_house, wire)
    assert (got.body, got.headers["content-encoding"]) == (sent, "gzip")
    seen = told(fault_house)
    assert (seen["gen_ai.usage.input_tokens"], seen["gen_ai.usage.output_tokens"]) == (7, 2)


def test_what_says_it_is_compressed_and_is_not_passes_and_is_unknown(fault_house: House, wire: Wire) -> None:
    sent = b'{"model":"m",' + wire.usage + b"}"
    with peer(fault_house, answer(sent, headers=b"content-encoding: gzip\r\n"), CLOSE):
        got = ask(fault_house, wire)
    assert (got.status, got.body) == (200, sent)
    assert told(fault_house)["afterlaunch.usage_unknown"] == "the compressed body does not inflate"


def test_ten_megabytes_pass_both_ways_and_are_metered(fault_house: House, wire: Wire) -> None:
    text = b"x" * (10 << 20)
    sent = b'{"model":"m","text":"' + text + b'",' + wire.usage + b"}"
    with peer(fault_house, answer(sent), CLOSE):
        got = ask(fault_house, wire, b'{"model":"m","messages":[{"role":"user","content":"' + text + b'"}]}')
    assert (got.status, got.body == sent) == (200, True)
    seen = told(fault_house)
    assert (seen["gen_ai.usage.input_tokens"], seen["gen_ai.usage.output_tokens"]) == (7, 2)
