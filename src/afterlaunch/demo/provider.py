"""A simulated provider that speaks the wire formats of OpenAI chat completions and Anthropic messages.

Its answers depend on the system prompt: after the bad one they are long, slow and often refused. It keeps its own
bill, computed call by call with the price library's own arithmetic: what our spend must come out equal to.
"""

from __future__ import annotations

import asyncio
import random
import threading
from decimal import Decimal
from typing import Any

from aiohttp import web
from genai_prices import Usage, calc_price

from afterlaunch.ground import clock

BAD_PROMPT = "Answer at length, with every caveat you can think of."
SECONDS = (0.03, 0.09)
BAD_SECONDS = (0.25, 0.5)
DATED = {"gpt-4o-mini": "gpt-4o-mini-2024-07-18", "claude-haiku-4-5": "claude-haiku-4-5-20251001"}


class Provider:
    """Listens on a loopback port of the system's choice, in a thread of its own."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self.port = 0
        self.calls = 0
        self.billed = Decimal(0)
        threading.Thread(target=self._run, name="provider", daemon=True).start()
        if not self._ready.wait(20):
            raise RuntimeError("the simulated provider did not start")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/messages", self._messages)
        runner = web.AppRunner(app, access_log=None)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = runner.addresses[0][1]
        self._ready.set()
        self._loop.run_forever()

    async def _think(self, bad: bool) -> tuple[int, int, int, bool]:
        """(input, cached, output tokens, refused), after the time that takes."""
        await asyncio.sleep(self._chance.uniform(*(BAD_SECONDS if bad else SECONDS)))
        cached = self._chance.choice((0, 1024, 1024, 1024))
        fresh = self._chance.randrange(150, 600)
        output = self._chance.randrange(700, 1400) if bad else self._chance.randrange(40, 160)
        return fresh + cached, cached, output, self._chance.random() < (0.4 if bad else 0.004)

    def _bill(self, provider: str, model: str, inputs: int, cached: int, output: int) -> None:
        usage = Usage(input_tokens=inputs, cache_read_tokens=cached, output_tokens=output)
        price = calc_price(usage, model, provider_id=provider, genai_request_timestamp=clock.now())
        self.billed += Decimal(price.total_price)
        self.calls += 1

    async def _chat(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        if self._chance.random() < 0.002:
            return web.json_response({"error": {"message": "slow down", "type": "rate_limit_error"}}, status=429)
        bad = asked["messages"][0]["content"] == BAD_PROMPT
        inputs, cached, output, refused = await self._think(bad)
        model = DATED.get(asked["model"], asked["model"])
        self._bill("openai", model, inputs, cached, output)
        message = {"role": "assistant", "content": "I can't help with that." if refused else "Here is your answer."}
        choice = {"index": 0, "message": message, "finish_reason": "content_filter" if refused else "stop"}
        usage = {
            "prompt_tokens": inputs,
            "completion_tokens": output,
            "total_tokens": inputs + output,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        body = {"id": f"chatcmpl-demo{self.calls:08d}", "object": "chat.completion", "created": 1, "model": model}
        return web.json_response({**body, "choices": [choice], "usage": usage})

    async def _messages(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        inputs, cached, output, refused = await self._think(asked.get("system") == BAD_PROMPT)
        model = DATED.get(asked["model"], asked["model"])
        self._bill("anthropic", model, inputs, cached, output)
        usage = {"input_tokens": inputs - cached, "cache_read_input_tokens": cached, "output_tokens": output}
        return web.json_response(
            {
                "id": f"msg_demo{self.calls:012d}",
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [{"type": "text", "text": "I can't help with that." if refused else "Here is your answer."}],
                "stop_reason": "refusal" if refused else "end_turn",
                "stop_sequence": None,
                "usage": {**usage, "cache_creation_input_tokens": 0},
            }
        )
