"""From an OTLP body to canonical columns: decode, map, count, classify, price. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.conventions import fields as f
from afterlaunch.telemetry.conventions.arrow import capped, flag_lists, nulls, valid
from afterlaunch.telemetry.conventions.attributes import Attributes, Words
from afterlaunch.telemetry.conventions.endings import endings
from afterlaunch.telemetry.conventions.identity import HOUSE, envelope, identity
from afterlaunch.telemetry.conventions.kinds import CALLS, Kinds
from afterlaunch.telemetry.conventions.money import Models, price_rows
from afterlaunch.telemetry.conventions.tokens import Count, exclusive, fill_from_raw
from afterlaunch.telemetry.otlp import Decoded, decode, to_protobuf

__all__ = ["HOUSE", "Normalised", "normalise"]
AS_WORDS = (
    *("provider", "model_requested", "model_answered", "service_tier", "finish_reason", "error_type"),
    *("tenant", "agent", "workflow", "route", "tool", "prompt_name", "prompt_version", "arm"),
)
_OUTPUT_ID = r'"id"\s*:\s*"(?P<id>(?:chatcmpl|msg|resp|gen)[^"]+)"'
SERVER, CONSUMER = 2, 5  # OTLP span kinds of requests that come in


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
    if not len(decoded.spans):
        return Normalised(SPANS.empty_table())
    columns, good = _columns(decoded, client, len(decoded.spans))
    table = pa.Table.from_arrays([columns[name] for name in SPANS.names], schema=SPANS)
    if good.all():
        return Normalised(table)
    rejected, first = int((~good).sum()), int(np.argmin(good))
    said = f"{rejected} spans have no valid ids; the first is number {first} of the request"
    return Normalised(table.filter(pa.array(good)), rejected, [said])


def _columns(decoded: Decoded, client: str | None, count: int) -> tuple[dict[str, Any], Bools]:
    """(the columns of `SPANS`, which rows have ids that can be ids)."""
    out, good = envelope(decoded, count)
    entry = np.isin(out["kind"].to_numpy(), (SERVER, CONSUMER))
    attributes = Attributes(decoded.attributes, count, f.SPAN, dict.fromkeys(f.ENTRY_ONLY, entry))
    words, text = attributes.words(f.WORDS), attributes.texts(f.TEXT)
    whole = {name: Count(*found) for name, found in attributes.integers(f.INTEGER).items()}
    fill_from_raw(whole, text["usage_raw"], f.USAGE_RAW)
    out |= identity(decoded, words, client, count)
    told = words.columns(AS_WORDS, {"finish_reason": _finish, "provider": _provider}) | text
    for name in ("session", "user", "tenant"):
        told[name] = told[name] if out[name].null_count == count else pc.coalesce(told[name], out[name])
    out |= told
    out["input_text"], out["output_text"] = capped(text["input_text"]), capped(text["output_text"])
    streaming, said = attributes.booleans("streaming")
    out["streaming"] = pa.array(streaming, mask=~said) if said.any() else nulls(count, pa.bool_())
    out["gateway"] = pa.array(attributes.booleans("gateway")[0])
    model = valid(out["model_answered"]) | valid(out["model_requested"])
    kinds = Kinds(words, valid(out["tool"]), whole["in_total"].known & model)
    out["op_kind"], calls = kinds.column(), kinds.among(*CALLS)
    out["response_id"] = _response_id(text["response_id"], text["output_text"], calls)
    out |= _measure(attributes, out["duration_ns"])
    flags = _tokens_and_money(out, whole, kinds, words)
    flags["usage_record"] = calls & words.equal("logfire_type", "log")
    out |= endings(out, whole["http_status"])
    out["flags"] = flag_lists(flags, count)
    out["attributes"] = attributes.rest()
    out["mapping_version"] = pa.repeat(pa.scalar(f.MAPPING_VERSION, pa.int16()), count)
    return out, good


def _provider(word: str) -> str | None:
    low = word.strip().lower()
    return f.PROVIDERS.get(low, low)


def _finish(word: str) -> str | None:
    """The first finish reason, in our words: told as a text, or as a list."""
    first = _first(word)
    low = (first or "").strip().lower()
    return None if first is None else f.FINISH.get(low, low)


def _first(word: str) -> str | None:
    if not word.startswith("["):
        return word
    try:
        values = orjson.loads(word)
    except orjson.JSONDecodeError:
        return word
    return str(values[0]) if values else None


def _response_id(told: Any, output: Any, calls: Bools) -> Any:
    """OpenInference keeps the response's id only inside the output's JSON."""
    rows = np.flatnonzero(calls & ~valid(told) & valid(output))
    if not len(rows):
        return told
    found = pc.extract_regex(pc.utf8_slice_codeunits(output.take(pa.array(rows)), 0, 4096), _OUTPUT_ID).field("id")
    mask = np.zeros(len(told), bool)
    mask[rows] = True
    return pc.replace_with_mask(told, pa.array(mask), found)


def _measure(attributes: Attributes, duration: Any) -> dict[str, Any]:
    count = attributes.count
    out = {"ttft_ns": nulls(count, pa.int64()), "cost_reported_nano": nulls(count, pa.int64())}
    if attributes.has("ttft_seconds"):
        first = np.rint(attributes.numbers("ttft_seconds") * 1e9)
        inside = valid(duration) & (first <= duration.fill_null(0).to_numpy())
        out["ttft_ns"] = pa.array(np.where(inside, first, 0).astype(np.int64), mask=~inside)
    if attributes.has("cost_reported"):
        cost = np.ceil(attributes.numbers("cost_reported") * 1e9)
        known = cost < 2.0**62
        out["cost_reported_nano"] = pa.array(np.where(known, cost, 0).astype(np.int64), mask=~known)
    return out


def _tokens_and_money(out: dict[str, Any], whole: dict[str, Count], kinds: Kinds, words: Words) -> dict[str, Bools]:
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
    heard, spoken = buckets.counts["in_uncached"], buckets.counts["out_visible"]
    none = kinds.among("embedding", "rerank") & heard.known & ~spoken.known
    buckets.counts["out_visible"] = Count(spoken.values, spoken.known | none)
    out |= {name: count.column() for name, count in buckets.counts.items()}
    makers = [_provider(word) if word is not None else None for word in words.distinct]
    asked = Models(
        (makers, words.distinct, words.distinct),
        tuple(words.code(name) for name in ("provider", "model_answered", "model_requested")),
        out["start_ns"].to_numpy(),
    )
    costs = price_rows(kinds.among(*CALLS), asked, buckets.counts)
    out |= costs.columns()
    return {**buckets.flags, **costs.flags}
