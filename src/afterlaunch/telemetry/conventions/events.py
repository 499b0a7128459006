"""Span events: kept as JSON, read as a further layer of attributes, and for what only they tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.anyvalues import Bools, Ints, plain
from afterlaunch.telemetry.conventions.arrow import nulls
from afterlaunch.telemetry.conventions.attributes import Layer
from afterlaunch.telemetry.conventions.inside import pairs_of
from afterlaunch.telemetry.conventions.plan import CONTAINERS, SOURCES

MOST_EVENTS = 128
MOST_TEXT = 4096
FIRST_TOKEN = ("First Token Stream Event", "gen_ai.content.completion.chunk", "ai.stream.firstChunk")
RESULTS = ("db.query.result", "db.search.result")
SCORE = "gen_ai.evaluation.result"
QUESTIONS = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool", "developer")}
CHOICE = "gen_ai.choice"


@dataclass(frozen=True)
class Event:
    owner: int
    name: str
    time_ns: int
    message: Any  # Span.Event

    def attributes(self) -> dict[str, Any]:
        return {pair.key: plain(pair.value) for pair in self.message.attributes}


class Events:
    """The events of a batch, in the order of their spans. Raises Invalid for what is none."""

    def __init__(self, events: Any, count: int) -> None:
        self.count = count
        sizes = np.diff(events.offsets.to_numpy())
        self.cut: Bools = sizes > MOST_EVENTS
        self.all: list[Event] = []
        for row in np.flatnonzero(sizes).tolist():
            for blob in events[row].as_py()[:MOST_EVENTS]:
                self.all.append(_event(row, blob))

    def column(self) -> Any:
        if not self.all:
            return nulls(self.count, pa.string())
        told: dict[int, list[dict[str, Any]]] = {}
        for event in self.all:
            shown = {key: _short(value) for key, value in event.attributes().items()}
            told.setdefault(event.owner, []).append({"name": event.name, "time_ns": event.time_ns, "attributes": shown})
        texts: list[str | None] = [None] * self.count
        for owner, events in told.items():
            texts[owner] = orjson.dumps(events).decode()
        return pa.array(texts, pa.string())

    def layer(self) -> Layer | None:
        """What they tell of the fields of their spans."""
        rows = [
            (event.owner, pair.key, pair.value.SerializeToString())
            for event in self.all
            if event.name not in (SCORE, *RESULTS)
            for pair in event.message.attributes
            if pair.key in SOURCES and pair.key not in CONTAINERS
        ]
        return Layer(pairs_of(rows), self.count, nowhere(self.count)) if rows else None

    def first_token(self) -> Ints:
        """Per span the instant of its first token in ns, -1 where no event tells it."""
        out = np.full(self.count, -1, np.int64)
        for event in self.all:
            if event.name in FIRST_TOKEN and (out[event.owner] < 0 or event.time_ns < out[event.owner]):
                out[event.owner] = event.time_ns
        return out

    def exceptions(self) -> Bools:
        out = np.zeros(self.count, bool)
        out[[event.owner for event in self.all if event.name == "exception"]] = True
        return out

    def named(self, *names: str) -> dict[int, list[Event]]:
        """By span."""
        out: dict[int, list[Event]] = {}
        for event in self.all:
            if event.name in names:
                out.setdefault(event.owner, []).append(event)
        return out


def nowhere(count: int) -> dict[str, Any]:
    """Conditions of sources hold for spans, not for their events."""
    return dict.fromkeys(("entry", "claude_code"), lambda: np.zeros(count, bool))


def _event(owner: int, blob: bytes) -> Event:
    try:
        found = Span.Event.FromString(blob)
    except DecodeError as problem:
        raise Invalid(f"An event does not decode: {problem}") from None
    return Event(owner, found.name, found.time_unix_nano, found)


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MOST_TEXT:
        return value[:MOST_TEXT]
    return value


def links(column: Any, count: int) -> Any:
    """Links to other spans as JSON lists, NULL where there is none. Raises Invalid for what is none."""
    sizes = np.diff(column.offsets.to_numpy())
    if not sizes.any():
        return nulls(count, pa.string())
    texts: list[str | None] = [None] * count
    for row in np.flatnonzero(sizes).tolist():
        texts[row] = orjson.dumps([_link(blob) for blob in column[row].as_py()[:MOST_EVENTS]]).decode()
    return pa.array(texts, pa.string())


def _link(blob: bytes) -> dict[str, Any]:
    try:
        found = Span.Link.FromString(blob)
    except DecodeError as problem:
        raise Invalid(f"A link does not decode: {problem}") from None
    told = {pair.key: _short(plain(pair.value)) for pair in found.attributes}
    return {"trace_id": found.trace_id.hex(), "span_id": found.span_id.hex(), "attributes": told}
