"""From an OTLP body to canonical columns: decode, map, count, classify, price. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.common.v1.common_pb2 import ArrayValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afterlaunch.telemetry.columns import BUCKETS, SPANS
from afterlaunch.telemetry.conventions import fields as f
from afterlaunch.telemetry.conventions.columns import Attributes, capped, mapped
from afterlaunch.telemetry.conventions.errors import classify
from afterlaunch.telemetry.conventions.money import price_calls
from afterlaunch.telemetry.conventions.tokens import Count, exclusive, fill_from_raw
from afterlaunch.telemetry.otlp import Decoded, decode, to_protobuf

CALLS = ("inference", "embedding", "rerank")
HOUSE = "house"
_OUTPUT_ID = r'"id"\s*:\s*"(?P<id>(?:chatcmpl|msg|resp|gen)[^"]+)"'


@dataclass(frozen=True)
class Normalised:
    """`table` has the schema `columns.SPANS`; `rejected` spans can never be stored, `messages` say why."""

    table: Any
    rejected: int = 0
    messages: list[str] = field(default_factory=list)


def normalise(body: bytes, content_type: str, client: str | None, received_ns: int) -> Normalised:
    """`client`: slug of the sender's credential; None lets the resource name it (default: house).

    Raises Invalid when the body does not decode, Unsupported for another content type.
    """
    decoded = decode(to_protobuf(body, content_type))
    count = len(decoded.spans)
    if not count:
        return Normalised(SPANS.empty_table())
    table = pa.table(_columns(decoded, client, count), schema=SPANS)
    return _reject(table, decoded)


def _reject(table: Any, decoded: Decoded) -> Normalised:
    """Spans whose ids can't be ids are left out, and named."""
    trace, span = decoded.spans.field("trace_id"), decoded.spans.field("span_id")
    good_trace = pc.and_(pc.equal(pc.binary_length(trace), 16), pc.not_equal(trace, pa.scalar(b"\0" * 16, trace.type)))
    good_span = pc.and_(pc.equal(pc.binary_length(span), 8), pc.not_equal(span, pa.scalar(b"\0" * 8, span.type)))
    good = pc.and_(good_trace, good_span)
    rejected = len(good) - (pc.sum(good).as_py() or 0)
    if not rejected:
        return Normalised(table)
    first = pc.index(good, False).as_py()
    said = f"{rejected} spans have no valid ids; the first is number {first} of the request"
    return Normalised(table.filter(good), rejected, [said])


def _columns(decoded: Decoded, client: str | None, count: int) -> dict[str, Any]:
    attributes = Attributes(decoded.attributes, count)
    text = {name: attributes.text(names) for name, names in f.TEXT.items()}
    whole = {name: Count(*attributes.integer(names)) for name, names in f.INTEGER.items()}
    fill_from_raw(whole, text["usage_raw"], f.USAGE_RAW)
    out: dict[str, Any] = _identity(decoded, attributes, client, count)
    out |= _envelope(decoded, count)
    finish = _finish(attributes, text["finish_raw"], count)
    out["finish_reason"] = mapped(finish, f.FINISH, otherwise_same=True)
    out |= {
        name: text[name] for name in ("model_requested", "model_answered", "service_tier", "workflow", "tool", "arm")
    }
    out |= {name: text[name] for name in ("prompt_name", "prompt_version", "gateway_call", "error_type", "agent")}
    out["provider"] = mapped(text["provider"], f.PROVIDERS, otherwise_same=True)
    for name in ("session", "user", "tenant"):
        out[name] = pc.coalesce(text[name], out[name])
    entry = pc.is_in(out["kind"], pa.array([2, 5], pa.int8()))
    out["route"] = pc.coalesce(text["route"], pc.if_else(entry, text["http_route"], pa.scalar(None, pa.string())))
    out["input_text"], out["output_text"] = capped(text["input_text"]), capped(text["output_text"])
    out["streaming"] = attributes.boolean(f.BOOLEAN["streaming"])
    out["gateway"] = pc.fill_null(attributes.boolean(f.BOOLEAN["gateway"]), False)
    out["op_kind"] = _op_kind(text, whole)
    calls = pc.is_in(out["op_kind"], pa.array(CALLS)).to_numpy(zero_copy_only=False)
    log_record = pc.fill_null(pc.equal(text["logfire_type"], "log"), False).to_numpy(zero_copy_only=False)
    out["response_id"] = pc.coalesce(text["response_id"], _id_in_output(text["output_text"], calls))
    out |= _measure(attributes, out["duration_ns"], count)
    flags = _tokens_and_money(out, whole, calls)
    flags["usage_record"] = calls & log_record
    out |= _endings(out, whole["http_status"], decoded)
    out["flags"] = _flag_lists(flags, count)
    out["attributes"] = attributes.rest()
    out["mapping_version"] = pa.array(np.full(count, f.MAPPING_VERSION, np.int16))
    return {name: out[name] for name in SPANS.names}


