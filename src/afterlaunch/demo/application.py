"""The small application under watch: agents of a support desk that call models through the gateway.

It uses the real SDKs under a real instrumentation, and Afterlaunch's own: telemetry, whose call it is, and the question
which prompt version to use.
"""

from __future__ import annotations

import os
import random
import threading
import time
from typing import Any

import anthropic
import openai
from opentelemetry import trace
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

import afterlaunch
from afterlaunch.demo.provider import BAD_PROMPT
from afterlaunch.ground import clock

PROMPTS = {"v1": "Answer briefly and kindly.", "v2": BAD_PROMPT}
TENANTS = ("bakery", "bikes", "books")
AGENTS = ("answers", "answers", "triage")
WAYS = (6, 2, 2)  # of ten calls: whole answers, streams, streams that ask for their usage


class DemoClock(SpanProcessor):
    """Puts spans on the demo's clock as they end: they begin at its time and last as long as they really did."""

    def on_end(self, span: ReadableSpan) -> None:
        if span.start_time is not None and span.end_time is not None:
            length, age = span.end_time - span.start_time, clock.real_ns() - span.start_time
            began = clock.now_ns() - int(age * clock.lease(1).total_seconds())
            span._start_time, span._end_time = began, began + length


class SupportDesk:
    """`rate` calls a real second at the pace the clock has now, over a few threads, until stopped."""

    def __init__(self, server: str, gateway: str, keys: dict[str, str], seed: int, rate: float, threads: int) -> None:
        provider = TracerProvider(resource=Resource.create({"service.name": "support-desk"}))
        provider.add_span_processor(DemoClock())
        trace.set_tracer_provider(provider)
        os.environ.setdefault("OTEL_BSP_SCHEDULE_DELAY", "200")
        # Metrics and logs would be on the real clock.
        afterlaunch.init(
            server,
            keys["telemetry"],
            system="support",
            environment="production",
            release="2.4.1",
            metrics=False,
            logs=False,
        )
        OpenAIInstrumentor().instrument()
        AnthropicInstrumentor().instrument()
        self._gateway, self._keys = gateway, keys
        self._openai = openai.OpenAI(base_url=f"{gateway}/v1", api_key=keys["openai"], max_retries=0)
        self._anthropic = anthropic.Anthropic(base_url=gateway, api_key=keys["anthropic"], max_retries=0)
        self._stop = threading.Event()
        self._pause = clock.lease(threads / rate).total_seconds()  # virtual: customers live on the demo's clock
        self._chances = [random.Random(seed + number) for number in range(threads)]
        self._workers: list[threading.Thread] = []
        self.calls, self.failed = 0, 0

    def start(self) -> None:
        """Begin, or go on after `stop`."""
        self._stop.clear()
        self._workers = [threading.Thread(target=self._work, args=(one,), daemon=True) for one in self._chances]
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """End the calls and send what telemetry waits."""
        self._stop.set()
        for worker in self._workers:
            worker.join(timeout=20)
        afterlaunch.flush()

    def _work(self, chance: random.Random) -> None:
        while not self._stop.is_set():
            began = time.perf_counter()
            user, tenant, agent = f"user-{chance.randrange(200)}", chance.choice(TENANTS), chance.choice(AGENTS)
            with afterlaunch.context(tenant=tenant, user=user), afterlaunch.agent(agent):
                self._ask(agent, user, chance)
            self._stop.wait(max(0.0, clock.real_seconds(self._pause) - (time.perf_counter() - began)))

    def _ask(self, agent: str, user: str, chance: random.Random) -> None:
        headers = afterlaunch.headers()
        self.calls += 1
        way = chance.choices(("whole", "stream", "stream with usage"), WAYS)[0]
        try:
            if agent == "answers":
                self._answer(user, headers, way)
            else:
                self._triage(headers, way)
        except (openai.APIError, anthropic.APIError, OSError):
            self.failed += 1

    def _answer(self, user: str, headers: dict[str, str], way: str) -> None:
        told = afterlaunch.assignment("answers", user, self._gateway, self._keys["openai"])
        prompt = PROMPTS[told.prompt_version or "v1"]
        messages: list[Any] = [{"role": "system", "content": prompt}, {"role": "user", "content": "Where is my order?"}]
        asked: dict[str, Any] = {"model": "gpt-4o-mini", "messages": messages, "extra_headers": headers}
        if way == "whole":
            self._openai.chat.completions.create(**asked)
            return
        if way == "stream with usage":
            asked["stream_options"] = {"include_usage": True}
        for _ in self._openai.chat.completions.create(stream=True, **asked):
            pass  # shown to the customer as it comes

    def _triage(self, headers: dict[str, str], way: str) -> None:
        messages: list[Any] = [{"role": "user", "content": "Which team is this for?"}]
        asked: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 200, "system": PROMPTS["v1"]}
        asked |= {"messages": messages, "extra_headers": headers}
        if way == "whole":
            self._anthropic.messages.create(**asked)
            return
        for _ in self._anthropic.messages.create(stream=True, **asked):
            pass
