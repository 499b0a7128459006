"""Recorded answers of OpenAI and Anthropic, served to their own SDKs through the gateway."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2 as httpx
import openai
import pytest
from tests.real_input import real

from afterlaunch.gateway.tests.house import KEY, Canned, House, Received, until, zipped

TOKENS = {
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
}


def recorded(provider: str, api: str) -> list[dict[str, Any]]:
    with gzip.open(real("data/llm-wire-cassettes/wire.jsonl.gz")) as lines:
        rows = [json.loads(line) for line in lines]
    return [row for row in rows if (row["provider"], row["api"]) == (provider, api)]


def canned(row: dict[str, Any]) -> Canned:
    """As it came over the wire: compressed where the provider had compressed it, streams in small pieces."""
    body = row["response_body"].encode()
    headers = {name: value for name, value in row["response_headers"].items() if name != "content-length"}
    if row["streaming"]:
        headers.setdefault("content-type", "text/event-stream; charset=utf-8")
        chunks = [body[at : at + 97] for at in range(0, len(body), 97)]
    else:
        headers.setdefault("content-type", "application/json")
        chunks = [zipped(body) if headers.get("content-encoding") == "gzip" else body]
    told = [(name.lower().encode(), str(value).encode()) for name, value in headers.items()]
    return Canned(chunks, row["status"], told)


def expected(row: dict[str, Any]) -> dict[str, int] | None:
    """Counts in the inclusive form from `provider_usage`, worked out apart from the product."""
    seen = [one["value"] for one in row["provider_usage"] or [] if isinstance(one["value"], dict)]
    if not seen:
        return None
    if row["api"] == "chat.completions":
        last = seen[-1]
        asked, answered = last.get("prompt_tokens_details") or {}, last.get("completion_tokens_details") or {}
        found = {
            "gen_ai.usage.input_tokens": last["prompt_tokens"],
            "gen_ai.usage.output_tokens": last["completion_tokens"],
            "gen_ai.usage.cache_read.input_tokens": asked.get("cached_tokens"),
            "gen_ai.usage.cache_write.input_tokens": asked.get("cache_write_tokens"),
            "gen_ai.usage.reasoning.output_tokens": answered.get("reasoning_tokens"),
        }
    else:
        merged: dict[str, Any] = {}
        for one in seen:
            merged.update({key: value for key, value in one.items() if value is not None})
        read, write = merged.get("cache_read_input_tokens"), merged.get("cache_creation_input_tokens")
        split = merged.get("cache_creation") or {}
        found = {
            "gen_ai.usage.input_tokens": merged["input_tokens"] + (read or 0) + (write or 0),
            "gen_ai.usage.output_tokens": merged["output_tokens"],
            "gen_ai.usage.cache_read.input_tokens": read,
            "gen_ai.usage.cache_write.input_tokens": write,
        }
        for span in ("5m", "1h"):
            count = split.get(f"ephemeral_{span}_input_tokens")
            found[f"anthropic.usage.cache_creation.ephemeral_{span}_input_tokens"] = count
        thinking = (merged.get("output_tokens_details") or {}).get("thinking_tokens")
        found["gen_ai.usage.reasoning.output_tokens"] = thinking
    return {key: value for key, value in found.items() if value is not None}


class Wire(httpx.Client):
    """The SDK's own HTTP client, which notes the raw bytes that came in."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        super().__init__(event_hooks={"response": [self._note]}, timeout=20)

    def _note(self, response: httpx.Response) -> None:
        inner, kept = response.stream, self.raw

        class Noting(httpx.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                for chunk in inner:  # type: ignore[union-attr]
                    kept.append(chunk)
                    yield chunk

            def close(self) -> None:
                inner.close()  # type: ignore[union-attr]

        response.stream = Noting()


def through_sdk(house: House, row: dict[str, Any], wire: httpx.Client) -> None:
    """Send the recorded request by the provider's own SDK; its errors are the provider's errors."""
    body = json.loads(row["request_body"])
    kind = openai.OpenAI if row["provider"] == "openai" else anthropic.Anthropic
    base = f"{house.url}/v1" if kind is openai.OpenAI else f"{house.url}/r/letters"
    client: Any = kind(base_url=base, api_key=KEY, max_retries=0, http_client=wire)
    path = "/chat/completions" if kind is openai.OpenAI else "/v1/messages"
    try:
        answer = client.post(path, body=body, cast_to=httpx.Response, options={})
        answer.read()
    except (openai.APIStatusError, anthropic.APIStatusError) as problem:
        assert problem.status_code == row["status"]


def typed(house: House, row: dict[str, Any], wire: httpx.Client) -> int:
    """The same through the typed methods, streams read to their end; the number of events or 1."""
    body = json.loads(row["request_body"])
    if row["provider"] == "openai":
        create: Any = openai.OpenAI(
            base_url=f"{house.url}/v1", api_key=KEY, max_retries=0, http_client=wire
        ).chat.completions.create
    else:
        create = anthropic.Anthropic(
            base_url=f"{house.url}/r/letters", api_key=KEY, max_retries=0, http_client=wire
        ).messages.create
    known = {"model", "messages", "stream", "max_tokens"}
    fields = {key: value for key, value in body.items() if key in known}
    extra = {key: value for key, value in body.items() if key not in known}
    answer = create(**fields, extra_body=extra)
    return sum(1 for _ in answer) if body.get("stream") else 1


@pytest.mark.parametrize(("provider", "api"), [("openai", "chat.completions"), ("anthropic", "messages")])
def test_bytes_arrive_unchanged_and_buckets_equal_the_providers_usage(
    gateway_house: House, provider: str, api: str
) -> None:
    rows = recorded(provider, api)
    gateway_house.publish(inject="no")
    waiting: list[Canned] = []
    gateway_house.provider.answer = lambda _: waiting.pop()
    wrong: list[str] = []
    with Wire() as wire:
        for row in rows:
            wire.raw.clear()
            waiting.append(canned(row))
            sent = b"".join(waiting[0].chunks)
            through_sdk(gateway_house, row, wire)
            if b"".join(wire.raw) != sent:
                wrong.append(f"{row['id']}: bytes differ")
        until(lambda: len(gateway_house.server.attempts()) == len(rows), 20)
    for row, seen in zip(rows, gateway_house.server.attempts(), strict=True):
        counted = {key: value for key, value in seen.items() if key in TOKENS}
        told = expected(row)
        state = seen["afterlaunch.usage_state"]
        if counted != (told or {}) or (state == "exact") is not bool(told):
            wrong.append(f"{row['id']}: {counted} instead of {told}, {seen['afterlaunch.usage_state']}")
    assert not wrong, f"{len(wrong)} of {len(rows)}: {wrong[:5]}"
    assert len(rows) > 200


def test_with_injection_switched_on_the_sdks_still_see_what_the_provider_sent(gateway_house: House) -> None:
    """A recorded stream without usage is passed whole; one with usage loses exactly the event nobody asked for."""
    rows = [row for row in recorded("openai", "chat.completions") if row["streaming"]]
    current: list[dict[str, Any]] = []
    asked: list[bool] = []

    def answer(request: Received) -> Canned:
        asked.append(b'"include_usage":' in request.body.replace(b" ", b""))
        return canned(current[-1])

    gateway_house.provider.answer = answer
    with Wire() as wire:
        for row in rows:
            current.append(row)
            wire.raw.clear()
            through_sdk(gateway_house, row, wire)
            got, sent = b"".join(wire.raw), row["response_body"].encode()
            wished = (json.loads(row["request_body"]).get("stream_options") or {}).get("include_usage")
            if wished or not row["provider_usage"]:
                assert got == sent, row["id"]
            else:
                assert len(got) < len(sent) and b'"choices":[]' not in got
    assert all(asked) and len(rows) > 50


@pytest.mark.parametrize(("provider", "api"), [("openai", "chat.completions"), ("anthropic", "messages")])
def test_the_sdks_typed_answers_work_through_the_gateway(gateway_house: House, provider: str, api: str) -> None:
    good = [row for row in recorded(provider, api) if row["status"] == 200 and row["provider_usage"]]
    chosen = [row for row in good if row["streaming"]][:8] + [row for row in good if not row["streaming"]][:8]
    current: list[dict[str, Any]] = []
    gateway_house.provider.answer = lambda _: canned(current[-1])
    with httpx.Client(timeout=20) as wire:
        for row in chosen:
            current.append(row)
            assert typed(gateway_house, row, wire) > (1 if row["streaming"] else 0)
