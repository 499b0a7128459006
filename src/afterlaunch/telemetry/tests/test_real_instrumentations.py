"""What real instrumentations sent for recorded calls: one call, one cost, whoever reports it."""

from __future__ import annotations

import base64
import gzip
from collections import Counter, defaultdict
from typing import Any

import orjson
import pytest
from tests.real_input import real

from afterlaunch.prices.usage import usage
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.store import Store, engine_at
from afterlaunch.telemetry.tests.places import Places

FOLDER = "data/otlp-from-instrumentations"
OPENAI = ("openllmetry-openai", "openinference-openai", "logfire-openai", "otel-openai-v2")
ANTHROPIC = ("openllmetry-anthropic", "openinference-anthropic", "logfire-anthropic")

# How many calls fall into each class; together they are all that several instrumentations told of.
CLASSES = {
    OPENAI: {
        "all agree": 175,
        "unknown to all: the provider refused the request (400, 401, 404)": 22,
        "unknown to all: the provider sent no usage in the stream": 5,
        # A stream of one chunk, of which Logfire reads no usage.
        "agree, but one instrumentation knows nothing": 1,
    },
    ANTHROPIC: {
        "all agree": 62,
        "unknown to all: the provider refused the request (400, 401, 404)": 1,
        "unknown to all: the client failed on the provider's answer": 1,
    },
}
# Calls whose own members disagree, and are marked: one instrumentation misses the later totals of a stream, the
# provider's own client tells them; and calls whose totals agree but not their cost: one tells no share of the cache.
CONFLICTS = {OPENAI: 0, ANTHROPIC: 23}
COSTS_APART = {OPENAI: 1, ANTHROPIC: 0}
# Of what single instrumentations told, all else has the totals that the provider sent: the one-chunk stream, and a call
# whose client failed on the answer, told by two.
KNOWS_NOTHING = {OPENAI: 1, ANTHROPIC: 2}
Told = dict[str, dict[str, Any]]


def _played(name: str, places: Places) -> dict[str, list[dict[str, Any]]]:
    """wire id -> the calls that stand in the store after all payloads came in, and came in again."""
    store = Store(engine_at(places()))
    wire_of: dict[str, str] = {}
    tables = []
    with gzip.open(real(f"{FOLDER}/{name}.jsonl.gz")) as lines:
        for row in map(orjson.loads, lines):
            for sent in row["otlp"]:
                if sent["path"] == "/v1/traces":
                    body = base64.b64decode(sent["protobuf_base64"])
                    tables.append(normalise(body, "application/x-protobuf", None, 0).table)
                    wire_of |= {span.hex(): row["wire_id"] for span in tables[-1]["span_id"].to_pylist()}
    spans = sum(table.num_rows for table in tables)
    assert sum(store.commit(tables[n : n + 25])[0] for n in range(0, len(tables), 25)) == spans
    assert store.commit(tables) == (0, spans)
    calls = store.query("select * from calls")
    (total,) = store.query("select sum(calls)::bigint as calls, sum(cost_nano)::bigint as cost from sums_minute")
    assert total == {"calls": len(calls), "cost": sum(call["cost_nano"] or 0 for call in calls)}
    store.close()
    out: dict[str, list[dict[str, Any]]] = {wire: [] for wire in wire_of.values()}
    for call in calls:
        out[wire_of[call["members"][0]]].append(call)
    return out


def _totals(call: dict[str, Any]) -> tuple[int, int] | None:
    if call["in_uncached"] is None or call["out_visible"] is None:
        return None
    return sum(call[name] or 0 for name in BUCKETS[:6]), sum(call[name] or 0 for name in BUCKETS[6:])


def _wire(name: str) -> dict[str, dict[str, Any]]:
    """What the recording says of each call: HTTP status, streaming, the provider's own usage."""
    with gzip.open(real(f"{FOLDER}/{name}.jsonl.gz")) as lines:
        return {row["wire_id"]: row for row in map(orjson.loads, lines)}


def _on_the_wire(wire: dict[str, Any], merged: bool) -> tuple[int, int] | None:
    """(tokens in, tokens out) by the provider's own objects: the last one, or, of Anthropic, all of them `merged`."""
    objects = [one["value"] for one in wire["provider_usage"] or ()]
    whole = {name: value for one in objects for name, value in one.items() if value is not None}
    told = usage(whole if merged else objects[-1]) if objects else None
    if told is None:
        return None
    n = Counter(told.counts)
    cached = n["cache_read"] + (n["cache_write"] or n["cache_write_5m"] + n["cache_write_1h"])
    heard = n["in_total"] + n["tool_use"] + (0 if told.shape.cache_inside else cached)
    return heard, n["out_total"] + (0 if told.shape.reasoning_inside else n["reasoning"])


def _class(told: Told, wire: dict[str, Any]) -> str:
    totals = {_totals(call) for call in told.values()}
    if len(totals - {None}) > 1:
        marked = any(call["conflict"] for call in told.values())
        return "differ, and are marked as a conflict" if marked else "differ, unmarked"
    if None not in totals:
        return "all agree"
    if len(totals) == 2:
        return "agree, but one instrumentation knows nothing"
    if wire["http_status"] >= 400:
        return "unknown to all: the provider refused the request (400, 401, 404)"
    if wire["client_exception"]:
        return "unknown to all: the client failed on the provider's answer"
    assert wire["streaming"] and not wire["provider_usage"], "the provider told its usage, and nobody passed it on"
    return "unknown to all: the provider sent no usage in the stream"


@pytest.mark.parametrize("names", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_one_call_has_one_cost_and_totals_agree_or_are_marked(names: tuple[str, ...], places: Places) -> None:
    by_wire: dict[str, Told] = defaultdict(dict)
    wires: dict[str, dict[str, Any]] = {}
    apart = []
    for name in names:
        wires |= _wire(name)
        for wire, calls in _played(name, places).items():
            assert len(calls) == 1, (name, wire, calls)
            assert calls[0]["part"] is None, "every usage record found its request"
            by_wire[wire][name] = calls[0]
            totals, sent = _totals(calls[0]), _on_the_wire(wires[wire], merged=names == ANTHROPIC)
            apart += [totals] if totals != sent else []
    assert apart == [None] * KNOWS_NOTHING[names], "whatever is known is what the provider sent"
    several = {wire: told for wire, told in by_wire.items() if len(told) > 1}
    found = Counter(_class(told, wires[wire]) for wire, told in several.items())
    print(f"{len(several)} calls told by several: {dict(found)}")
    assert found == CLASSES[names] and sum(found.values()) == len(several)
    assert sum(call["conflict"] for told in several.values() for call in told.values()) == CONFLICTS[names]
    costs = [{call["cost_nano"] for call in told.values()} - {None} for told in several.values()]
    assert sum(len(one) > 1 for one in costs) == COSTS_APART[names]
