"""The simulated provider, met by the real SDKs, and compared with what real providers sent."""

import gzip
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import orjson
import pytest
from tests.real_input import real

from afterlaunch.demo.provider import BAD_PROMPT, BAD_TEXT, GOOD_TEXT, REFUSED_TEXT, Provider
from afterlaunch.demo.wire import chat, messages, responses
from afterlaunch.demo.wire.answer import Answer

ASK: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is my order?"}]
ANSWER = Answer(7, "gpt-4o-mini-2024-07-18", GOOD_TEXT, 500, 100, 40, False, 1_760_000_000)


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider(seed=1, trouble=0.0)
    yield made
    made.stop()


@pytest.fixture
def unwell() -> Iterator[Provider]:
    made = Provider(seed=1, trouble=1.0)
    yield made
    made.stop()


def _openai(provider: Provider) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{provider.url}/v1", api_key="sk-demo", max_retries=0)


def _anthropic(provider: Provider) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=provider.url, api_key="sk-demo", max_retries=0)


def test_a_chat_stream_that_asks_for_usage_gets_it_in_a_chunk_of_its_own(provider: Provider) -> None:
    chunks = list(
        _openai(provider).chat.completions.create(
            model="gpt-4o-mini", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said in (GOOD_TEXT, REFUSED_TEXT)
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []


def test_a_chat_stream_that_does_not_ask_gets_none(provider: Provider) -> None:
    chunks = list(_openai(provider).chat.completions.create(model="gpt-4o-mini", messages=ASK, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in ("stop", "content_filter")
    assert provider.streamed == provider.calls == 1 and provider.billed > 0


def test_an_anthropic_stream_adds_up_to_its_message(provider: Provider) -> None:
    with _anthropic(provider).messages.stream(
        model="claude-haiku-4-5", max_tokens=50, system=BAD_PROMPT, messages=[{"role": "user", "content": "Hi"}]
    ) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert {"message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop"} <= set(
        kinds
    )
    assert message.content[0].type == "text" and message.content[0].text in (BAD_TEXT, REFUSED_TEXT)
    assert message.usage.output_tokens >= 700, "the totals of message_delta, not the early count"


def test_refusals_reach_the_sdk_as_the_errors_that_it_knows(unwell: Provider) -> None:
    seen: set[int] = set()
    asks, writes = _openai(unwell), _anthropic(unwell)
    for _ in range(40):
        with pytest.raises(openai.APIStatusError) as caught:
            asks.chat.completions.create(model="gpt-4o-mini", messages=ASK)
        seen.add(caught.value.status_code)
        assert (caught.value.status_code == 429) == ("retry-after" in caught.value.response.headers)
        with pytest.raises(anthropic.APIStatusError) as refused:
            writes.messages.create(
                model="claude-haiku-4-5", max_tokens=50, messages=[{"role": "user", "content": "Hi"}]
            )
        seen.add(refused.value.status_code)
        assert refused.value.request_id
    assert seen == {429, 500, 529}
    assert unwell.billed == 0 and unwell.calls == 0


def _events(stream: str) -> list[dict[str, Any]]:
    return [orjson.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]


def _recorded(provider: str, api: str) -> list[str]:
    with gzip.open(real("data/llm-wire-cassettes/wire.jsonl.gz"), "rt") as lines:
        rows = [orjson.loads(line) for line in lines]
    wanted = [row for row in rows if row["provider"] == provider and row["api"] == api and row["status"] == 200]
    return [row["response_body"] for row in wanted if row["streaming"] and row["response_body_encoding"] == "utf8"]


def test_a_model_that_is_offered_a_tool_calls_it_once(provider: Provider) -> None:
    schema = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}
    function = {"name": "find_order", "parameters": schema}
    asked: dict[str, Any] = {"model": "gpt-4o-mini", "tools": [{"type": "function", "function": function}]}
    first = _openai(provider).chat.completions.create(messages=ASK, **asked).choices[0]
    assert first.finish_reason == "tool_calls" and first.message.tool_calls
    (call,) = first.message.tool_calls
    assert orjson.loads(call.function.arguments) == {"order": "A-17"}
    answered = [*ASK, first.message, {"role": "tool", "tool_call_id": call.id, "content": "on its way"}]
    assert _openai(provider).chat.completions.create(messages=answered, **asked).choices[0].message.content


def test_responses_and_embeddings_are_read_by_the_sdk_and_billed(provider: Provider) -> None:
    client = _openai(provider)
    offered: Any = [{"type": "function", "name": "find_order", "parameters": {}, "strict": False}]
    told = client.responses.create(model="gpt-4o-mini", input="Where is my order?", tools=offered)
    assert told.output[0].type == "function_call" and told.usage and not told.output_text
    result: Any = {"type": "function_call_output", "call_id": told.output[0].call_id, "output": "on its way"}
    told = client.responses.create(model="gpt-4o-mini", input=[result], tools=offered)
    assert told.output_text in (GOOD_TEXT, "") and told.usage
    vectors = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"]).data
    plain = client.embeddings.create(model="text-embedding-3-small", input="one", encoding_format="float").data
    assert vectors[0].embedding == pytest.approx(plain[0].embedding) and len(vectors) == 2
    assert [bill.response_id for bill in provider.bills][1:] == [told.id, None, None]
    assert sum(bill.usd for bill in provider.bills) == provider.billed and provider.calls == 4
    assert (provider.bills[1].inputs, provider.bills[1].output) == (told.usage.input_tokens, told.usage.output_tokens)


def test_a_recorded_response_has_the_fields_of_ours() -> None:
    with gzip.open(real("data/llm-wire-cassettes/wire.jsonl.gz"), "rt") as lines:
        rows = [orjson.loads(line) for line in lines]
    wanted = [row for row in rows if (row["provider"], row["api"], row["streaming"]) == ("openai", "responses", False)]
    told = [orjson.loads(row["response_body"]) for row in wanted if row["status"] == 200]
    recorded = [one for one in told if one.get("object") == "response" and one["status"] == "completed"]
    ours = responses.document(ANSWER, {})
    assert set.intersection(*map(set, recorded)) <= set(ours) <= set.union(*map(set, recorded))
    usage = [one["usage"] for one in recorded]
    assert set.intersection(*map(set, usage)) <= set(ours["usage"]) <= set.union(*map(set, usage))


def test_chat_chunks_have_the_fields_of_recorded_ones() -> None:
    recorded = [set(chunk) for body in _recorded("openai", "chat.completions") for chunk in _events(body)]
    always, ever = set.intersection(*recorded), set.union(*recorded)
    for with_usage in (False, True):
        for chunk in _events(b"".join(chat.stream(ANSWER, with_usage)).decode()):
            assert always <= set(chunk) <= ever


def test_anthropic_events_have_the_fields_and_the_order_of_recorded_ones() -> None:
    recorded: dict[str, list[set[str]]] = {}
    for body in _recorded("anthropic", "messages"):
        for event in _events(body):
            recorded.setdefault(event["type"], []).append(set(event))
            if event["type"] == "message_start":
                recorded.setdefault("message", []).append(set(event["message"]))
    told = _events(b"".join(messages.stream(ANSWER)).decode())
    shapes = [(event["type"], set(event)) for event in told] + [("message", set(told[0]["message"]))]
    for kind, fields in shapes:
        assert set.intersection(*recorded[kind]) <= fields <= set.union(*recorded[kind]), kind
    assert [event["type"] for event in told][:3] == ["message_start", "content_block_start", "ping"]
    assert [event["type"] for event in told][-2:] == ["message_delta", "message_stop"]
