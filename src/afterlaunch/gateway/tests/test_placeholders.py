"""What was redacted of a request comes back in its answer, whatever the answer is cut into, and stays here."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.contracts.guard import Policy
from afterlaunch.contracts.guard_checks import Check
from afterlaunch.contracts.plain import made
from afterlaunch.gateway.guarding.judging import ROOM
from afterlaunch.gateway.guarding.placeholders import MOST_WAITING, Placeholders, Stream
from afterlaunch.gateway.guarding.reading import Request, events_of
from afterlaunch.gateway.protocols import CHAT, MESSAGES, RESPONSES, Protocol
from afterlaunch.gateway.sse import data_of
from afterlaunch.gateway.tests.house import KEY, Canned, House, snapshot_of, until
from afterlaunch.gateway.tests.test_arguments import chunk, event
from afterlaunch.gateway.tests.test_forwarding import STREAM
from afterlaunch.gateway.tests.test_guard import ask, policy, publish, root_span, says, streams

MAIL = "jane.doe@example.org"
KEYED = '-----"\\\n\t€\u2028'  # what JSON has to escape
POLICY = Policy("p", "p", "request", Check("pii"), "redact", "closed", restore=True)


def known(body: bytes = b"{}", **originals: str) -> Placeholders:
    found = Placeholders(POLICY, Request(body))
    for kind, original in originals.items():
        found.stand(kind, original)
    return found


def texts_of(wire: Protocol, deltas: list[str], tool: bool) -> list[bytes]:
    """The events of one text in pieces, as a provider tells them."""
    if wire is CHAT:
        if tool:
            calls = [{"index": 0, "function": {"arguments": one}} for one in deltas]
            return [chunk({"choices": [{"index": 0, "delta": {"tool_calls": [one]}}]}) for one in calls]
        return [chunk({"choices": [{"index": 0, "delta": {"content": one}}]}) for one in deltas]
    if wire is RESPONSES:
        kind = "response.function_call_arguments.delta" if tool else "response.output_text.delta"
        return [event(type=kind, output_index=0, content_index=0, delta=one) for one in deltas]
    kind, member = ("input_json_delta", "partial_json") if tool else ("text_delta", "text")
    return [event(type="content_block_delta", index=0, delta={"type": kind, member: one}) for one in deltas]


def told(wire: Protocol, stream: bytes) -> str:
    parts = []
    for _, raw in events_of(stream):
        data = json.loads(data_of(raw) or b"{}")
        if wire is CHAT:
            delta = data["choices"][0]["delta"]
            parts.append(delta["content"] if "content" in delta else delta["tool_calls"][0]["function"]["arguments"])
        elif wire is RESPONSES:
            parts.append(data["delta"])
        else:
            parts.append(data["delta"].get("text") or data["delta"].get("partial_json") or "")
    return "".join(parts)


PIECE = st.sampled_from(["[mail-1]", "[key-2]", "[mail-1", "[mail-", "[", "]", "1]", "[[mail-1]]", "[key-22]", "x", "é",
                         "😀", "[other-9]", " "])  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(PIECE, max_size=8), st.data(), st.sampled_from([CHAT, RESPONSES, MESSAGES]), st.booleans())
def test_placeholders_are_found_wherever_a_stream_is_cut(
    pieces: list[str], data: st.DataObject, wire: Protocol, tool: bool
) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    deltas = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    events = texts_of(wire, deltas, tool)
    stream = Stream(known(mail=MAIL, key=KEYED), wire)
    reads = data.draw(st.integers(1, 5))
    out = b"".join(stream.feed(b"".join(events[at : at + reads])) for at in range(0, len(events), reads))
    out += stream.finish()
    key = json.dumps(KEYED, ensure_ascii=False)[1:-1] if tool else KEYED
    assert told(wire, out) == text.replace("[mail-1]", MAIL).replace("[key-2]", key)
    assert len(list(events_of(out))) == len(events) and not stream.unread
    if "[mail-1]" not in text and "[key-2]" not in text:
        assert out == b"".join(events)  # to the byte


def test_texts_of_several_choices_do_not_mix() -> None:
    parts = [(0, "[ma"), (1, "[ma"), (0, "il-1]"), (1, "chine]")]
    events = [chunk({"choices": [{"index": index, "delta": {"content": one}}]}) for index, one in parts]
    stream = Stream(known(mail=MAIL), CHAT)
    assert stream.feed(events[0]) == b"" and stream.feed(events[1]) == b""  # they wait
    out = stream.feed(events[2]) + stream.feed(events[3]) + stream.finish()
    found = [json.loads(data_of(raw))["choices"][0] for _, raw in events_of(out)]
    assert [one["delta"]["content"] for one in found] == [MAIL, "[ma", "", "chine]"]


def test_what_waits_is_bounded() -> None:
    stream = Stream(known(mail=MAIL), CHAT)
    out = stream.feed(texts_of(CHAT, ["[mail"], False)[0])
    other = chunk({"choices": [{"index": 1, "delta": {"content": "x"}}]})
    for _ in range(MOST_WAITING):
        out += stream.feed(other)
    assert out.count(b"data: ") == MOST_WAITING + 1 and b"[mail" in out


def test_the_same_text_has_the_same_placeholder_and_none_that_the_request_has_itself() -> None:
    found = known(json.dumps({"messages": [{"content": "I saw \u005be-mail-1] and [e-mail-x2]"}]}).encode())
    assert found.stand("e-mail", MAIL) == "[e-mail-xx1]" == found.stand("e-mail", MAIL)
    assert found.stand("private key", "k") == "[private-key-xx2]"
    assert found.restored("[e-mail-1] [e-mail-xx1] [e-mail-xx12]") == f"[e-mail-1] {MAIL} [e-mail-xx12]"
    assert found.stand("text", f"to {'[e-mail-xx1]'}") and found.restored("[text-xx3]") == f"to {MAIL}"


def test_thoughts_stay_as_the_model_wrote_them() -> None:
    thought = {"type": "thinking", "thinking": "[mail-1]", "signature": "s"}
    body = json.dumps({"content": [thought, {"type": "text", "text": "[mail-1]"}]}).encode()
    found = json.loads(known(mail=MAIL).of_json(body, MESSAGES))["content"]
    assert (found[0], found[1]["text"]) == (thought, MAIL)
    delta = event(type="content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "[mail-1]"})
    assert Stream(known(mail=MAIL), MESSAGES).feed(delta) == delta
    sent_again = json.dumps({"messages": [{"content": [thought]}]}).encode()
    assert known(sent_again).stand("mail", MAIL) == "[mail-1]"


@pytest.mark.parametrize(
    "asked",
    [
        {"response_format": {"type": "json_object"}},
        {"text": {"format": {"type": "json_schema"}}},
        {"output_format": {"type": "json_schema"}},
    ],
)
def test_an_answer_in_json_stays_json(asked: dict[str, Any]) -> None:
    found = known(json.dumps(asked).encode(), key=KEYED)
    body = json.dumps({"choices": [{"index": 0, "message": {"content": '{"key": "[key-1]"}'}}]}).encode()
    content = json.loads(found.of_json(body, CHAT))["choices"][0]["message"]["content"]
    assert json.loads(content) == {"key": KEYED}


def test_arguments_are_escaped_where_they_are_json_in_a_text_and_only_there() -> None:
    function = {"name": "send", "arguments": json.dumps({"to": "[key-1]"})}
    body = json.dumps({"choices": [{"index": 0, "message": {"tool_calls": [{"function": function}]}}]}).encode()
    call = json.loads(known(key=KEYED).of_json(body, CHAT))["choices"][0]["message"]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"to": KEYED}
    used = {"type": "tool_use", "input": {"arguments": "[key-1]"}}
    body = json.dumps({"content": [used]}).encode()
    assert json.loads(known(key=KEYED).of_json(body, MESSAGES))["content"][0]["input"]["arguments"] == KEYED


def restoring(**more: Any) -> dict[str, Any]:
    return policy("request", "redact", {"kind": "pii"}, restore=True, **more)


ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"write to {MAIL} and j@x.example"}]}


@pytest.mark.parametrize("stream", [False, True])
def test_the_provider_gets_placeholders_and_the_caller_the_originals(gateway_house: House, stream: bool) -> None:
    publish(gateway_house, restoring())
    said = "To: [e-mail-1], not [e-mail-2] or [e-mail-3]"
    gateway_house.provider.answer = lambda _: streams(*said) if stream else says(said)
    client = openai.OpenAI(base_url=gateway_house.url + "/v1", api_key=KEY, max_retries=0)
    asked: Any = ASKED["messages"]
    if stream:
        answer = client.chat.completions.create(model="gpt-4o", messages=asked, stream=True)
        content = "".join(one.choices[0].delta.content or "" for one in answer)
    else:
        content = str(client.chat.completions.create(model="gpt-4o", messages=asked).choices[0].message.content)
    assert content == f"To: {MAIL}, not j@x.example or [e-mail-3]"
    sent = json.loads(gateway_house.provider.requests[0].body)["messages"][0]["content"]
    assert sent == "write to [e-mail-1] and [e-mail-2]"
    span = root_span(gateway_house)
    assert "afterlaunch.guard.exceptions" not in span
    assert MAIL not in str(gateway_house.server.spans) and "example.org" not in str(gateway_house.server.spans)


def test_an_anthropic_tool_call_has_the_originals(gateway_house: House) -> None:
    publish(gateway_house, restoring())
    parts = [event(type="message_start", message={"id": "m", "type": "message", "role": "assistant", "model": "m",
                   "content": [], "stop_reason": None, "stop_sequence": None,
                   "usage": {"input_tokens": 1, "output_tokens": 1}}),
             event(type="content_block_start", index=0,
                   content_block={"type": "tool_use", "id": "t", "name": "send", "input": {}}),
             *texts_of(MESSAGES, list('{"to": "[e-mail-1]"}'), True),
             event(type="content_block_stop", index=0),
             event(type="message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None},
                   usage={"output_tokens": 1}),
             event(type="message_stop")]  # fmt: skip
    gateway_house.provider.answer = lambda _: Canned(parts, headers=STREAM)
    client = anthropic.Anthropic(base_url=gateway_house.url + "/r/letters", api_key=KEY, max_retries=0)
    asked: Any = {"model": "m", "max_tokens": 9, "messages": ASKED["messages"]}
    with client.messages.stream(**asked) as events:
        assert events.get_final_message().content[0].input == {"to": MAIL}  # type: ignore[union-attr]


@pytest.mark.parametrize("buffer", [False, True])
def test_policies_of_the_answer_see_placeholders_and_stop_it_all_the_same(gateway_house: House, buffer: bool) -> None:
    stopping = {"stream": "buffer"} if buffer else {"stream": "watch"}
    publish(
        gateway_house,
        restoring(),
        policy("response", "deny", {"kind": "pii"}, "mail", **stopping),
        policy("response", "deny", {"kind": "terms", "terms": ["blue"]}, "blue", **stopping),
    )
    gateway_house.provider.answer = lambda _: streams("to [e-", "mail-1]")
    status, _, body = ask(gateway_house, {**ASKED, "stream": True})
    assert status == 200 and MAIL.encode() in body and body.endswith(b"[DONE]\n\n")
    gateway_house.provider.answer = lambda _: streams("to [e-", "mail-1] ", "blue ", "sky")
    status, _, body = ask(gateway_house, {**ASKED, "stream": True})
    assert b"sky" not in body and status == (403 if buffer else 200)
    assert buffer or MAIL.encode() in body


@pytest.mark.parametrize("chunks", [[b"no json [e-mail-1]"], [b""], [b'{"choices": [[e-mail-1]']])
def test_an_answer_that_cannot_be_read_passes_and_is_counted(gateway_house: House, chunks: list[bytes]) -> None:
    publish(gateway_house, restoring())
    gateway_house.provider.answer = lambda _: Canned(chunks)
    assert ask(gateway_house, ASKED)[2] == b"".join(chunks)
    if chunks != [b""]:
        until(lambda: gateway_house.server.counted("p", "exceptions") == 1)


def test_an_event_of_several_lines_passes_and_is_counted(gateway_house: House) -> None:
    publish(gateway_house, restoring())
    lines = b'data: {"choices": [{"index": 0, "delta":\ndata: {"content": "[e-mail-1]"}}]}\n\n'
    gateway_house.provider.answer = lambda _: Canned([lines, b"data: [DONE]\n\n"], headers=STREAM)
    assert ask(gateway_house, {**ASKED, "stream": True})[2] == lines + b"data: [DONE]\n\n"
    until(lambda: gateway_house.server.counted("p", "exceptions") == 1)


def test_such_answers_are_not_remembered(gateway_house: House) -> None:
    epoch = gateway_house.gateway.holder.epoch + 1
    base = snapshot_of(gateway_house.provider_url, epoch=epoch)
    ready = (made(Policy, restoring()),)
    from dataclasses import replace

    routes = [replace(one, guard=ready, handling=replace(one.handling, cache_seconds=60)) for one in base.routes]
    gateway_house.server.publish(replace(base, routes=tuple(routes)))
    until(lambda: gateway_house.gateway.holder.epoch == epoch)
    gateway_house.provider.answer = lambda _: says("to [e-mail-1]")
    for mail in (MAIL, "other@example.org", MAIL):
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"write to {mail}"}]}
        status, told_, read = ask(gateway_house, body)
        assert status == 200 and mail.encode() in read and "afterlaunch-cache" not in told_
    assert len(gateway_house.provider.requests) == 3
    plain = {"model": "gpt-4o", "messages": [{"role": "user", "content": "nobody"}]}
    ask(gateway_house, plain)
    assert ask(gateway_house, plain)[1]["afterlaunch-cache"] == "hit"  # nothing was redacted of it


def test_a_caller_who_leaves_ends_it(gateway_house: House) -> None:
    publish(gateway_house, restoring())
    slow = streams(*(["[e-mail-1] "] * 200))
    slow.pause = 0.05
    gateway_house.provider.answer = lambda _: slow
    client = openai.OpenAI(base_url=gateway_house.url + "/v1", api_key=KEY, max_retries=0)
    asked: Any = ASKED["messages"]
    with client.chat.completions.create(model="gpt-4o", messages=asked, stream=True) as answer:
        assert next(iter(answer)).choices[0].delta.content == f"{MAIL} "
    until(lambda: gateway_house.provider.aborted == 1)
    until(lambda: gateway_house.gateway._guarding.room == ROOM)


def test_restore_goes_with_the_redaction_of_what_is_asked() -> None:
    assert POLICY.wrong() is None
    for more in ({"where": "response", "stream": "buffer"}, {"action": "deny"}):
        wrong = made(Policy, {**restoring(), **more}).wrong()
        assert wrong is not None and "restore" in wrong
