"""Servers that speak OpenAI's protocol in their own way: vLLM, Ollama, llama.cpp. Bodies as their sources write them
(vLLM: vllm/entrypoints/openai; Ollama: openai/openai.go, middleware/openai.go; llama-cpp-python: llama_cpp/server)."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from afterlaunch.gateway.failures import CONTEXT, of_answer
from afterlaunch.gateway.tests.house import KEY, Canned, House, snapshot_of, until
from afterlaunch.gateway.tests.test_forwarding import STREAM
from afterlaunch.gateway.tests.test_guard import ask, policy, publish

ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
VLLM = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "Qwen/Qwen3-8B"}
OLLAMA = {**VLLM, "model": "qwen3", "system_fingerprint": "fp_ollama"}


def chunk(base: dict[str, Any], delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return sse({**base, "choices": [choice], **more})


def sse(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def usage(given: int, made: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": given, "total_tokens": given + made, "completion_tokens": made, **more}


DONE = b"data: [DONE]\n\n"
CONTINUOUS = [
    chunk(VLLM, {"role": "assistant", "content": ""}, usage=usage(11, 0)),
    chunk(VLLM, {"reasoning_content": "Let me"}, usage=usage(11, 2)),
    chunk(VLLM, {"content": "po"}, usage=usage(11, 3)),
    chunk(VLLM, {"content": "ng"}, "stop", stop_reason=None, usage=usage(11, 4)),
]
LAST = sse({**VLLM, "choices": [], "usage": usage(11, 4, prompt_tokens_details=None)})


def last_attempt(house: House, count: int = 1) -> dict[str, Any]:
    until(lambda: len(house.server.attempts()) == count)
    return house.server.attempts()[-1]


def test_vllm_tells_usage_with_every_chunk_and_the_last_counts(gateway_house: House) -> None:
    stream = [*CONTINUOUS, LAST, DONE]
    gateway_house.provider.answer = lambda _: Canned(stream, headers=STREAM)
    options = {"include_usage": True, "continuous_usage_stats": True}
    _, _, read = ask(gateway_house, {**ASKED, "stream": True, "stream_options": options})
    assert read == b"".join(stream)
    assert json.loads(gateway_house.provider.requests[0].body)["stream_options"] == options
    told = last_attempt(gateway_house)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (11, 4)
    assert (told["afterlaunch.usage_state"], told["afterlaunch.call_state"]) == ("exact", "complete")


def test_the_usage_of_a_stream_that_was_cut_is_not_that_of_its_last_word(gateway_house: House) -> None:
    gateway_house.provider.answer = lambda _: Canned(CONTINUOUS[:3], headers=STREAM)
    options = {"include_usage": True, "continuous_usage_stats": True}
    ask(gateway_house, {**ASKED, "stream": True, "stream_options": options})
    told = last_attempt(gateway_house)
    assert (told["afterlaunch.call_state"], told["afterlaunch.usage_state"]) == ("upstream-cut", "estimated")


def test_a_caller_who_did_not_ask_gets_no_usage_of_vllm(gateway_house: House) -> None:
    plain = [chunk(VLLM, {"content": "pong"}), chunk(VLLM, {}, "stop", stop_reason=None)]
    gateway_house.provider.answer = lambda _: Canned([*plain, LAST, DONE], headers=STREAM)
    assert ask(gateway_house, {**ASKED, "stream": True})[2] == b"".join([*plain, DONE])
    assert json.loads(gateway_house.provider.requests[0].body)["stream_options"] == {"include_usage": True}
    assert last_attempt(gateway_house)["gen_ai.usage.output_tokens"] == 4


@pytest.mark.parametrize("told", [{"usage": None}, {}, {"usage": {}}])
def test_a_server_that_tells_no_usage_is_estimated_and_marked(gateway_house: House, told: dict[str, Any]) -> None:
    """llama-cpp-python tells none in streams, whatever is asked; others tell null."""
    stream = [chunk(OLLAMA, {"content": "po"}, **told), chunk(OLLAMA, {"content": "ng"}, "stop", **told)]
    gateway_house.provider.answer = lambda _: Canned([*stream, DONE], headers=STREAM)
    assert ask(gateway_house, {**ASKED, "stream": True})[2] == b"".join([*stream, DONE])
    seen = last_attempt(gateway_house)
    assert (seen["afterlaunch.usage_state"], seen["afterlaunch.call_state"]) == ("estimated", "complete")


def test_ollama_tells_usage_and_thoughts_and_its_prefix_may_be_in_the_address(gateway_house: House) -> None:
    message = {"role": "assistant", "content": "pong", "reasoning": "They want a pong."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {**OLLAMA, "object": "chat.completion", "choices": [choice], "usage": usage(9, 6)}
    gateway_house.provider.answer = lambda _: Canned([json.dumps(body).encode()])
    publish(gateway_house, policy("response", "deny", {"kind": "length", "most": 4}, stream="buffer"))
    client = openai.OpenAI(base_url=gateway_house.url + "/v1", api_key=KEY, max_retries=0)
    answer = client.chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "pong" and answer.usage is not None and answer.usage.total_tokens == 15
    assert last_attempt(gateway_house)["gen_ai.usage.input_tokens"] == 9
    epoch = gateway_house.gateway.holder.epoch + 1
    gateway_house.server.publish(snapshot_of(gateway_house.provider_url + "/v1", epoch=epoch))
    until(lambda: gateway_house.gateway.holder.epoch == epoch)
    assert ask(gateway_house, ASKED)[0] == 200
    assert [one.path for one in gateway_house.provider.requests] == ["/v1/chat/completions"] * 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"object": "error", "message": "m", "type": "BadRequestError", "param": None, "code": 400}),  # older vLLM
        (404, {"error": {"message": "no model", "type": "NotFoundError", "param": None, "code": 404}}),
        (401, {"error": "Unauthorized"}),  # vLLM with --api-key
        (422, {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}),
        (404, {"error": {"message": "no model", "type": "not_found_error", "param": None, "code": None}}),
        (500, {"error": {"message": "invalid", "type": "internal_server_error", "param": None, "code": None}}),
    ],
)  # fmt: skip
def test_errors_pass_as_they_are_and_are_named(gateway_house: House, status: int, body: dict[str, Any]) -> None:
    said = json.dumps(body).encode()
    gateway_house.provider.answer = lambda _: Canned([said], status=status)
    answered, _, read = ask(gateway_house, ASKED)
    assert (answered, read) == (status, said)
    told = last_attempt(gateway_house, len(gateway_house.provider.requests))
    assert told["afterlaunch.call_state"] == "upstream-error" and told["error.type"]


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "engine died", "type": "InternalServerError", "param": None, "code": 500}},
        {"object": "error", "message": "engine died", "type": "InternalServerError", "param": None, "code": 500},
        {"error": "an error was encountered while running the model"},
    ],
)
def test_an_error_within_a_stream_is_one_though_its_end_comes(gateway_house: House, error: dict[str, Any]) -> None:
    stream = [chunk(VLLM, {"content": "po"}), sse(error), DONE]
    gateway_house.provider.answer = lambda _: Canned(stream, headers=STREAM)
    assert ask(gateway_house, {**ASKED, "stream": True})[2] == b"".join(stream)
    assert last_attempt(gateway_house)["afterlaunch.call_state"] == "upstream-error"


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        "the input length exceeds the context length",
        "the request exceeds the available context size, try increasing it",
    ],
)
def test_a_prompt_that_is_too_long_is_told_apart(message: str) -> None:
    found = of_answer(400, [], json.dumps({"error": {"message": message}}).encode())
    assert found is not None and found.kind == CONTEXT
