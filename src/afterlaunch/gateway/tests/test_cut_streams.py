"""An upstream that is cut takes nothing along that had come whole: what a gate held back still reaches the caller."""

from __future__ import annotations

import asyncio
import http.client
import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.gateway.guarding.gate import Gate
from afterlaunch.gateway.guarding.judging import Judge
from afterlaunch.gateway.guarding.restoring import Restoring
from afterlaunch.gateway.guarding.watching import Watch
from afterlaunch.gateway.protocols import CHAT, MESSAGES, RESPONSES, Protocol
from afterlaunch.gateway.sse import split
from afterlaunch.gateway.tests.house import KEY, House, until
from afterlaunch.gateway.tests.test_forwarding import STREAM
from afterlaunch.gateway.tests.test_guard import policy, publish, streams
from afterlaunch.gateway.tests.test_guard_fuzz import judge_of
from afterlaunch.gateway.tests.test_placeholders import ASKED, KEYED, MAIL, PIECE, known, restoring, texts_of, told

WATCHED = {"check": {"kind": "terms", "terms": ["never said"]}, "fail": "closed", "stream": "watch"}


def gate_of(judge: Judge, wire: Protocol, watches: bool, restores: bool) -> Gate:
    watch = Watch(judge, judge.answered, (), wire, "") if watches else None
    if not restores:
        assert watch is not None
        return watch
    judge.placeholders = known(mail=MAIL, key=KEYED)
    return Restoring(judge, wire, True, "", watch)


def whole_of(stream: bytes) -> list[bytes]:
    return [one for one in split(stream) if one.endswith((b"\n\n", b"\r\n\r\n"))]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(PIECE, max_size=6), st.data(), st.sampled_from([CHAT, RESPONSES, MESSAGES]),
    st.sampled_from([(True, False), (False, True), (True, True)]), st.sampled_from([0, 4, 500]),
    st.lists(st.integers(1, 90), min_size=1, max_size=6),
)  # fmt: skip
def test_wherever_the_upstream_is_cut_the_caller_has_every_event_that_came_whole(
    tmp_path: Path, pieces: list[str], data: st.DataObject, wire: Protocol, gates: tuple[bool, bool], window: int,
    sizes: list[int],
) -> None:  # fmt: skip
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    stream = b"".join(texts_of(wire, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)], False))
    for end in range(len(stream) + 1):
        gate = gate_of(judge_of(tmp_path, {**WATCHED, "window": window}), wire, *gates)
        out, at, turn = b"", 0, 0
        while at < end:
            size = sizes[turn % len(sizes)]
            out += gate.feed(stream[at : min(at + size, end)])
            at, turn = at + size, turn + 1
        out += gate.cut_off()
        came = whole_of(stream[:end])
        said = told(wire, b"".join(came))
        if gates[1]:
            said = said.replace("[mail-1]", MAIL).replace("[key-2]", KEYED)
        assert told(wire, out) == said and len(whole_of(out)) == len(came)
        if said == told(wire, b"".join(came)):
            assert out == b"".join(came)  # to the byte


def test_what_no_gate_could_read_passes_on_as_it_came(tmp_path: Path) -> None:
    gate = gate_of(judge_of(tmp_path, {**WATCHED, "fail": "open", "window": 500}), CHAT, True, True)
    broken = b'data: {"choices": [{"index": 0, "delta": {"content": "[mail-1"\n\n'
    assert gate.feed(broken) + gate.cut_off() == broken
    assert asyncio.run(gate.finish()) == b""


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("last", ["[e-mail-", "[e-mail-1]", " and"])
def test_a_cut_upstream_leaves_the_caller_what_was_held_and_an_answer_that_is_visibly_cut(
    gateway_house: House, watched: bool, last: str
) -> None:
    watching = policy("response", "deny", WATCHED["check"], "never", stream="watch", window=500)  # type: ignore[arg-type]
    publish(gateway_house, restoring(), *([watching] if watched else []))
    canned = streams("to [e-mail-1], ", last)
    chunks = [*canned.chunks[:-1], b'data: {"choices": [{"ind']
    gateway_house.provider.answer = lambda _: replace(canned, chunks=chunks, cut=True)
    connection = http.client.HTTPConnection(urlsplit(gateway_house.url).netloc, timeout=10)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps({**ASKED, "stream": True}), headers)
    answer = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    connection.close()
    assert answer.status == 200 and dict(STREAM)[b"content-type"].decode() in answer.headers["content-type"]
    assert told(CHAT, cut.value.partial) == f"to {MAIL}, " + last.replace("[e-mail-1]", MAIL)
    until(gateway_house.server.attempts)
    seen = gateway_house.server.attempts()[0]
    assert (seen["afterlaunch.call_state"], seen["error.type"]) == ("upstream-cut", "stream_cut")
