"""Spans of what no instrumentation sees: your own agents, tools and look-ups."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, SupportsFloat

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from .scope import Scope
from .stamps import context

TRACER = trace.get_tracer("afterlaunch.sdk")
# What is told of a document: never its text.
TOLD = ("id", "score", "distance", "url", "version", "updated_at", "last_modified", "indexed_at")
MOST_DOCUMENTS = 100


def agent(name: str) -> Scope[Span]:
    """One run of an agent; every span within carries its name."""

    @contextmanager
    def run() -> Iterator[Span]:
        attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
        with context(agent=name), _span(f"invoke_agent {name}", attributes) as span:
            yield span

    return Scope(run)


def tool(name: str, call_id: str | None = None) -> Scope[Span]:
    """One run of a tool; `call_id` is the id the model gave the call."""
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.call.id": call_id}
    return Scope(lambda: _span(f"execute_tool {name}", attributes))


class Retrieval:
    """What a look-up found; told on its span."""

    def __init__(self, span: Span) -> None:
        self.span = span

    def documents(self, found: Iterable[Mapping[str, Any] | str]) -> None:
        """In the order of their rank, each an id or a mapping with some of `TOLD`: `score` rises with likeness,
        `distance` falls; times are datetimes or RFC 3339. Text is not sent. Of more than 100 the first 100."""
        told = [_document(one) for _, one in zip(range(MOST_DOCUMENTS), found, strict=False)]
        self.span.set_attribute("gen_ai.retrieval.documents", json.dumps(told, default=_plain))

    def relevant(self, ids: Iterable[str] | Mapping[str, float]) -> None:
        """Which documents would have been right, where that is known: ids, or ids with their gain."""
        told = dict(ids) if isinstance(ids, Mapping) else list(ids)
        self.span.set_attribute("afterlaunch.retrieval.relevant_ids", json.dumps(told, default=_plain))

    def cache(self, hit: bool) -> None:
        """Whether the answer came from a cache of your own. Untold is unknown, not a miss."""
        self.span.set_attribute("retrieval.cache.hit", hit)


def retrieval(
    query: str | None = None,
    *,
    source: str | None = None,
    top_k: int | None = None,
    index_version: object = None,
    index_updated_at: object = None,
) -> Scope[Retrieval]:
    """One look-up in the index or store `source`. `index_updated_at`: a datetime or RFC 3339."""
    attributes = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": source,
        "gen_ai.retrieval.query.text": query,
        "gen_ai.retrieval.top_k": top_k,
        "retrieval.index.version": None if index_version is None else _text(index_version),
        "retrieval.index.updated_at": None if index_updated_at is None else _text(index_updated_at),
    }

    @contextmanager
    def look_up() -> Iterator[Retrieval]:
        with _span(f"retrieval {source}" if source else "retrieval", attributes, SpanKind.CLIENT) as span:
            yield Retrieval(span)

    return Scope(look_up)


@contextmanager
def _span(name: str, attributes: Mapping[str, Any], kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Span]:
    told = {key: value for key, value in attributes.items() if value is not None}
    with TRACER.start_as_current_span(name, kind=kind, attributes=told) as span:
        try:
            yield span
        except Exception as problem:
            span.set_attribute("error.type", type(problem).__qualname__)
            raise


def _document(one: Mapping[str, Any] | str) -> dict[str, Any]:
    return {"id": one} if isinstance(one, str) else {key: one[key] for key in TOLD if one.get(key) is not None}


def _text(value: object) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _plain(value: object) -> str | float:
    """What JSON does not know: instants, and numbers of numpy and the like."""
    return float(value) if isinstance(value, SupportsFloat) else _text(value)