def _identity(decoded: Decoded, attributes: Attributes, client: str | None, count: int) -> dict[str, Any]:
    resources = Attributes(decoded.resources, decoded.resource_count)
    of_span = pa.array(decoded.resource)
    out = {name: resources.text(names).take(of_span) for name, names in f.RESOURCE.items()}
    for name, names in f.SPAN_IDENTITY.items():
        out[name] = pc.coalesce(attributes.text(names), out[name])
    out["environment"] = pc.fill_null(mapped(out["environment"], f.ENVIRONMENTS, otherwise_same=True), "unknown")
    out["system"] = pc.fill_null(out["system"], "unknown")
    fixed = pa.array([client] * count, pa.string())
    out["client"] = fixed if client else pc.fill_null(mapped(out["client"], {}, otherwise_same=True), HOUSE)
    return out


def _envelope(decoded: Decoded, count: int) -> dict[str, Any]:
    spans, of_span = decoded.spans, pa.array(decoded.scope)
    start = spans.field("start").cast(pa.int64(), safe=False)
    end = spans.field("end").cast(pa.int64(), safe=False)
    duration = pc.subtract(end, start)
    parent, kind = spans.field("parent_span_id"), spans.field("kind")
    parent_ok = pc.equal(pc.binary_length(parent), 8)

    def fixed(column: Any, width: int) -> Any:
        fits = pc.equal(pc.binary_length(column), width)
        return pc.if_else(fits, column, pa.scalar(b"\0" * width, column.type)).cast(pa.binary(width))

    nothing = pa.scalar(None, pa.binary(8))
    return {
        "trace_id": fixed(spans.field("trace_id"), 16),
        "span_id": fixed(spans.field("span_id"), 8),
        "parent_span_id": pc.if_else(parent_ok, fixed(parent, 8), nothing),
        "name": spans.field("name"),
        "kind": pc.if_else(pc.equal(kind, 0), 1, kind).cast(pa.int8(), safe=False),
        "scope": decoded.scopes.field("name").take(of_span),
        "scope_version": decoded.scopes.field("version").take(of_span),
        "start_ns": start,
        "duration_ns": pc.if_else(pc.less(duration, 0), pa.scalar(None, pa.int64()), duration),
        "status": pc.fill_null(spans.field("status").field("code"), 0).cast(pa.int8(), safe=False),
        "status_message": spans.field("status").field("message"),
        "events": _events(spans.field("events"), count),
    }


def _events(events: Any, count: int) -> Any:
    lengths = np.diff(events.offsets.to_numpy())
    texts: list[str | None] = [None] * count
    for row in np.flatnonzero(lengths).tolist():
        texts[row] = orjson.dumps([_event(raw) for raw in events[row].as_py()[:128]]).decode()
    return pa.array(texts, pa.string())


def _event(raw: bytes) -> dict[str, Any]:
    event = Span.Event.FromString(raw)
    told = {
        pair.key: pair.value.string_value[:4096] for pair in event.attributes if pair.value.HasField("string_value")
    }
    return {"name": event.name, "time_ns": event.time_unix_nano, "attributes": told}


def _finish(attributes: Attributes, text: Any, count: int) -> Any:
    """The first finish reason: a string, JSON text of a list, or an OTLP array."""
    first: dict[int, str] = {}
    parsed: dict[bytes, str | None] = {}
    take = attributes.pick(f.TEXT["finish_raw"])
    rows = np.flatnonzero(take >= 0)
    arrays = attributes.pairs.values.field("array").take(pa.array(take[rows])).to_pylist()
    for row, raw in zip(rows.tolist(), arrays, strict=True):
        if raw:
            if raw not in parsed:
                values = ArrayValue.FromString(raw).values
                parsed[raw] = values[0].string_value if values else None
            if found := parsed[raw]:
                first[row] = found
    out = text.to_pylist() if len(rows) else [None] * count
    for row, reason in first.items():
        out[row] = reason
    return pa.array([_first_of_json(word) for word in out], pa.string())


def _first_of_json(word: str | None) -> str | None:
    if not word or not word.startswith("["):
        return word
    try:
        values = orjson.loads(word)
    except orjson.JSONDecodeError:
        return word
    return str(values[0]) if values else None


