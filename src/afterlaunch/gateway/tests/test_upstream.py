"""What providers do to a connection, and what the client makes of it."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from afterlaunch.gateway import upstream
from afterlaunch.gateway.addresses import refusal_of
from afterlaunch.gateway.flushing import Flusher
from afterlaunch.gateway.tests.test_requests_on_the_wire import Line
from afterlaunch.gateway.upstream import Broken, Client, Head, Origin, host_header
from afterlaunch.gateway.upstream_connection import HELD, Connection

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Script = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """A provider made of a script for each connection."""

    script: Script
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.reader, self.writer = reader, writer
        try:
            await self.script(self)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def request(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        self.requests.append(head + await self.reader.readexactly(length))
        return self.requests[-1]


async def ask(client: Client, peer: Peer, method: str = "POST", seconds: float = 5.0) -> Head:
    return await client.open(Origin(False, "127.0.0.1", peer.port), method, b"/v1/x", [(b"a", b"b")], b"hi", seconds)


async def whole(client: Client, head: Head) -> bytes:
    parts = []
    while read := await client.read(head):
        parts.append(read)
    return b"".join(parts)


def play(script: Script, deed: Callable[[Client, Peer], Awaitable[None]], tls: ssl.SSLContext | None = None) -> Peer:
    peer = Peer(script)

    async def run() -> None:
        server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
        peer.port = server.sockets[0].getsockname()[1]
        client = Client(Flusher())
        try:
            await asyncio.wait_for(deed(client, peer), 20)
        finally:
            await client.close()
            server.close()

    asyncio.run(run())
    return peer


def answering(*answers: bytes) -> Script:
    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            peer.writer.write(answer)
            await peer.writer.drain()

    return script


def test_a_connection_serves_again_when_the_answer_allows_it() -> None:
    async def deed(client: Client, peer: Peer) -> None:
        for _ in range(3):
            assert await whole(client, await ask(client, peer)) == b"ok"

    peer = play(answering(OK, OK, OK), deed)
    assert peer.connections == 1 and len(peer.requests) == 3
    assert peer.requests[0].startswith(b"POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:%d\r\na: b\r\n" % peer.port)
    assert peer.requests[0].endswith(b"content-length: 2\r\n\r\nhi")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        OK + b"rubbish",
    ],
)
def test_a_connection_that_said_more_or_will_close_is_not_used_again(answer: bytes) -> None:
    async def deed(client: Client, peer: Peer) -> None:
        for _ in range(2):
            assert await whole(client, await ask(client, peer)) == b"ok"

    assert play(answering(answer), deed).connections == 2


def test_what_an_idle_connection_says_unasked_is_nobodys_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(OK)
        await asyncio.sleep(0.05)
        peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")

    async def deed(client: Client, peer: Peer) -> None:
        assert await whole(client, await ask(client, peer)) == b"ok"
        await asyncio.sleep(0.1)
        assert await whole(client, await ask(client, peer)) == b"ok"

    assert play(script, deed).connections == 2


def _stale(method: str) -> tuple[Peer, list[str]]:
    """The second request on a kept connection is read, then the connection ends without a word."""

    async def script(peer: Peer) -> None:
        first = peer.connections == 1
        await peer.request()
        peer.writer.write(OK)
        if first:
            await peer.request()

    seen: list[str] = []

    async def deed(client: Client, peer: Peer) -> None:
        assert await whole(client, await ask(client, peer)) == b"ok"
        try:
            seen.append((await whole(client, await ask(client, peer, method))).decode())
        except Broken as problem:
            seen.append(problem.kind)

    return play(script, deed), seen


def test_a_lost_call_that_may_have_cost_money_is_not_sent_again() -> None:
    peer, seen = _stale("POST")
    assert (seen, peer.connections, len(peer.requests)) == (["cut"], 1, 2)


def test_a_lost_question_that_changes_nothing_is_asked_once_more() -> None:
    peer, seen = _stale("GET")
    assert (seen, peer.connections, len(peer.requests)) == (["ok"], 2, 3)


BROKEN = {
    "cut before the answer": (b"", "cut"),
    "cut in the head": (b"HTTP/1.1 200 OK\r\ncontent-le", "cut"),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n", "garbled"),
    "both lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n", "garbled"),
    "two lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", "garbled"),
    "another coding": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok", "garbled"),
    "a folded line": (b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok", "garbled"),
    "bare line feeds": (b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok", "garbled"),
    "another protocol": (b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nraw", "garbled"),
    "a head without end": (b"HTTP/1.1 200 OK\r\n" + b"x: %b\r\n" % (b"y" * 9_000) * 40, "garbled"),
    "interim answers without end": (b"HTTP/1.1 103 Early\r\n\r\n" * 40, "garbled"),
    "a body cut short": (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "ok+cut"),
    "chunks cut short": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "ok+cut"),
    "chunks gone wrong": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokXX", "ok+garbled"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_named_and_never_taken_for_a_whole_one(name: str) -> None:
    answer, expected = BROKEN[name]
    said: list[str] = []

    async def deed(client: Client, peer: Peer) -> None:
        try:
            head = await ask(client, peer)
            while read := await client.read(head):
                said.append(read.decode())
            said.append("end")
        except Broken as problem:
            said.append(problem.kind)
        assert client._open.total() <= 1

    play(answering(answer), deed)
    assert "+".join(said) == expected


GOOD = {
    b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef": (200, b"abcdef"),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 201 A\r\ncontent-length: 1\r\n\r\na": (
        201,
        b"a",
    ),
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3;e=1\r\nabc\r\n3\r\ndef\r\n0\r\nx: trailer\r\n\r\n": (
        200,
        b"abcdef",
    ),
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end": (200, b"until the end"),
    b"HTTP/1.1 204 None\r\n\r\n": (204, b""),
    b"HTTP/1.1 304 Same\r\ncontent-length: 9\r\n\r\n": (304, b""),
    b"HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n": (599, b""),
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(GOOD)), st.lists(st.integers(0, 300), max_size=40))
def test_any_cut_of_an_answer_is_read_alike(answer: bytes, cuts: list[int]) -> None:
    async def read() -> tuple[int, bytes]:
        line = Line()
        connection = Connection(lambda _: None, lambda _: None, Flusher())
        connection.connection_made(line)
        waiter = connection.send(b"", b"", "GET", 5)
        at = sorted({0, len(answer), *(cut % (len(answer) + 1) for cut in cuts)})
        for start, end in pairwise(at):
            connection.data_received(answer[start:end])
        connection.connection_lost(None)
        head = await waiter
        parts = []
        while part := await head.read():
            parts.append(part)
        assert all(name != b"x" for name, _ in head.headers)
        return head.status, b"".join(parts)

    assert asyncio.run(read()) == GOOD[answer]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]))
def test_no_bytes_at_all_bring_the_client_down(noise: bytes, before: bytes) -> None:
    async def read() -> None:
        connection = Connection(lambda _: None, lambda _: None, Flusher())
        connection.connection_made(Line())
        waiter = connection.send(b"", b"", "GET", 5)
        connection.data_received(before)
        connection.data_received(noise + b"\r\n\r\n")
        connection.connection_lost(None)
        try:
            head = await waiter
            while await head.read():
                pass
        except Broken as problem:
            assert problem.kind in ("garbled", "cut")

    asyncio.run(read())


def test_a_silent_provider_is_a_timeout_before_and_within_the_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.connections == 2:
            peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
        await peer.reader.read()

    kinds = []

    async def deed(client: Client, peer: Peer) -> None:
        for _ in range(2):
            try:
                await whole(client, await ask(client, peer, seconds=0.2))
            except Broken as problem:
                kinds.append(problem.kind)

    play(script, deed)
    assert kinds == ["timeout", "timeout"]


def test_a_slow_caller_slows_the_provider_down_and_memory_stays_small() -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (64 << 20))
        for _ in range(1024):
            peer.writer.write(b"x" * 65_536)
            sent += 65_536
            await peer.writer.drain()

    async def deed(client: Client, peer: Peer) -> None:
        head = await ask(client, peer, seconds=0.5)
        await asyncio.sleep(1.0)  # our own silence is no timeout
        assert head.size <= HELD + (1 << 20) and sent < 32 << 20
        total = 0
        while read := await client.read(head):
            total += len(read)
        assert total == 64 << 20

    play(script, deed)


def test_a_call_that_is_given_up_closes_its_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        assert await peer.reader.read() == b""
        peer.names.append("ended")

    async def deed(client: Client, peer: Peer) -> None:
        task = asyncio.create_task(ask(client, peer))
        while not peer.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not peer.names:
            await asyncio.sleep(0.01)
        assert client.connections == 0 and client._open.total() == 0

    play(script, deed)


def test_more_connections_than_allowed_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "CONNECTIONS", 1)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    async def deed(client: Client, peer: Peer) -> None:
        first = asyncio.create_task(ask(client, peer))
        while not peer.requests:
            await asyncio.sleep(0.01)
        with pytest.raises(Broken) as refused:
            await ask(client, peer)
        assert refused.value.kind == "busy"
        first.cancel()

    play(script, deed)


def _certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


@pytest.mark.parametrize(
    ("certified", "trusted", "expected"),
    [("localhost", True, "ok"), ("localhost", False, "unreachable"), ("elsewhere.test", True, "unreachable")],
)
def test_tls_names_the_host_and_verifies_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certified: str, trusted: bool, expected: str
) -> None:
    context, public = _certificate(tmp_path, certified)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    got = []

    async def deed(client: Client, peer: Peer) -> None:
        for _ in range(2):
            try:
                head = await client.open(Origin(True, "localhost", peer.port), "GET", b"/", [], b"", 5)
                got.append((await whole(client, head)).decode())
            except Broken as problem:
                got.append(problem.kind)
        assert client._open.total() == client.connections

    peer = play(answering(OK, OK), deed, context)
    assert got == [expected] * 2 and set(asked) == {"localhost"}
    assert len(peer.requests) == (2 if expected == "ok" else 0)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "0.0.0.0", "::",
     "224.0.0.1", "255.255.255.255", "100.100.100.200"],
)  # fmt: skip
def test_addresses_where_no_provider_is_are_refused_unless_allowed(address: str) -> None:
    assert refusal_of(ipaddress.ip_address(address), allowed=False)
    assert refusal_of(ipaddress.ip_address(address), allowed=True) is None


def test_providers_on_the_own_network_are_reached() -> None:
    for address in ("127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "fd12::1", "104.18.6.192"):
        assert refusal_of(ipaddress.ip_address(address), allowed=False) is None


def test_the_connection_goes_to_the_address_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers otherwise the second time changes nothing: it is asked once."""
    asked = []

    async def deed(client: Client, peer: Peer) -> None:
        loop = asyncio.get_running_loop()

        async def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
            asked.append(host)
            target = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
            return [(2, 1, 6, "", (target, port))]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo, raising=False)
        head = await client.open(Origin(False, "provider.test", peer.port), "GET", b"/", [], b"", 5)
        assert await whole(client, head) == b"ok"
        client._resolver._known.clear()
        with pytest.raises(Broken) as refused:
            await client.open(Origin(False, "provider.test", peer.port), "GET", b"/", [], b"", 5)
        assert refused.value.kind == "address-refused"

    peer = play(answering(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"), deed)
    assert asked == ["provider.test"] * 2 and peer.connections == 1


def test_the_host_header_has_a_port_only_where_it_is_unusual() -> None:
    assert host_header(Origin(True, "api.openai.com", 443)) == b"api.openai.com"
    assert host_header(Origin(False, "::1", 8000)) == b"[::1]:8000"
    assert host_header(Origin(True, "bücher.example", 8443)) == b"xn--bcher-kva.example:8443"
