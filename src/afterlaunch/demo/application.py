"""The small application under watch: agents of a support desk that call models through the gateway.

It uses the real SDKs under a real instrumentation. It knows Afterlaunch by two things only: the gateway's base URL,
and the question which prompt version to use.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import anthropic
import openai
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from afterlaunch import sdk
from afterlaunch.demo.provider import BAD_PROMPT
from afterlaunch.ground import clock

PROMPTS = {"v1": "Answer briefly and kindly.", "v2": BAD_PROMPT}
TENANTS = ("bakery", "bikes", "books")
AGENTS = ("answers", "answers", "triage")


class DemoClockExporter(OTLPSpanExporter):
    """Puts spans on the demo's clock: they begin at its time and last as long as they really did."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            if span.start_time is not None and span.end_time is not None:
                length, age = span.end_time - span.start_time, time.time_ns() - span.start_time
                began = clock.now_ns() - int(age * clock.lease(1).total_seconds())
                span._start_time, span._end_time = began, began + length
        return super().export(spans)


class SupportDesk:
    """`rate` calls a second, over a few threads, until stopped."""

    def __init__(self, server: str, gateway: str, keys: dict[str, str], seed: int, rate: float, threads: int) -> None:
        resource = Resource.create(
            {
                "service.name": "support-desk",
                "service.version": "2.4.1",
                "afterlaunch.client": "acme",
                "afterlaunch.system": "support",
                "deployment.environment.name": "production",
            }
        )
        self._provider = TracerProvider(resource=resource)
        exporter = DemoClockExporter(endpoint=f"{server}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
        trace.set_tracer_provider(self._provider)
        OpenAIInstrumentor().instrument(tracer_provider=self._provider)
        AnthropicInstrumentor().instrument(tracer_provider=self._provider)
        self._gateway, self._keys = gateway, keys
        self._openai = openai.OpenAI(base_url=f"{gateway}/v1", api_key=keys["openai"], max_retries=0)
        self._anthropic = anthropic.Anthropic(base_url=gateway, api_key=keys["anthropic"], max_retries=0)
        self._stop = threading.Event()
        self._pause = threads / rate
        self.calls, self.failed = 0, 0
        self._workers = [
            threading.Thread(target=self._work, args=(random.Random(seed + n),), daemon=True) for n in range(threads)
        ]

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """End the calls and send what telemetry waits."""
        self._stop.set()
        for worker in self._workers:
            worker.join(timeout=20)
        self._provider.force_flush(10_000)

    def _work(self, chance: random.Random) -> None:
        tracer = trace.get_tracer("support-desk")
        while not self._stop.is_set():
            began = time.perf_counter()
            user, tenant, agent = f"user-{chance.randrange(200)}", chance.choice(TENANTS), chance.choice(AGENTS)
            with tracer.start_as_current_span(f"agent {agent}") as span:
                span.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent})
                span.set_attributes({"tenant.id": tenant, "user.id": user})
                self._ask(agent, user, tenant)
            self._stop.wait(max(0.0, self._pause - (time.perf_counter() - began)))

    def _ask(self, agent: str, user: str, tenant: str) -> None:
        headers: dict[str, str] = sdk.headers(user=user, tenant=tenant, agent=agent)
        propagate.inject(headers)
        self.calls += 1
        try:
            if agent == "answers":
                self._answer(user, headers)
            else:
                self._triage(headers)
        except (openai.APIError, anthropic.APIError, OSError):
            self.failed += 1

    def _answer(self, user: str, headers: dict[str, str]) -> Any:
        told = sdk.assignment("answers", user, self._gateway, self._keys["openai"])
        prompt = PROMPTS[told.prompt_version or "v1"]
        messages: list[Any] = [{"role": "system", "content": prompt}, {"role": "user", "content": "Where is my order?"}]
        return self._openai.chat.completions.create(model="gpt-4o-mini", messages=messages, extra_headers=headers)

    def _triage(self, headers: dict[str, str]) -> Any:
        return self._anthropic.messages.create(
            model="claude-haiku-4-5",
            max_tokens=200,
            system=PROMPTS["v1"],
            messages=[{"role": "user", "content": "Which team is this for?"}],
            extra_headers=headers,
        )
