"""Whose call, what was looked up, what people thought: as it stands on the spans."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

import afterlaunch
from afterlaunch.sdk import evaluations, spans
from afterlaunch.sdk.stamping import Stamp
from afterlaunch.sdk.stamps import ATTRIBUTES


class Seen:
    def __init__(self) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        self._kept = InMemorySpanExporter()
        provider.add_span_processor(Stamp())
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracer: Tracer = provider.get_tracer("app")

    def __getitem__(self, name: str) -> dict[str, Any]:
        (found,) = [span for span in self._kept.get_finished_spans() if span.name == name]
        return dict(found.attributes or {})

    def status(self, name: str) -> StatusCode:
        (found,) = [span for span in self._kept.get_finished_spans() if span.name == name]
        return found.status.status_code

    def step(self, name: str) -> None:
        self.tracer.start_span(name).end()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    made = Seen()
    monkeypatch.setattr(spans, "TRACER", made.tracer)
    yield made


def test_context_holds_for_every_span_within_and_inner_ones_add_to_it(seen: Seen) -> None:
    said = {name: f"the {name}" for name in ATTRIBUTES}
    with afterlaunch.context(**said), afterlaunch.context(agent="other", session=4, user=None):
        seen.step("inside")
    seen.step("outside")
    assert seen["inside"] == {
        ATTRIBUTES[name]: value for name, value in {**said, "agent": "other", "session": "4"}.items()
    }
    assert seen["outside"] == {}


def test_what_an_instrumentation_says_itself_stands(seen: Seen) -> None:
    with afterlaunch.context(agent="desk", tenant="acme"):
        seen.tracer.start_span("run", attributes={"gen_ai.agent.name": "billing"}).end()
    assert seen["run"] == {"gen_ai.agent.name": "billing", "tenant.id": "acme"}


def test_functions_can_be_decorated_and_callers_do_not_mix(seen: Seen) -> None:
    @afterlaunch.context(tenant="acme")
    def plain(name: str) -> str:
        seen.step(name)
        return name

    @afterlaunch.agent("desk")
    async def run(name: str) -> None:
        with afterlaunch.context(user=name):
            await asyncio.sleep(0.001)
            seen.step(name)

    async def both() -> None:
        await asyncio.gather(run("ada"), run("ben"))

    assert plain("one") == "one" and seen["one"] == {"tenant.id": "acme"}
    asyncio.run(both())
    assert seen["ada"] == {"gen_ai.agent.name": "desk", "user.id": "ada"}
    assert seen["ben"] == {"gen_ai.agent.name": "desk", "user.id": "ben"}


def test_a_generator_is_refused_as_its_body_runs_later() -> None:
    def stream() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="inside it"):
        afterlaunch.context(tenant="acme")(stream)


def test_agents_and_tools_are_spans_of_the_conventions(seen: Seen) -> None:
    with afterlaunch.agent("desk"), pytest.raises(LookupError), afterlaunch.tool("find_order", call_id="call_1"):
        raise LookupError("no such order")
    assert seen["invoke_agent desk"] == {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "desk"}
    assert seen["execute_tool find_order"] == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.name": "desk",
        "gen_ai.tool.name": "find_order",
        "gen_ai.tool.call.id": "call_1",
        "error.type": "LookupError",
    }
    assert seen.status("execute_tool find_order") is StatusCode.ERROR


def test_a_retrieval_tells_ids_scores_and_ages_never_text(seen: Seen) -> None:
    updated = datetime(2026, 11, 1, tzinfo=UTC)
    made = "2026-10-01T00:00:00Z"
    with afterlaunch.retrieval(
        "late order", source="handbook", index_version=7, index_updated_at=made, top_k=3
    ) as found:
        found.documents([{"id": "d1", "score": 0.9, "updated_at": updated, "text": "hush"}, "d2"])
        found.cache(hit=False)
        found.relevant({"d1": 1, "d3": 0.5})
    told = seen["retrieval handbook"]
    assert json.loads(told.pop("gen_ai.retrieval.documents")) == [
        {"id": "d1", "score": 0.9, "updated_at": "2026-11-01T00:00:00+00:00"},
        {"id": "d2"},
    ]
    assert json.loads(told.pop("afterlaunch.retrieval.relevant_ids")) == {"d1": 1, "d3": 0.5}
    assert told == {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "handbook",
        "gen_ai.retrieval.query.text": "late order",
        "gen_ai.retrieval.top_k": 3,
        "retrieval.index.version": "7",
        "retrieval.index.updated_at": made,
        "retrieval.cache.hit": False,
    }


def test_what_is_not_told_of_a_retrieval_stays_unknown(seen: Seen) -> None:
    with afterlaunch.retrieval():
        pass
    assert seen["retrieval"] == {"gen_ai.operation.name": "retrieval"}


def test_headers_tell_the_gateway_what_the_context_says(seen: Seen) -> None:
    assert afterlaunch.headers(user="u", tenant="") == {"afterlaunch-user": "u"}
    with afterlaunch.context(tenant="Bäckerei 50%", agent="desk"), seen.tracer.start_as_current_span("step") as span:
        told = afterlaunch.headers(agent="other")
        trace_id = f"{span.get_span_context().trace_id:032x}"
    assert told["afterlaunch-tenant"] == "B%C3%A4ckerei 50%25" and told["afterlaunch-agent"] == "other"
    assert told["traceparent"].split("-")[1] == trace_id


def test_feedback_that_says_nothing_or_points_nowhere_is_a_mistake_of_the_caller(seen: Seen) -> None:
    assert afterlaunch.reference() is None
    with pytest.raises(ValueError, match="a score, a label or a comment"):
        afterlaunch.feedback()
    with pytest.raises(ValueError, match="traceparent"):
        afterlaunch.feedback(1, reference="yesterday")


def test_a_document_is_judged_by_its_relevance(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    (record,) = told(monkeypatch, lambda: afterlaunch.feedback(1, document="d1"))
    assert record.attributes["gen_ai.evaluation.name"] == "relevance"
    assert record.attributes["afterlaunch.document.id"] == "d1"


def told(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], None]) -> list[Any]:
    """The log records of a deed."""
    records: list[Any] = []

    class Provider:
        def get_logger(self, _: str) -> Any:
            return type("Logger", (), {"emit": staticmethod(records.append)})

    monkeypatch.setattr(evaluations, "get_logger_provider", Provider)
    deed()
    return records


def test_later_feedback_is_tied_to_the_span_it_judges(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    with seen.tracer.start_as_current_span("answer") as span:
        shown = afterlaunch.reference()

    def later() -> None:
        with afterlaunch.context(tenant="acme"), seen.tracer.start_as_current_span("another request"):
            afterlaunch.feedback(1, label="helpful", comment="thanks", reference=shown, response_id="chatcmpl-1")

    (record,) = told(monkeypatch, later)
    assert record.event_name == "gen_ai.evaluation.result"
    assert (record.trace_id, record.span_id) == (span.get_span_context().trace_id, span.get_span_context().span_id)
    assert record.attributes == {
        "tenant.id": "acme",
        "gen_ai.evaluation.name": "user_feedback",
        "gen_ai.evaluation.score.value": 1.0,
        "gen_ai.evaluation.score.label": "helpful",
        "gen_ai.evaluation.explanation": "thanks",
        "gen_ai.response.id": "chatcmpl-1",
    }


def test_the_agent_that_took_over_is_told_on_the_spans_below_it(seen: Seen) -> None:
    with afterlaunch.context(agent="desk", tenant="acme"), seen.tracer.start_as_current_span("workflow"):
        with seen.tracer.start_as_current_span("agent") as span:
            span.set_attribute("gen_ai.agent.name", "billing")
            seen.step("call of billing")
            with afterlaunch.context(agent="clerk"):
                seen.step("call of clerk")
        seen.step("call of desk")
    told = [seen[name]["gen_ai.agent.name"] for name in ("call of billing", "call of clerk", "call of desk")]
    assert told == ["billing", "clerk", "desk"] and seen["call of billing"]["tenant.id"] == "acme"


def test_a_span_that_starts_elsewhere_takes_after_its_parent(seen: Seen) -> None:
    """As callbacks do in a thread of their own."""
    with afterlaunch.context(tenant="acme"), seen.tracer.start_as_current_span("request") as parent:
        pass
    seen.tracer.start_span("later", context=trace.set_span_in_context(parent)).end()
    assert seen["later"] == {"tenant.id": "acme"}
