"""Real clients know the gateway by address and key alone: openai, anthropic, LangChain, LiteLLM, each synchronously,
asynchronously, as streams and with tools. `make recipes` installs them and runs this."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from afterlaunch.gateway.tests.house import KEY, Canned, House, Received, house, until
from tests.recipes.install import CLIENTS

pytestmark = pytest.mark.process
SSE = [(b"content-type", b"text/event-stream")]
HOW = {"sync", "async", "stream", "async stream", "tools"}
NAMES = {"openai", "anthropic", "langchain-openai", "langchain-anthropic", "litellm-openai", "litellm-anthropic"}
CITY = {"city": "Oslo"}


def _event(document: dict[str, Any], named: bool = False) -> bytes:
    head = b"event: " + document["type"].encode() + b"\n" if named else b""
    return head + b"data: " + orjson.dumps(document) + b"\n\n"


def _openai(asked: dict[str, Any]) -> Canned:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    same = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
    if asked.get("stream"):
        deltas = [{"role": "assistant", "content": "po"}, {"content": "ng"}, {}]
        chunks = [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"} for delta in deltas]
        parts = [_event({**same, "object": "chat.completion.chunk", "choices": [one]}) for one in chunks]
        if (asked.get("stream_options") or {}).get("include_usage"):
            parts.append(_event({**same, "object": "chat.completion.chunk", "choices": [], "usage": usage}))
        return Canned([*parts, b"data: [DONE]\n\n"], headers=SSE)
    message: dict[str, Any] = {"role": "assistant", "content": "pong"}
    if asked.get("tools"):
        function = {"name": "weather", "arguments": json.dumps(CITY)}
        calls = [{"id": "call_1", "type": "function", "function": function}]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if asked.get("tools") else "stop"}
    return Canned([orjson.dumps({**same, "object": "chat.completion", "choices": [choice], "usage": usage})])


def _anthropic(asked: dict[str, Any]) -> Canned:
    same = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "stop_sequence": None}
    if asked.get("stream"):
        start = {**same, "content": [], "stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 1}}
        ending = {
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 7, "output_tokens": 2},
        }
        events = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "po"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ng"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", **ending},
            {"type": "message_stop"},
        ]
        return Canned([_event(one, True) for one in events], headers=SSE)
    block = {"type": "tool_use", "id": "t1", "name": "weather", "input": CITY} if asked.get("tools") else None
    content = [block or {"type": "text", "text": "pong"}]
    usage = {"input_tokens": 7, "output_tokens": 2}
    return Canned([orjson.dumps({**same, "content": content, "stop_reason": "end_turn", "usage": usage})])


def _provider(request: Received) -> Canned:
    asked = orjson.loads(request.body)
    return _anthropic(asked) if request.path.endswith("/messages") else _openai(asked)


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PROVIDER_SECRET", "sk-of-the-house")
    if not CLIENTS.python.exists():
        pytest.skip(f"{CLIENTS.environment} is missing: `make recipes` installs the clients")
    with house(tmp_path) as made:
        made.provider.answer = _provider
        yield made


def test_every_client_gets_its_answers_and_every_call_is_metered(gateway: House) -> None:
    program = Path(__file__).with_name("clients.py")
    command = [str(CLIENTS.python), "-W", "ignore", str(program), gateway.url, KEY]
    calm = {name: value for name, value in os.environ.items() if not name.endswith("_PROXY")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env=calm)
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert Counter((one["client"], one["how"]) for one in told) == {(name, how): 1 for name in NAMES for how in HOW}
    for one in told:
        if one["how"] == "tools":
            assert one["tool"] == ["weather", CITY], one
        else:
            assert one["text"] == "pong" and one["tokens"] in (None, [7, 2]), one
    until(lambda: len(gateway.server.attempts()) == len(told))
    for seen in gateway.server.attempts():
        assert (seen["gen_ai.usage.input_tokens"], seen["gen_ai.usage.output_tokens"]) == (7, 2), seen
        assert (seen["afterlaunch.call_state"], seen["afterlaunch.usage_state"]) == ("complete", "exact")
    secrets = {one.headers.get("authorization") or one.headers.get("x-api-key") for one in gateway.provider.requests}
    assert secrets == {"Bearer sk-of-the-house", "sk-of-the-house"}
