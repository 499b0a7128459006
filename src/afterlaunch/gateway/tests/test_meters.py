"""Meters read the same however the network cuts the bytes."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterlaunch.gateway.metering import INFLATED, Reading, SseMeter, meter_for
from afterlaunch.gateway.protocols import CHAT, MESSAGES, RESPONSES, Protocol
from afterlaunch.gateway.sse import Withhold
from afterlaunch.gateway.tests.house import zipped

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
EXTRA = b'data: {"choices" : [ ], "usage":{"prompt_tokens":5,"completion_tokens":6}}'
EVENTS: dict[Protocol, list[bytes]] = {
    CHAT: [
        b'data:{"id":"c1","model":"m","choices":[{"delta":{"content":"\\"usage\\":{ \\u00e9"}}],"usage":null}',
        b": a comment",
        b'data: {"choices":[{"finish_reason":"stop"}],"usage":null}',
        EXTRA,
        b"data: [DONE]",
    ],
    MESSAGES: [
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"m1","model":"c","usage":'
        b'{"input_tokens":2068,"cache_read_input_tokens":3,"output_tokens":7,"service_tier":"standard"}}}',
        b'event: ping\ndata: {"type": "ping"}',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"\\"usage\\":{"}}',
        b'data: {"type":"message_delta",\ndata: "delta":{"stop_reason":"end_turn"},"usage":\n'
        b'data: {"input_tokens":22397,"output_tokens":637}}',
        b'data: {"type":"message_stop"}',
    ],
    RESPONSES: [
        b'data: {"type":"response.created","response":{"id":"r1","model":"m","usage":null}}',
        b'data: {"type":"response.output_text.delta","delta":"x"}',
        b'data: {"type":"response.completed","response":{"id":"r1","model":"m","status":"completed",'
        b'"usage":{"input_tokens":1,"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0}}}}',
    ],
}


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(at)]


def read(wire: Protocol, reads: list[bytes]) -> Reading:
    meter = SseMeter(wire)
    for one in reads:
        meter.feed(one)
    return meter.finish()


def written(wire: Protocol, end: bytes) -> bytes:
    return b"".join(event.replace(b"\n", end) + end + end for event in EVENTS[wire])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(EVENTS)), ENDS, st.lists(st.integers(0, 5_000), max_size=40))
def test_any_cut_of_a_stream_gives_the_same_reading(wire: Protocol, end: bytes, cuts: list[int]) -> None:
    data = written(wire, end)
    assert read(wire, pieces(data, cuts)) == read(wire, [data])


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_what_a_stream_says_is_read(end: bytes) -> None:
    chat = read(CHAT, [written(CHAT, end)])
    assert (chat.usage, chat.response_id, chat.model) == ({"prompt_tokens": 5, "completion_tokens": 6}, "c1", "m")
    assert (chat.finish_reasons, chat.ended) == (["stop"], True)
    letter = read(MESSAGES, [written(MESSAGES, end)])
    tokens = letter.tokens(MESSAGES)
    assert tokens and (tokens.input, tokens.output, tokens.cache_read) == (22_400, 637, 3)
    assert (letter.response_id, letter.finish_reasons, letter.service_tier) == ("m1", ["end_turn"], "standard")
    answer = read(RESPONSES, [written(RESPONSES, end)])
    tokens = answer.tokens(RESPONSES)
    assert tokens and (tokens.input, tokens.output, tokens.reasoning, answer.ended) == (1, 2, 0, True)


@settings(max_examples=100, deadline=None)
@given(ENDS, st.lists(st.integers(0, 5_000), max_size=40))
def test_exactly_the_extra_event_is_withheld(end: bytes, cuts: list[int]) -> None:
    whole = written(CHAT, end)
    withhold = Withhold(1 << 20)
    out = b"".join(withhold.feed(one) for one in pieces(whole, cuts)) + withhold.finish()
    assert out.replace(b"\r", b"").replace(b"\n", b"") == whole.replace(EXTRA, b"").replace(b"\r", b"").replace(
        b"\n", b""
    )
    assert EXTRA not in out and len(whole) - len(out) in range(len(EXTRA), len(EXTRA) + 2 * len(end) + 1)


def test_an_early_count_is_not_taken_for_the_end() -> None:
    reading = read(MESSAGES, [written(MESSAGES, b"\n")[:300]])
    assert reading.usage is not None and reading.tokens(MESSAGES) is None and not reading.ended


@given(st.lists(st.integers(0, 3 << 20), max_size=6))
@settings(max_examples=15, deadline=None)
def test_an_event_above_the_bound_is_read_from_its_end(cuts: list[int]) -> None:
    event = {"type": "response.completed", "pad": "x" * (9 << 20), "usage": {"input_tokens": 1, "output_tokens": 2}}
    reading = read(RESPONSES, pieces(b"data: " + orjson.dumps(event) + b"\n\n", cuts))
    assert reading.usage == {"input_tokens": 1, "output_tokens": 2}


def test_a_long_json_body_is_read_from_its_end_and_a_compressed_one_from_a_copy() -> None:
    document = {"choices": [{"message": "x" * 400_000}], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}
    for encoding, body in (("", orjson.dumps(document)), ("gzip", zipped(orjson.dumps(document)))):
        meter = meter_for(CHAT, "application/json", encoding)
        for at in range(0, len(body), 10_000):
            meter.feed(body[at : at + 10_000])
        tokens = meter.finish().tokens(CHAT)
        assert tokens and (tokens.input, tokens.output) == (1, 0)


def test_what_cannot_be_read_is_unknown_with_its_reason() -> None:
    cases = {
        "body does not parse": ("", b"{"),
        "no usage in the body": ("", b"{}"),
        "the compressed body does not inflate": ("gzip", b"plain"),
        "content encoding br": ("br", b"x"),
        "the inflated body is too long": ("gzip", zipped(b" " * (INFLATED + 1))),
    }
    for reason, (encoding, body) in cases.items():
        meter = meter_for(CHAT, "application/json", encoding)
        meter.feed(body)
        reading = meter.finish()
        assert (reading.unknown, reading.tokens(CHAT)) == (reason, None)