def _op_kind(text: dict[str, Any], whole: dict[str, Count]) -> Any:
    guess = np.where(
        text["tool"].is_valid().to_numpy(zero_copy_only=False),
        "tool",
        np.where(
            whole["in_total"].known
            & pc.coalesce(text["model_answered"], text["model_requested"]).is_valid().to_numpy(zero_copy_only=False),
            "inference",
            "other",
        ),
    )
    return pc.coalesce(
        mapped(text["lf_kind"], f.LANGFUSE_KINDS),
        mapped(text["operation"], f.OPERATIONS),
        mapped(text["oi_kind"], f.OPENINFERENCE_KINDS),
        mapped(text["tl_kind"], f.TRACELOOP_KINDS),
        mapped(text["request_type"], f.REQUEST_TYPES),
        pa.array(guess.tolist(), pa.string()),
    )


def _id_in_output(output: Any, calls: Any) -> Any:
    """OpenInference keeps the response's id only inside the output's JSON."""
    candidate = pc.if_else(pa.array(calls), output, pa.scalar(None, pa.string()))
    if candidate.null_count == len(candidate):
        return candidate
    return pc.extract_regex(pc.utf8_slice_codeunits(candidate, 0, 4096), _OUTPUT_ID).field("id")


def _measure(attributes: Attributes, duration: Any, count: int) -> dict[str, Any]:
    seconds = attributes.number(f.NUMBER["ttft_seconds"])
    first = pc.cast(pc.round(pc.multiply(seconds, 1e9)), pa.int64())
    inside = pc.fill_null(pc.less_equal(first, duration), False)
    reported = pc.cast(pc.ceil(pc.multiply(attributes.number(f.NUMBER["cost_reported"]), 1e9)), pa.int64())
    return {"ttft_ns": pc.if_else(inside, first, pa.scalar(None, pa.int64())), "cost_reported_nano": reported}


def _tokens_and_money(out: dict[str, Any], whole: dict[str, Count], calls: Any) -> dict[str, Any]:
    buckets = exclusive(
        whole["in_total"],
        whole["out_total"],
        whole["total"],
        whole["cache_read"],
        whole["cache_write"],
        whole["cache_write_5m"],
        whole["cache_write_1h"],
        whole["reasoning"],
    )
    # An embedding or a ranking has no answer in tokens: none is a fact there, not a gap.
    kind = out["op_kind"]
    speechless = pc.and_(pc.is_in(kind, pa.array(["embedding", "rerank"])), pc.is_null(buckets.columns["out_visible"]))
    known_in = buckets.columns["in_uncached"].is_valid()
    buckets.columns["out_visible"] = pc.if_else(pc.and_(speechless, known_in), 0, buckets.columns["out_visible"])
    out |= buckets.columns
    priced = {name: buckets.columns[name] for name in BUCKETS}
    costs = price_calls(calls, out["provider"], out["model_answered"], out["model_requested"], out["start_ns"], priced)
    out |= costs.columns()
    return {**buckets.flags, **costs.flags}


def _endings(out: dict[str, Any], http: Count, decoded: Decoded) -> dict[str, Any]:
    """Failed or not, and why. Status unset is success unless something else says otherwise."""
    count = len(http.values)
    error = pc.equal(out["status"], 2).to_numpy(zero_copy_only=False)
    typed = out["error_type"].is_valid().to_numpy(zero_copy_only=False)
    failed = error | typed | (http.known & (http.values >= 400))
    kinds: list[str | None] = [None] * count
    faults: list[str | None] = [None] * count
    types, messages = out["error_type"].to_pylist() if failed.any() else [], out["status_message"]
    for row in np.flatnonzero(failed).tolist():
        status = int(http.values[row]) if http.known[row] else None
        kind = types[row] or _exception_type(out["events"][row].as_py())
        types[row] = kind
        kinds[row], faults[row] = classify(out["op_kind"][row].as_py(), status, kind, messages[row].as_py())
    blank = pc.equal(messages, "")
    return {
        "failed": pa.array(failed),
        "http_status": pa.array(http.values.astype(np.int16), pa.int16(), mask=~http.known),
        "error_type": pa.array(types, pa.string()) if failed.any() else out["error_type"],
        "error_kind": pa.array(kinds, pa.string()),
        "fault": pa.array(faults, pa.string()),
        "status_message": pc.if_else(pc.fill_null(blank, True), pa.scalar(None, pa.string()), capped(messages)),
    }


def _exception_type(events: str | None) -> str | None:
    for event in orjson.loads(events) if events else []:
        if event["name"] == "exception":
            return str(event["attributes"].get("exception.type", "")) or None
    return None


def _flag_lists(flags: dict[str, Any], count: int) -> Any:
    if not any(rows.any() for rows in flags.values()):
        return pa.nulls(count, pa.list_(pa.string()))
    lists: list[list[str] | None] = [None] * count
    for name, rows in flags.items():
        for row in np.flatnonzero(rows).tolist():
            lists[row] = [*(lists[row] or []), name]
    return pa.array(lists, pa.list_(pa.string()))
