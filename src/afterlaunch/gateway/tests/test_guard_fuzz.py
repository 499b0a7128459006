"""Whatever bytes come, a policy is read or refused, and a request or an answer is checked or an exception."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from afterlaunch.contracts.guard import ACTIONS, FAIL, STREAMS, WHERE, Policy
from afterlaunch.contracts.guard_checks import CHECKS, PII, Check
from afterlaunch.contracts.plain import made
from afterlaunch.gateway.guarding.calls import ToolCall, Unreadable
from afterlaunch.gateway.guarding.checks import Seen, redact_of
from afterlaunch.gateway.guarding.checks import test_of as check_of
from afterlaunch.gateway.guarding.gate import Cut
from afterlaunch.gateway.guarding.judging import Facts, Guarding, Judge
from afterlaunch.gateway.guarding.reading import (
    Answer,
    Request,
    fragments_of,
    inflated,
    read_json,
    read_stream,
)
from afterlaunch.gateway.guarding.rules import guard_of
from afterlaunch.gateway.guarding.tally import Tally
from afterlaunch.gateway.guarding.watching import Watch
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.protocols import CHAT, EMBEDDINGS, MESSAGES, OPAQUE, RESPONSES

WIRES = (CHAT, RESPONSES, MESSAGES, EMBEDDINGS, OPAQUE)
MEMBERS = (
    "messages", "content", "role", "type", "text", "choices", "delta", "message", "tool_calls", "function", "name",
    "arguments", "index", "output", "response", "item", "tools", "input", "model", "partial_json",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**6) | st.text(max_size=12) | st.sampled_from(["text", "tool_use"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=20,
)
READ: tuple[Callable[[bytes, Any], Answer], ...] = (read_json, read_stream)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.text(max_size=3), "name": st.text(max_size=3), "where": st.sampled_from(WHERE) | JSON,
            "check": st.fixed_dictionaries(
                {"kind": st.sampled_from(CHECKS)},
                optional={
                    "patterns": st.lists(st.text("ab(|)*+?[]{}\\^$.12,", max_size=12), max_size=3) | JSON,
                    "terms": st.lists(st.text(max_size=5), max_size=3), "kinds": st.lists(st.sampled_from(PII)),
                    "least": st.integers(-1, 5), "most": st.integers(-1, 5), "names": st.lists(st.text(max_size=4)),
                    "path": st.text("$.ab[]*:'?@0,", max_size=9).map(lambda one: "$" + one) | st.text(max_size=5),
                    "above": st.floats() | JSON, "below": st.integers(), "values": st.lists(JSON, max_size=3) | JSON,
                    "schema": JSON, "url": st.text(max_size=12), "must_match": st.booleans(),
                },
            ),
            "action": st.sampled_from(ACTIONS), "fail": st.sampled_from(FAIL), "stream": st.sampled_from(STREAMS),
            "window": st.integers(-1, 5_000), "unknown": JSON,
        },
    )
)  # fmt: skip
def test_any_document_is_a_policy_that_works_or_is_refused(document: dict[str, Any]) -> None:
    try:
        policy = made(Policy, document)
    except ValueError:
        return
    if policy.wrong() is None:
        guard = guard_of((policy,))
        for rule in (*guard.asked, *guard.answered):
            if rule.test is not None:
                with suppress(Unreadable):
                    rule.test(Seen(["a text", ""], ["a"], ["b"], [ToolCall("b", '{"a":[1,{"b":"x"}]}')]))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.sampled_from(WIRES))
@example({"tools": [{"name": ""}]}, CHAT)
def test_any_json_is_read_and_redaction_changes_nothing_else(document: Any, wire: Any) -> None:
    body = json.dumps(document).encode()
    request = Request(body)
    assert request.redacted("request", lambda text: text) == body
    changed = orjson.loads(request.redacted("request", lambda text: text.replace("e", "€")))
    assert type(changed) is type(document)
    assert len(str(request.models) + str(request.tools)) > 0
    try:
        answer = read_json(body, wire)
    except Unreadable:
        return
    assert answer.redacted("response", lambda text: text) == body


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(JSON, max_size=5), st.sampled_from(WIRES), st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"]))
def test_any_events_are_read_or_are_an_exception(documents: list[Any], wire: Any, end: str) -> None:
    body = "".join(f"data: {json.dumps(one)}{end}" for one in documents).encode()
    try:
        answer: Answer = read_stream(body, wire)
        changed = answer.redacted("response", lambda text: "".join(reversed(text)))
    except Unreadable:
        return
    assert len(read_stream(changed, wire).fragments) == len(answer.fragments)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.sampled_from(WIRES))
def test_any_bytes_are_read_or_are_an_exception(body: bytes, wire: Any) -> None:
    for read in READ:
        try:
            read(body, wire)
        except Unreadable:
            continue
    attempts: tuple[Callable[[], object], ...] = (
        lambda: Request(body),
        lambda: inflated(body, "gzip"),
        lambda: fragments_of(body, wire),
    )
    for attempt in attempts:
        try:
            attempt()
        except Unreadable:
            continue


def judge_of(folder: Path, policy: dict[str, Any]) -> Judge:
    guard = guard_of((made(Policy, {"id": "1", "name": "p", "where": "response", "action": "deny", **policy}),))
    shared = Guarding(Tally(folder / "tally.json"), None, None, Metrics())  # type: ignore[arg-type]
    return Judge(guard, shared, Facts("r", "c", "s", "e", "/v1/chat/completions", CHAT, None, None, "k", None, "1"))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from(["bl", "ue", "b", "l", "u", "e", " ", "sky ", "é", "blue"]), max_size=12),
    st.sampled_from(["\n\n", "\r\n\r\n"]), st.lists(st.integers(1, 60), min_size=1, max_size=40),
    st.sampled_from([0, 3, 500]),
)  # fmt: skip
def test_a_watched_stream_passes_whole_or_is_cut_before_the_match_is_complete(
    tmp_path: Path, texts: list[str], end: str, sizes: list[int], window: int
) -> None:
    chunks = [{"choices": [{"index": 0, "delta": {"content": one}}]} for one in texts]
    body = "".join(f"data: {json.dumps(one)}{end}" for one in chunks).encode() + b"data: [DONE]\n\n"
    check = {"kind": "pattern", "patterns": ["blue"]}
    judge = judge_of(tmp_path, {"check": check, "fail": "closed", "stream": "watch", "window": window})
    gate, out, at = Watch(judge, judge.answered, (), CHAT, ""), b"", 0
    try:
        for size in itertools.cycle(sizes):
            out += gate.feed(body[at : at + size])
            at += size
            if at >= len(body):
                break
        out += asyncio.run(gate.finish())
    except Cut as cut:
        sent = "".join(one.string.text for one in read_stream(out, CHAT).fragments)
        assert "blue" in "".join(texts) and "blue" not in sent and body.startswith(out)
        assert b"guard-denied" in cut.event
        assert len("".join(texts).partition("blue")[0]) - len(sent) <= max(window, 3) + 4
    else:
        assert "blue" not in "".join(texts) and out == body


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ({"kind": "pattern", "patterns": ["(a+)+$"]}, "a" * 200_000 + "!"),
        ({"kind": "pattern", "patterns": ["(x+x+)+y", "(.*a){12}b"]}, "x" * 200_000),
        ({"kind": "terms", "terms": ["a b", "a"]}, "a " * 100_000),
        ({"kind": "pii"}, ("jane.doe" * 5 + "@") * 10_000),
        ({"kind": "pii"}, "+4917 " * 30_000),
        ({"kind": "schema", "schema": {"type": "string", "pattern": "^(a+)+$"}}, '"' + "a" * 200_000 + '!"'),
    ],
)
def test_no_text_makes_a_check_slow(check: dict[str, Any], text: str) -> None:
    ready, began = check_of(made(Check, check)), time.process_time()
    ready(Seen([text], [text]))
    if check["kind"] != "schema":
        with suppress(Unreadable):  # more to replace than anybody would read
            redact_of("p", made(Check, check))(text)
    assert time.process_time() - began < 5  # backtracking would take longer than the sun will shine
