"""A simulated provider that speaks the wire formats of OpenAI (chat completions, whole responses, embeddings) and of
Anthropic messages.

Its answers depend on the system prompt: after the bad one they are long, slow and often refused. Offered tools, a model
calls the first one, once. It keeps its own bill, computed call by call with the price library's own arithmetic: what
our spend must come out equal to.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiohttp import web
from genai_prices import Usage, calc_price

from afterlaunch.demo.wire import chat, embeddings, messages, responses, tools
from afterlaunch.demo.wire.answer import Answer, ToolCall, Trouble
from afterlaunch.ground import clock

BAD_PROMPT = "Answer at length, with every caveat you can think of."
SECONDS = (0.03, 0.09)
BAD_SECONDS = (0.25, 0.5)
FIRST_TOKEN = 0.5  # the share of the time after which a stream begins
DATED = {"gpt-4o-mini": "gpt-4o-mini-2024-07-18", "claude-haiku-4-5": "claude-haiku-4-5-20251001"}
GOOD_TEXT = "Your order left our bakery this morning and arrives tomorrow before noon."
BAD_TEXT = (
    "There are a number of things to consider before this can be answered. Orders may be late, early, or neither; "
    "carriers may differ, and holidays apply in some places. None of this is a promise. " + GOOD_TEXT
)
REFUSED_TEXT = "I can't help with that."
MakeTrouble = Callable[[int, str], Trouble]
CHAT_TROUBLES: tuple[MakeTrouble, ...] = (chat.rate_limited, chat.rate_limited, chat.server_error)
MESSAGES_TROUBLES: tuple[MakeTrouble, ...] = (messages.overloaded, messages.rate_limited, messages.server_error)


@dataclass(frozen=True)
class Bill:
    """One call as the provider charges it. `inputs` includes `cached`; embeddings have no id."""

    response_id: str | None
    model: str
    inputs: int
    cached: int
    output: int
    usd: Decimal


class Provider:
    """Listens on a loopback port of the system's choice, in a thread of its own. `trouble` is the share of calls
    that it refuses, unbilled, as the real ones do on any day."""

    def __init__(self, seed: int, trouble: float = 0.002) -> None:
        self._chance, self._trouble = random.Random(seed), trouble
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self.port = 0
        self.calls, self.streamed, self.refused_calls = 0, 0, 0
        self.billed = Decimal(0)
        self.bills: deque[Bill] = deque(maxlen=1000)  # the newest
        self._thread = threading.Thread(target=self._run, name="provider", daemon=True)
        self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the simulated provider did not start")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/responses", self._responses)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_post("/v1/messages", self._messages)
        runner = web.AppRunner(app, access_log=None)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = runner.addresses[0][1]
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    # -- what it says -------------------------------------------------------------------------------------------

    def _answer(self, model: str, bad: bool, offered: list[dict[str, Any]] | None = None) -> Answer:
        cached = self._chance.choice((0, 1024, 1024, 1024))
        fresh = self._chance.randrange(150, 600)
        output = self._chance.randrange(700, 1400) if bad else self._chance.randrange(40, 160)
        refused = self._chance.random() < (0.4 if bad else 0.004)
        text = REFUSED_TEXT if refused else BAD_TEXT if bad else GOOD_TEXT
        self.calls += 1
        made = int(clock.now().timestamp())
        tool: ToolCall | None = None if refused else tools.call_of(offered or [], self.calls)
        return Answer(self.calls, DATED.get(model, model), text, fresh + cached, cached, output, refused, made, tool)

    def _bill(self, provider: str, answer: Answer, response_id: str) -> None:
        self._charge(provider, response_id, answer.model, answer.inputs, answer.cached, answer.output)

    def _charge(
        self, provider: str, response_id: str | None, model: str, inputs: int, cached: int, output: int
    ) -> None:
        usage = Usage(input_tokens=inputs, cache_read_tokens=cached, output_tokens=output)
        price = calc_price(usage, model, provider_id=provider, genai_request_timestamp=clock.now())
        self.billed += (usd := Decimal(price.total_price))
        self.bills.append(Bill(response_id, model, inputs, cached, output, usd))

    def _seconds(self, bad: bool) -> float:
        return self._chance.uniform(*(BAD_SECONDS if bad else SECONDS))

    def _fails(self, kinds: tuple[MakeTrouble, ...], model: str) -> web.Response | None:
        if self._chance.random() >= self._trouble:
            return None
        self.refused_calls += 1
        trouble = self._chance.choice(kinds)(self.calls, model)
        return web.json_response(trouble.body, status=trouble.status, headers=trouble.headers)

    # -- how it says it -----------------------------------------------------------------------------------------

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked: dict[str, Any] = await request.json()
        if failed := self._fails(CHAT_TROUBLES, asked["model"]):
            return failed
        bad = asked["messages"][0]["content"] == BAD_PROMPT
        offered = None if asked.get("stream") or asked["messages"][-1]["role"] == "tool" else asked.get("tools")
        answer, seconds = self._answer(asked["model"], bad, offered), self._seconds(bad)
        self._bill("openai", answer, chat.response_id(answer))
        head = chat.headers(answer.number, seconds)
        if asked.get("stream"):
            with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
            return await self._stream(request, head, chat.stream(answer, with_usage), seconds)
        await asyncio.sleep(seconds)
        return web.json_response(chat.document(answer), headers=head)

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        asked: dict[str, Any] = await request.json()
        if asked.get("stream"):
            return web.json_response({"error": {"message": "No streamed responses are simulated."}}, status=400)
        if failed := self._fails(CHAT_TROUBLES, asked["model"]):
            return failed
        said = asked["input"] if isinstance(asked["input"], list) else []
        answered = bool(said) and said[-1].get("type") == "function_call_output"
        bad = asked.get("instructions") == BAD_PROMPT
        answer, seconds = (
            self._answer(asked["model"], bad, None if answered else asked.get("tools")),
            self._seconds(bad),
        )
        self._bill("openai", answer, responses.response_id(answer))
        await asyncio.sleep(seconds)
        return web.json_response(responses.document(answer, asked), headers=chat.headers(answer.number, seconds))

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        asked: dict[str, Any] = await request.json()
        given = asked["input"]
        texts = [given] if isinstance(given, str) else [str(one) for one in given]
        self.calls += 1
        self._charge("openai", None, asked["model"], embeddings.tokens(texts), 0, 0)
        told = embeddings.document(texts, asked["model"], asked.get("encoding_format") == "base64")
        return web.json_response(told, headers=chat.headers(self.calls, 0.01))

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        asked: dict[str, Any] = await request.json()
        if failed := self._fails(MESSAGES_TROUBLES, asked["model"]):
            return failed
        bad = asked.get("system") == BAD_PROMPT
        answer, seconds = self._answer(asked["model"], bad), self._seconds(bad)
        self._bill("anthropic", answer, messages.response_id(answer))
        head = messages.headers(answer.number)
        if asked.get("stream"):
            return await self._stream(request, head, messages.stream(answer), seconds)
        await asyncio.sleep(seconds)
        return web.json_response(messages.document(answer), headers=head)

    async def _stream(
        self, request: web.Request, headers: dict[str, str], events: Iterator[bytes], seconds: float
    ) -> web.StreamResponse:
        """Thinks, then sends event by event over the rest of the time."""
        self.streamed += 1
        response = web.StreamResponse(headers={**headers, "content-type": "text/event-stream; charset=utf-8"})
        await asyncio.sleep(seconds * FIRST_TOKEN)
        await response.prepare(request)
        told = list(events)
        try:
            for one in told[:-1]:
                await response.write(one)
                await asyncio.sleep(seconds * (1 - FIRST_TOKEN) / len(told))
            await response.write_eof(told[-1])
        except ConnectionResetError:
            pass  # the caller has left: what was said is billed all the same
        return response
