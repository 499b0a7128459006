"""A caller who leaves ends the provider's work."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

from afterlaunch.gateway.tests.house import KEY, Canned, House, Received, until


def leave_early(house: House, body: bytes, wait_for: bytes) -> None:
    parts = urlsplit(house.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as caller:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        seen, before = b"", len(house.provider.requests)
        caller.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
        while wait_for and wait_for not in seen:
            seen += caller.recv(65_536)
        until(lambda: len(house.provider.requests) > before or seen)


def test_five_of_five_streams_are_stopped_and_marked(gateway_house: House) -> None:
    chunk = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
    stream = [(b"content-type", b"text/event-stream")]
    gateway_house.provider.answer = lambda _: Canned([chunk] * 1_000, headers=stream, pause=0.01)
    for _ in range(5):
        leave_early(gateway_house, b'{"stream":true,"model":"m"}', b"data:")
    until(lambda: gateway_house.provider.aborted == 5, 5)
    until(lambda: len(gateway_house.server.attempts()) == 5)
    for seen in gateway_house.server.attempts():
        assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("caller-gone", "estimated")
        assert "gen_ai.usage.output_tokens" not in seen and "error.type" not in seen


def test_a_caller_who_leaves_at_the_end_of_the_stream_has_a_whole_call(gateway_house: House) -> None:
    """SDKs hang up at [DONE], before the last chunk of the transport: the counts are known and must not be lost."""
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}\n\n'
    late = [b": still here\n\n"] * 500
    stream = [(b"content-type", b"text/event-stream")]
    gateway_house.provider.answer = lambda _: Canned([usage, b"data: [DONE]\n\n", *late], headers=stream, pause=0.01)
    leave_early(gateway_house, b'{"stream":true,"model":"m"}', b"[DONE]")
    until(lambda: gateway_house.provider.aborted == 1, 5)
    until(lambda: len(gateway_house.server.attempts()) == 1)
    seen = gateway_house.server.attempts()[0]
    assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("complete", "exact")
    assert seen["gen_ai.usage.output_tokens"] == 3


def test_a_caller_who_leaves_before_the_answer_stops_it_too(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned([b" "] * 1_000, pause=0.01)
    leave_early(gateway_house, b'{"model":"m"}', b"")
    until(lambda: gateway_house.provider.aborted == 1, 5)


def test_a_caller_who_reads_slowly_slows_the_provider_and_gets_everything(gateway_house: House) -> None:
    """Neither side of the gateway keeps more than its bounds: the provider has to wait."""
    chunk, count = b"x" * 65_536, 1_024  # the kernel's buffers of both hops hold up to 20 MB

    def answer(_: Received) -> Canned:
        return Canned([chunk] * count)

    gateway_house.provider.answer = answer
    parts = urlsplit(gateway_house.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as caller:
        head = f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 2\r\n\r\n{{}}"
        caller.sendall(head.encode())
        until(lambda: gateway_house.provider.requests)
        time.sleep(0.5)
        assert gateway_house.provider.sent < count * len(chunk) // 2
        total, began = 0, time.perf_counter()
        while total < count * len(chunk):
            total += len(caller.recv(1 << 20))
        waiting = time.perf_counter() - began
    assert gateway_house.provider.sent == count * len(chunk) and waiting < 20
