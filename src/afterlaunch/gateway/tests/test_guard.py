"""What policies of a route let through, change, hold back, cut and count."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import anthropic
import openai
import pytest

from afterlaunch.contracts.budgets import Budget
from afterlaunch.contracts.guard import Policy
from afterlaunch.contracts.plain import made
from afterlaunch.gateway.guarding.judging import ROOM
from afterlaunch.gateway.tests.house import KEY, Canned, House, attributes, running, snapshot_of, until
from afterlaunch.gateway.tests.test_forwarding import STREAM, call
from afterlaunch.ground.settings import reload

MAIL = "write to jane.doe@example.org today"
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": MAIL}]}
Guarded = Callable[..., House]


def policy(where: str, action: str, check: dict[str, Any], name: str = "p", **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "where": where, "action": action, "check": check, "fail": "closed", **more}


def publish(house: House, *policies: dict[str, Any]) -> None:
    epoch = house.gateway.holder.epoch + 1
    base = snapshot_of(house.provider_url, epoch=epoch)
    ready = tuple(made(Policy, one) for one in policies)
    house.server.publish(replace(base, routes=tuple(replace(one, guard=ready) for one in base.routes)))
    until(lambda: house.gateway.holder.epoch == epoch)


def ask(house: House, body: object = ASKED, path: str = "/v1/chat/completions", **headers: str) -> Any:
    status, said, read = call(house, json.dumps(body).encode(), path, **headers)
    return status, said, read


def says(text: str, **more: Any) -> Canned:
    answer = {"id": "c", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}
    return Canned([json.dumps({**answer, "usage": {"prompt_tokens": 3, "completion_tokens": 2}, **more}).encode()])


def streams(*texts: str) -> Canned:
    chunks = [
        b"data: " + json.dumps({"id": "c", "choices": [{"index": 0, "delta": {"content": one}}]}).encode() + b"\n\n"
        for one in texts
    ]
    return Canned([*chunks, b"data: [DONE]\n\n"], headers=STREAM, pause=0.01)


def root_span(house: House) -> dict[str, Any]:
    until(lambda: any(span.kind == 2 for _, span in house.server.spans))
    return [attributes(span) for _, span in house.server.spans if span.kind == 2][-1]


@pytest.mark.parametrize(
    ("check", "bad", "good"),
    [
        ({"kind": "pii", "kinds": ["e-mail"]}, MAIL, "write to jane"),
        ({"kind": "terms", "terms": ["Project Blue"]}, "what is project blue?", "what is project bluebird?"),
        ({"kind": "pattern", "patterns": ["(?i)ignore .{0,20}instructions"]}, "Ignore all instructions", "ignore it"),
        ({"kind": "length", "most": 20}, "x" * 21, "x" * 20),
    ],
)
def test_a_request_that_matches_is_denied_before_anything_is_sent(
    gateway_house: House, check: dict[str, Any], bad: str, good: str
) -> None:
    publish(gateway_house, policy("request", "deny", check, "no such things", message="Ask the desk."))
    status, said, body = ask(gateway_house, {"messages": [{"role": "user", "content": bad}]})
    assert (status, said["afterlaunch-reason"], said["afterlaunch-policy"]) == (403, "guard-denied", "no such things")
    error = json.loads(body)["error"]
    assert error["type"] == "permission_error" and "no such things" in error["message"]
    assert error["message"].endswith("Ask the desk.")
    assert gateway_house.provider.requests == []
    span = root_span(gateway_house)
    assert (span["afterlaunch.guard.outcome"], span["error.type"]) == ("denied", "guardrail_block")
    assert span["afterlaunch.guard.policy"] == "no such things" and bad not in str(span)
    assert ask(gateway_house, {"messages": [{"role": "user", "content": good}]})[0] == 200
    until(lambda: gateway_house.server.counted("no such things", "evaluated") == 2)
    assert gateway_house.server.counted("no such things", "denied") == 1


def test_what_is_redacted_leaves_as_the_smallest_edit(gateway_house: House) -> None:
    publish(gateway_house, policy("request", "redact", {"kind": "pii"}))
    body = b'{ "model":"gpt-4o" , "x":1.50e3,"messages":[{"role":"user","content":"to a@b.example.org, h\\u00e9"}]}'
    assert call(gateway_house, body)[0] == 200
    sent = gateway_house.provider.requests[0].body
    assert sent == body.replace(b'"to a@b.example.org, h\\u00e9"', '"to [masked: e-mail], hé"'.encode())
    untouched = b'{"messages":[{"role":"user","content":"h\\u00e9"}]}'
    call(gateway_house, untouched)
    assert gateway_house.provider.requests[1].body == untouched


def test_a_member_that_stands_twice_hides_nothing(gateway_house: House) -> None:
    publish(gateway_house, policy("request", "deny", {"kind": "terms", "terms": ["blue"]}))
    twice = b'{"messages":[{"role":"user","content":"blue"}],"messages":[{"role":"user","content":"red"}]}'
    assert call(gateway_house, twice)[0] == 403
    publish(gateway_house, policy("request", "deny", {"kind": "models", "names": ["gpt-4o*"]}))
    assert call(gateway_house, b'{"model":"gpt-4o-mini"}')[0] == 200
    assert call(gateway_house, b'{"model":"o1","model":"gpt-4o"}')[0] == 403


def test_tools_that_are_offered_or_given_back_are_told_apart(gateway_house: House) -> None:
    publish(
        gateway_house,
        policy("request", "deny", {"kind": "tools", "names": ["lookup", "search_*"]}, "tools"),
        policy("tool-result", "deny", {"kind": "terms", "terms": ["secret"]}, "results"),
    )
    offered = {"tools": [{"type": "function", "function": {"name": "search_docs", "description": "secret"}}]}
    assert ask(gateway_house, offered)[0] == 200
    assert ask(gateway_house, {"tools": [{"type": "web_search"}]})[1]["afterlaunch-policy"] == "tools"
    said = {"messages": [{"role": "user", "content": "secret"}]}
    given = {"messages": [{"content": "a secret", "role": "tool", "tool_call_id": "1"}]}
    assert ask(gateway_house, said)[0] == 200
    assert ask(gateway_house, given)[1]["afterlaunch-policy"] == "results"
    result = {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "secret"}]}]}
    assert ask(gateway_house, {"messages": [result]}, "/r/letters/v1/messages")[0] == 403


def test_observing_counts_and_an_allowed_one_is_asked_nothing_more(gateway_house: House) -> None:
    terms = {"kind": "terms", "terms": ["blue"]}
    publish(gateway_house, policy("request", "deny", terms, "seen", mode="observe"))
    assert ask(gateway_house, {"messages": [{"role": "user", "content": "blue"}]})[0] == 200
    assert root_span(gateway_house)["afterlaunch.guard.matched"] == ["seen: observe (a blocked term)"]
    until(lambda: gateway_house.server.counted("seen", "observed") == 1)
    publish(
        gateway_house,
        policy("request", "allow", {"kind": "always"}, "trusted", tenants=["t1"]),
        policy("request", "deny", terms, "others", bypasses=[{"who": "agent", "value": "ops", "until": 4e9}]),
    )
    blue = {"messages": [{"role": "user", "content": "blue"}]}
    assert ask(gateway_house, blue, afterlaunch_tenant="t1")[0] == 200
    assert ask(gateway_house, blue, afterlaunch_tenant="t2")[0] == 403
    assert ask(gateway_house, blue, afterlaunch_agent="ops")[0] == 200
    until(lambda: gateway_house.server.counted("others", "bypassed") == 1)


@pytest.mark.parametrize("body", [b"--boundary\r\nform", b"[[[", b'{"a":"' + b"x" * (4 << 20) + b'"}'])
def test_a_request_that_cannot_be_read_follows_the_fail_mode_and_is_counted(gateway_house: House, body: bytes) -> None:
    check = {"kind": "terms", "terms": ["blue"]}
    publish(gateway_house, policy("request", "deny", check, "strict"))
    status, said, _ = call(gateway_house, body, "/v1/files")
    assert (status, said["afterlaunch-reason"], said["retry-after"]) == (503, "guard-failed", "5")
    publish(gateway_house, policy("request", "deny", check, "lenient", fail="open"))
    assert call(gateway_house, body, "/v1/files")[0] == 200
    until(lambda: gateway_house.server.counted("lenient", "exceptions") == 1)
    assert gateway_house.server.counted("strict", "exceptions") == 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_held_back_until_it_has_been_checked(gateway_house: House, stream: bool) -> None:
    publish(gateway_house, policy("response", "deny", {"kind": "pii"}, "nothing personal", stream="buffer"))
    answer = streams("jane.doe@", "exam", "ple.org") if stream else says(MAIL)
    gateway_house.provider.answer = lambda _: answer
    status, said, body = ask(gateway_house, {**ASKED, "stream": stream})
    assert (status, said["afterlaunch-reason"]) == (403, "guard-denied") and b"jane" not in body
    until(lambda: gateway_house.server.attempts())
    attempt = gateway_house.server.attempts()[0]
    assert attempt["afterlaunch.call_state"] == "complete"  # the provider did its work, and is paid
    assert attempt["afterlaunch.guard.policy"] == "nothing personal"
    good = streams("all ", "well") if stream else says("all well")
    gateway_house.provider.answer = lambda _: good
    assert ask(gateway_house, {**ASKED, "stream": stream})[2] == b"".join(good.chunks)


def test_an_answer_is_redacted_also_where_a_stream_cuts_it_in_pieces(gateway_house: House) -> None:
    publish(gateway_house, policy("response", "redact", {"kind": "pii"}, stream="buffer"))
    gateway_house.provider.answer = lambda _: says(MAIL)
    _, said, body = ask(gateway_house)
    assert json.loads(body)["choices"][0]["message"]["content"] == "write to [masked: e-mail] today"
    assert int(said["content-length"]) == len(body)
    gateway_house.provider.answer = lambda _: streams("to jane.d", "oe@example.o", "rg now")
    chunks = [
        json.loads(line[6:]) for line in ask(gateway_house, {**ASKED, "stream": True})[2].splitlines()[:-2] if line
    ]
    texts = [one["choices"][0]["delta"]["content"] for one in chunks]
    assert texts == ["to [masked: e-mail] now", "", ""]


def test_what_is_held_back_costs_no_memory_when_it_is_over(gateway_house: House) -> None:
    publish(gateway_house, policy("response", "deny", {"kind": "pii"}, stream="buffer"))
    broken = replace(streams("half an ", "answer"), cut=True, headers=[*STREAM, (b"content-length", b"9999")])
    for answer, status in ((broken, 502), (says(MAIL), 403), (says("fine"), 200)):
        gateway_house.provider.answer = lambda _, answer=answer: answer  # type: ignore[misc]
        assert ask(gateway_house, {**ASKED, "stream": True})[0] == status
    until(lambda: gateway_house.gateway._guarding.room == ROOM)


def test_a_watched_stream_is_cut_at_a_match_in_the_callers_own_words(gateway_house: House) -> None:
    publish(gateway_house, policy("response", "deny", {"kind": "terms", "terms": ["blue"]}, "no blue", stream="watch"))
    gateway_house.provider.answer = lambda _: streams("sky is ", "bl", "ue ", "and wide", *["more"] * 300)
    client = openai.OpenAI(base_url=gateway_house.url + "/v1", api_key=KEY, max_retries=0)
    texts: list[str] = []
    with pytest.raises(openai.APIError, match="no blue"):
        found = client.chat.completions.create(**ASKED, stream=True)  # type: ignore[call-overload]
        texts.extend(chunk.choices[0].delta.content for chunk in found)
    assert texts == ["sky is ", "bl"]
    until(lambda: gateway_house.provider.aborted == 1)
    until(lambda: gateway_house.server.attempts())
    attempt = gateway_house.server.attempts()[0]
    assert (attempt["afterlaunch.call_state"], attempt["error.type"]) == ("refused", "guardrail_block")
    assert attempt["afterlaunch.usage_state"] == "estimated"
    assert root_span(gateway_house)["afterlaunch.guard.outcome"] == "cut"


def test_a_window_holds_the_end_of_a_stream_back(gateway_house: House) -> None:
    terms = {"kind": "terms", "terms": ["blue"]}
    publish(gateway_house, policy("response", "deny", terms, stream="watch", window=4))
    gateway_house.provider.answer = lambda _: streams("the sky ", "is bl", "ue ", "x")
    body = ask(gateway_house, {**ASKED, "stream": True})[2]
    assert b"the sky" in body and b"is bl" not in body and b"guard-denied" in body and b"[DONE]" not in body
    fine = streams("the sky ", "is green", "!")
    gateway_house.provider.answer = lambda _: fine
    assert ask(gateway_house, {**ASKED, "stream": True})[2] == b"".join(fine.chunks)


def test_an_anthropic_stream_ends_with_its_own_error_event(gateway_house: House) -> None:
    publish(gateway_house, policy("response", "deny", {"kind": "terms", "terms": ["blue"]}, "no blue", stream="watch"))
    start = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [],
             "model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}}}  # fmt: skip
    events: list[dict[str, Any]] = [
        start,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    events += [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": one}}
        for one in ("sky ", "is ", "blue", " now", "and then")
    ]
    lines = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events]
    gateway_house.provider.answer = lambda _: Canned(lines, headers=STREAM, pause=0.01)
    client = anthropic.Anthropic(base_url=gateway_house.url + "/r/letters", api_key=KEY, max_retries=0)
    texts = []
    with (
        pytest.raises(anthropic.APIStatusError, match="no blue"),
        client.messages.stream(model="c", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as stream,
    ):
        texts += list(stream.text_stream)
    assert "blue" not in "".join(texts)


def test_an_answer_must_fit_its_schema(gateway_house: House) -> None:
    schema = {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}
    publish(gateway_house, policy("response", "deny", {"kind": "schema", "schema": schema}, "invoice", stream="buffer"))
    for text, status in (('{"total": 3}', 200), ('{"total": "3"}', 403), ("three", 403)):
        gateway_house.provider.answer = lambda _, text=text: says(text)  # type: ignore[misc]
        assert ask(gateway_house)[0] == status
        gateway_house.provider.answer = lambda _, text=text: streams(*text)  # type: ignore[misc]
        assert ask(gateway_house, {**ASKED, "stream": True})[0] == status


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("second", "status"), [("fine", 200), ("blue again", 403)])
def test_the_model_is_asked_once_more_before_an_answer_is_denied(
    gateway_house: House, stream: bool, second: str, status: int
) -> None:
    check = {"kind": "terms", "terms": ["blue"]}
    publish(gateway_house, policy("response", "deny", check, stream="buffer", again=True))
    texts, said = ["project blue", second], says if not stream else streams
    gateway_house.provider.answer = lambda _: said(texts.pop(0))
    answered, told, body = ask(gateway_house, {**ASKED, "stream": stream})
    assert answered == status and not texts and (b"fine" in body) == (status == 200)
    assert told.get("afterlaunch-reason") == (None if status == 200 else "guard-denied")
    span = root_span(gateway_house)
    assert span["afterlaunch.guard.outcome"] == ("passed" if status == 200 else "denied")
    until(lambda: len([1 for _, one in gateway_house.server.spans if one.kind == 3]) == 2)
    attempts = [attributes(one) for _, one in gateway_house.server.spans if one.kind == 3]
    assert {one["afterlaunch.attempt"] for one in attempts} == {1, 2}
    counted = gateway_house.server.counted
    until(lambda: (counted("p", "retried"), counted("p", "denied")) == (1, 0 if status == 200 else 1))


def test_where_the_model_cannot_be_asked_once_more_the_denial_stands(gateway_house: House) -> None:
    check = {"kind": "terms", "terms": ["blue"]}
    publish(gateway_house, policy("response", "deny", check, stream="buffer", again=True))
    epoch = gateway_house.gateway.holder.epoch + 1
    one_call = Budget("b1", "one call", {}, "requests", 1, "day")
    base = gateway_house.gateway.holder.current
    assert base is not None
    gateway_house.server.publish(replace(base.snapshot, epoch=epoch, budgets=(one_call,)))
    until(lambda: gateway_house.gateway.holder.epoch == epoch)
    gateway_house.provider.answer = lambda _: says("project blue")
    status, told, _ = ask(gateway_house)
    assert (status, told["afterlaunch-reason"]) == (403, "guard-denied")
    assert root_span(gateway_house)["afterlaunch.guard.outcome"] == "denied"


def test_a_policy_that_only_flags_holds_nothing_back(gateway_house: House) -> None:
    check = {"kind": "pattern", "patterns": ["^Sources:"], "must_match": True}
    publish(gateway_house, policy("response", "flag", check, "cites", fail="open"))
    answer = streams("no ", "sources")
    gateway_house.provider.answer = lambda _: answer
    assert ask(gateway_house, {**ASKED, "stream": True})[2] == b"".join(answer.chunks)
    until(lambda: gateway_house.server.counted("cites", "flagged") == 1)
    assert root_span(gateway_house)["afterlaunch.guard.outcome"] == "passed"


class Judging:
    """A service that a check asks."""

    def __init__(self) -> None:
        self.answer, self.status, self.pause = b'{"allow": false}', 200, 0.0
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        import asyncio

        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.asked.append(json.loads(body))
        await asyncio.sleep(self.pause)
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.answer})


@pytest.fixture
def judging(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Judging, str]]:
    monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.0/8")
    reload()
    service = Judging()
    with running(service) as url:
        yield service, url
    monkeypatch.undo()
    reload()


def test_a_service_of_ones_own_is_asked_within_its_deadline(judging: tuple[Judging, str], gateway_house: House) -> None:
    service, url = judging
    check = {"kind": "http", "url": url + "/judge", "deadline": 0.3}
    publish(gateway_house, policy("response", "deny", check, "ours", stream="buffer"))
    gateway_house.provider.answer = lambda _: says("hello")
    assert ask(gateway_house)[0] == 403
    assert service.asked[0]["texts"] == ["hello"] and service.asked[0]["policy"] == "ours"
    service.answer = b'{"allow": true}'
    assert ask(gateway_house)[0] == 200
    for answer, status, pause in ((b"yes", 200, 0), (b'{"allow": true}', 500, 0), (b'{"allow": true}', 200, 1.0)):
        service.answer, service.status, service.pause = answer, status, pause
        found, said, _ = ask(gateway_house)
        assert (found, said["afterlaunch-reason"], said["x-should-retry"]) == (503, "guard-failed", "false")
    publish(gateway_house, policy("response", "deny", check, "lenient", stream="buffer", fail="open"))
    assert ask(gateway_house)[0] == 200
    until(lambda: gateway_house.server.counted("lenient", "exceptions") == 1)
    assert gateway_house.server.counted("ours", "exceptions") == 3


def hold(**more: Any) -> dict[str, Any]:
    approval = {"queue": "desk", "fallback": "deny", **more}
    return policy("request", "hold", {"kind": "terms", "terms": ["refund"]}, "refunds", approval=approval)


REFUND = {"model": "m", "messages": [{"role": "user", "content": "refund 900"}]}


def test_a_held_request_is_answered_at_once_and_passes_once_when_approved(gateway_house: House) -> None:
    publish(gateway_house, hold())
    for _ in range(2):
        status, said, body = ask(gateway_house, REFUND)
        assert (status, said["afterlaunch-reason"], said["afterlaunch-hold"]) == (423, "held", "1")
        assert "desk" in json.loads(body)["error"]["message"]
    (held,) = gateway_house.server.holds
    assert json.loads(held["content"]) == REFUND and held["key"] == "k1"
    held["state"] = "approved"
    assert ask(gateway_house, REFUND)[0] == 200
    assert ask(gateway_house, REFUND)[1]["afterlaunch-hold"] == "2"
    gateway_house.server.holds[1] |= {"state": "denied", "reason": "not {this} one"}
    status, _, body = ask(gateway_house, REFUND)
    assert status == 403 and "not {this} one" in json.loads(body)["error"]["message"]
    assert len(gateway_house.provider.requests) == 1


def test_a_call_may_wait_for_its_decision(gateway_house: House) -> None:
    import threading

    publish(gateway_house, hold(wait=8))
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(ask(gateway_house, REFUND)[0]))
    thread.start()
    until(lambda: gateway_house.server.holds)
    gateway_house.server.holds[0]["state"] = "approved"
    thread.join(10)
    assert found == [200] and gateway_house.server.holds[0]["taken"]


def test_nobody_answering_is_followed_by_the_stated_fallback(gateway_house: House) -> None:
    publish(gateway_house, hold())
    ask(gateway_house, REFUND)
    held = gateway_house.server.holds[0]
    held["state"] = "expired"
    assert ask(gateway_house, REFUND)[1]["afterlaunch-reason"] == "hold-expired"
    held["fallback"] = "allow"
    assert ask(gateway_house, REFUND)[0] == 200


def test_guarded_answers_are_remembered_as_they_passed(gateway_house: House) -> None:
    from afterlaunch.contracts.handling import Handling

    publish(gateway_house, policy("response", "redact", {"kind": "pii"}, stream="buffer"))
    snapshot = gateway_house.server.snapshot
    assert snapshot is not None
    epoch = snapshot.epoch + 1
    routes = tuple(replace(one, handling=Handling(cache_seconds=60)) for one in snapshot.routes)
    gateway_house.server.publish(replace(snapshot, epoch=epoch, routes=routes))
    until(lambda: gateway_house.gateway.holder.epoch == epoch)
    gateway_house.provider.answer = lambda _: says(MAIL)
    first, again = ask(gateway_house), ask(gateway_house)
    assert again[1]["afterlaunch-cache"] == "hit" and first[2] == again[2] and b"jane" not in again[2]
