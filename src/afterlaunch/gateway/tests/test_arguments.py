"""What tool calls hold at a JSON path: found in answers of every protocol, streamed or not, or told as an exception."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest

from afterlaunch.contracts.guard_checks import Check
from afterlaunch.gateway.guarding import checks
from afterlaunch.gateway.guarding.arguments import LARGEST, MOST_NODES
from afterlaunch.gateway.guarding.calls import ToolCall, Unreadable
from afterlaunch.gateway.guarding.checks import Seen
from afterlaunch.gateway.guarding.reading import Request, read_json, read_stream
from afterlaunch.gateway.protocols import CHAT, MESSAGES, RESPONSES
from afterlaunch.gateway.tests.house import KEY, Canned, House, until
from afterlaunch.gateway.tests.test_forwarding import STREAM
from afterlaunch.gateway.tests.test_guard import ask, policy, publish, root_span


def of(path: str, **more: Any) -> Check:
    check = Check("arguments", path=path, **more)
    assert check.wrong() is None
    return check


def found(check: Check, *calls: Any, name: str = "pay", every: bool = False) -> bool:
    told = [ToolCall(name, one if isinstance(one, str) else json.dumps(one)) for one in calls]
    return checks.test_of(check, every)(Seen((), calls=told)) is not None


@pytest.mark.parametrize(
    ("check", "bad", "good"),
    [
        (of("$.amount", above=500), {"amount": 500.01}, {"amount": 500}),
        (of("$.amount", above=500), {"amount": "1e3"}, {"amount": " 500 "}),
        (of("$.amount", above=500), {"amount": 10**400}, {}),
        (of("$.amount", above=500, below=0), {"amount": -1}, {"amount": 0}),
        (of("$.path", patterns=(r"\.\.", "^/etc")), {"path": "/etc/passwd"}, {"path": "/srv/etc"}),
        (of("$.path", patterns=("^/srv/",), must_match=True), {"path": "/home"}, {"path": "/srv/a"}),
        (of("$.path", patterns=("^/srv/",), must_match=True), {}, {"path": "/srv/a"}),
        (of("$.unit", values=("EUR", 1, None)), {"unit": "EUR"}, {"unit": "eur"}),
        (of("$.unit", values=("EUR", 1, None)), {"unit": 1.0}, {"unit": True}),
        (of("$.unit", values=("EUR", 1, None)), {"unit": None}, {"unit": "1"}),
        (of("$.force"), {"force": False}, {"forced": 1}),
        (of("$.items[*].price", above=9), {"items": [{"price": 1}, {"price": 10}]}, {"items": [{"price": 9}, {}, 3]}),
        (of("$..price", above=9), {"a": [{"b": {"price": 10}}]}, {"a": [{"b": {"price": 9}}]}),
        (of("$.to[*]", patterns=("@house.example$",), must_match=True), {"to": ["a@house.example", "b@x.example"]},
         {"to": ["a@house.example"]}),
        (of("$.to[-1]", values=("root",)), {"to": ["a", "root"]}, {"to": ["root", "a"]}),
        (of("$['a b'][0,'x']", values=(1,)), {"a b": {"x": 1}}, {"a b": {"y": 1}}),
        (of("$", patterns=("drop table",)), {"sql": "drop table x"}, {"sql": "select 1"}),
    ],
)  # fmt: skip
def test_what_stands_at_a_path_is_found(check: Check, bad: Any, good: Any) -> None:
    assert found(check, bad) and found(check, good, bad) and not found(check, good)
    assert found(check, bad, bad, every=True) and not found(check, bad, good, every=True)
    assert not found(check, every=True) and not found(check)


def test_only_the_tools_that_are_named_are_looked_at() -> None:
    check = of("$.amount", above=5, names=("pay", "refund_*"))
    assert found(check, {"amount": 9}) and found(check, {"amount": 9}, name="refund_all")
    assert not found(check, {"amount": 9}, name="quote") and not found(check, "free text", name="quote")
    assert not found(check, {"amount": 9}, name="quote", every=True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("free text", "no-json"),
        ('{"amount":1', "no-json"),
        ('{"amount": NaN}', "no-json"),
        ("[" * 5_000 + "]" * 5_000, "no-json"),
        ('{"amount": 1, "amount": 9}', "told-twice"),
        ('{"a": {"x": 1, "\\u0078": 9}}', "told-twice"),
        ('{"amount": "9 EUR"}', "no-number"),
        ('{"amount": "nan"}', "no-number"),
        ('{"amount": 1e999}', "no-number"),
        ('{"amount": [9]}', "no-number"),
        ('{"amount": true}', "no-number"),
        (json.dumps({"amount": 1, "x": "y" * LARGEST}), "too-large"),
    ],
)
def test_what_cannot_be_told_is_an_exception_and_no_pass(arguments: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        found(of("$.amount", above=5), arguments)
    assert found(of("$.amount", above=5), arguments, {"amount": 9})  # another call is found all the same


def test_a_path_that_visits_all_of_a_document_has_a_bound() -> None:
    wide = {"items": [0] * MOST_NODES}
    for path in ("$.items[*]", "$..price", "$.items[0:]"):
        with pytest.raises(Unreadable, match="too-many"):
            found(of(path, above=5), wide)
    assert found(of("$.items[0]", below=1), wide)
    deep: dict[str, Any] = {}
    for _ in range(150):
        deep = {"a": deep}
    with pytest.raises(Unreadable, match="too-deep"):
        found(of("$..price", above=5), deep)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "is a JSON path of at most"),
        ("amount", "begins with [$]"),
        ("$.", "begins with"),
        ("$.a b", "begins with"),
        ("$.a | $.b", "begins with"),
        ("$[?@.price > 5]", "filters"),
        ("$..a..b", "at most one"),
        ("$[*,*][*,*]", "twice"),
        ("$[0,*]", "names and numbers only"),
        ("$" + ".a" * 21, "at most 20 steps"),
        ("$." + "a" * 300, "at most 300 characters"),
        ("$" + "[" * 250, "begins with"),
        ("$.x~", "begins with"),
    ],
)
def test_a_path_that_is_wrong_or_could_run_long_is_refused_in_words(path: str, said: str) -> None:
    import re

    assert re.search(said, str(Check("arguments", path=path).wrong()))


@pytest.mark.parametrize(
    "more",
    [{"above": float("inf")}, {"values": ({},)}, {"values": ([],)}, {"names": ("",)}, {"patterns": ("(",)},
     {"patterns": ("(?=a)",)}],
)  # fmt: skip
def test_conditions_are_checked_when_they_are_made(more: dict[str, Any]) -> None:
    assert Check("arguments", path="$.a", **more).wrong() is not None


def event(**told: Any) -> bytes:
    return f"event: {told['type']}\ndata: {json.dumps(told)}\n\n".encode() if "type" in told else chunk(told)


def chunk(told: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(told).encode() + b"\n\n"


def chat(amount: int, stream: bool) -> Canned:
    arguments = json.dumps({"amount": amount})
    call = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": arguments}}
    if not stream:
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return Canned([json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
                                   "choices": [choice]}).encode()])  # fmt: skip
    first = {"index": 0, **call, "function": {"name": "pay", "arguments": ""}}
    deltas = [{"role": "assistant", "tool_calls": [first]}] + [
        {"tool_calls": [{"index": 0, "function": {"arguments": one}}]} for one in arguments
    ]
    base = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [chunk({**base, "choices": [{"index": 0, "delta": one}]}) for one in deltas]
    return Canned([*chunks, b"data: [DONE]\n\n"], headers=STREAM)


def responses(amount: int, stream: bool, whole: bool = True) -> Canned:
    arguments = json.dumps({"amount": amount})
    item = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "pay", "status": "completed",
            "arguments": arguments}  # fmt: skip
    body = {"id": "r1", "object": "response", "created_at": 1, "model": "m", "output": [item], "status": "completed",
            "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "error": None}  # fmt: skip
    if not stream:
        return Canned([json.dumps(body).encode()])
    begun = {**item, "arguments": "", "status": "in_progress"}
    events = [event(type="response.created", response={**body, "output": [], "status": "in_progress"}),
              event(type="response.output_item.added", output_index=0, item=begun)]  # fmt: skip
    events += [
        event(type="response.function_call_arguments.delta", item_id="f1", output_index=0, delta=one)
        for one in arguments
    ]
    if whole:
        events += [event(type="response.output_item.done", output_index=0, item=item),
                   event(type="response.completed", response=body)]  # fmt: skip
    return Canned(events, headers=STREAM)


def messages(amount: int, stream: bool) -> Canned:
    usage = {"input_tokens": 1, "output_tokens": 1}
    body = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
            "stop_sequence": None, "usage": usage}  # fmt: skip
    use = {"type": "tool_use", "id": "t1", "name": "pay"}
    if not stream:
        return Canned([json.dumps({**body, "content": [{**use, "input": {"amount": amount}}]}).encode()])
    parts = [event(type="message_start", message={**body, "content": [], "stop_reason": None}),
             event(type="content_block_start", index=0, content_block={**use, "input": {}})]  # fmt: skip
    parts += [
        event(type="content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": one})
        for one in json.dumps({"amount": amount})
    ]
    parts += [event(type="content_block_stop", index=0),
              event(type="message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage=usage),
              event(type="message_stop")]  # fmt: skip
    return Canned(parts, headers=STREAM)


def by_chat(house: House, stream: bool) -> str:
    client = openai.OpenAI(base_url=house.url + "/v1", api_key=KEY, max_retries=0)
    asked: list[Any] = [{"role": "user", "content": "pay"}]
    if not stream:
        made = client.chat.completions.create(model="m", messages=asked).choices[0].message.tool_calls
        return str(made[0].function.arguments) if made else ""  # type: ignore[union-attr]
    deltas = [one.choices[0].delta for one in client.chat.completions.create(model="m", messages=asked, stream=True)]
    parts = [call.function.arguments for one in deltas for call in one.tool_calls or [] if call.function]
    return "".join(part or "" for part in parts)


def by_responses(house: House, stream: bool) -> str:
    client = openai.OpenAI(base_url=house.url + "/v1", api_key=KEY, max_retries=0)
    if not stream:
        return str(client.responses.create(model="m", input="pay").output[0].arguments)  # type: ignore[union-attr]
    with client.responses.stream(model="m", input="pay") as events:
        return str(events.get_final_response().output[0].arguments)  # type: ignore[union-attr]


def by_messages(house: House, stream: bool) -> str:
    client = anthropic.Anthropic(base_url=house.url + "/r/letters", api_key=KEY, max_retries=0)
    asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "pay"}]}
    if not stream:
        return json.dumps(client.messages.create(**asked).content[0].input)
    with client.messages.stream(**asked) as events:
        return json.dumps(events.get_final_message().content[0].input)  # type: ignore[union-attr]


LIMIT = 3_141_592_653  # so long that no id and no duration holds it by chance
PROTOCOLS: list[tuple[Callable[[int, bool], Canned], Callable[[House, bool], str]]] = [
    (chat, by_chat), (responses, by_responses), (messages, by_messages),
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("answer", "asks"), PROTOCOLS)
def test_clients_get_the_calls_that_are_allowed_and_no_other(
    gateway_house: House, answer: Callable[[int, bool], Canned], asks: Callable[[House, bool], str], stream: bool
) -> None:
    check = {"kind": "arguments", "names": ["pay"], "path": "$.amount", "above": LIMIT}
    publish(gateway_house, policy("tool-call", "deny", check, "dear", stream="buffer"))
    gateway_house.provider.answer = lambda _: answer(LIMIT, stream)
    assert json.loads(asks(gateway_house, stream)) == {"amount": LIMIT}
    gateway_house.provider.answer = lambda _: answer(LIMIT + 1, stream)
    with pytest.raises((openai.PermissionDeniedError, anthropic.PermissionDeniedError), match="dear"):
        asks(gateway_house, stream)
    assert str(LIMIT + 1) not in str(root_span(gateway_house))
    until(lambda: gateway_house.server.counted("dear", "denied") == 1)


def test_what_is_allowed_ends_the_asking_only_where_every_call_is(gateway_house: House) -> None:
    small = {"kind": "arguments", "path": "$.amount", "values": [1, 2]}
    publish(
        gateway_house,
        policy("tool-call", "allow", small, "small", stream="buffer"),
        policy("tool-call", "deny", {"kind": "always"}, "others", stream="buffer"),
    )
    calls = [{"id": "c", "type": "function", "function": {"name": "pay", "arguments": json.dumps({"amount": one})}}
             for one in (1, 2, 3)]  # fmt: skip

    def answer(count: int) -> Canned:
        return Canned([json.dumps({"choices": [{"index": 0, "message": {"tool_calls": calls[:count]}}]}).encode()])

    gateway_house.provider.answer = lambda _: answer(2)
    assert ask(gateway_house)[0] == 200
    gateway_house.provider.answer = lambda _: answer(3)
    assert ask(gateway_house)[1]["afterlaunch-policy"] == "others"


def test_arguments_that_cannot_be_read_follow_the_fail_mode(gateway_house: House) -> None:
    check = {"kind": "arguments", "path": "$.amount", "above": 500}
    call = {"id": "c", "type": "function", "function": {"name": "pay", "arguments": '{"amount": 1, "amount": 900}'}}
    answer = json.dumps({"choices": [{"index": 0, "message": {"tool_calls": [call]}}]}).encode()
    gateway_house.provider.answer = lambda _: Canned([answer])
    publish(gateway_house, policy("tool-call", "deny", check, stream="buffer"))
    status, said, _ = ask(gateway_house)
    assert (status, said["afterlaunch-reason"]) == (503, "guard-failed")
    publish(gateway_house, policy("tool-call", "deny", check, stream="buffer", fail="open"))
    assert ask(gateway_house)[2] == answer
    assert root_span(gateway_house)["afterlaunch.guard.exceptions"] == ["p: told-twice"]


CALLED = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function",
          "function": {"name": "pay", "arguments": '{"amount": 900}'}}]}  # fmt: skip
RESULT = {"role": "tool", "tool_call_id": "1", "content": "paid"}
USED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "pay", "input": {"amount": 900}}]}
ITEM = {"type": "function_call", "call_id": "1", "name": "pay", "arguments": '{"amount": 900}'}
GIVEN = {"type": "function_call_output", "call_id": "1", "output": "paid"}
ASKED = {"role": "user", "content": "pay"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", {"messages": [ASKED, CALLED, RESULT]}, 423),
        ("/v1/chat/completions", {"messages": [ASKED, CALLED, RESULT, {"role": "user", "content": "go on"}]}, 423),
        ("/v1/chat/completions", {"messages": [ASKED, CALLED, RESULT, {"role": "assistant", "content": "done"}, ASKED]},
         200),
        ("/v1/chat/completions", {"messages": [{"role": "assistant", "function_call": ITEM}, RESULT]}, 423),
        ("/r/letters/v1/messages",
         {"messages": [ASKED, USED, {"role": "user", "content": [{"type": "tool_result", "content": "x"}]}]}, 423),
        ("/v1/responses", {"input": [ASKED, ITEM, GIVEN]}, 423),
        ("/v1/responses", {"input": [ASKED, ITEM, GIVEN, {"role": "assistant", "content": "x"}, ITEM, GIVEN]}, 423),
        ("/v1/responses", {"input": [ASKED, ITEM, GIVEN, {"role": "user", "content": "thanks"}]}, 200),
        ("/v1/responses", {"input": "pay"}, 200),
    ],
)  # fmt: skip
def test_a_person_is_asked_about_the_last_calls_that_a_request_tells(
    gateway_house: House, path: str, body: dict[str, Any], status: int
) -> None:
    approval = {"queue": "desk", "fallback": "deny"}
    check = {"kind": "arguments", "names": ["pay"], "path": "$.amount", "above": 500}
    publish(gateway_house, policy("request", "hold", check, approval=approval))
    assert ask(gateway_house, body, path)[0] == status


def test_a_request_that_tells_a_call_twice_is_an_exception() -> None:
    twice = b'{"messages":[{"role":"assistant","tool_calls":[]}],"messages":[]}'
    with pytest.raises(Unreadable, match="told-twice"):
        checks.seen_of_request(of("$.a"), "request", Request(twice))


def test_calls_are_read_of_streams_that_were_cut_and_of_the_old_form() -> None:
    cut = b"".join(responses(900, True, whole=False).chunks)
    assert read_stream(cut, RESPONSES).calls == [("pay", '{"amount": 900}')]
    whole_at_once = event(type="content_block_start", index=0,
                          content_block={"type": "tool_use", "name": "pay", "input": {"amount": 900}})  # fmt: skip
    (call,) = read_stream(whole_at_once, MESSAGES).calls
    assert call.name == "pay" and json.loads(call.arguments) == {"amount": 900}
    old = {"choices": [{"index": 0, "message": {"function_call": {"name": "pay", "arguments": "{}"}}}]}
    assert read_json(json.dumps(old).encode(), CHAT).calls == [("pay", "{}")]
