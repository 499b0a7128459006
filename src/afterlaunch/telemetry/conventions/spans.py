"""The columns of a batch of spans, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.prices.buckets import Count, exclusive
from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.conventions import fields as f
from afterlaunch.telemetry.conventions.arrow import capped, flag_lists, lengths, nulls, valid, without
from afterlaunch.telemetry.conventions.attributes import Layer, Words
from afterlaunch.telemetry.conventions.batch import Batch
from afterlaunch.telemetry.conventions.content import FIELD as CONTENT
from afterlaunch.telemetry.conventions.content import content
from afterlaunch.telemetry.conventions.course import cost_reported, finish_reasons, first_token, streamed
from afterlaunch.telemetry.conventions.dialects import written_in
from afterlaunch.telemetry.conventions.endings import endings
from afterlaunch.telemetry.conventions.evaluations import evaluations
from afterlaunch.telemetry.conventions.events import links
from afterlaunch.telemetry.conventions.identity import envelope, identity, scope_of
from afterlaunch.telemetry.conventions.leftovers import leftovers
from afterlaunch.telemetry.conventions.limits import limit_columns
from afterlaunch.telemetry.conventions.money import (
    DOUBTED,
    PROCESSING,
    WORDS_PRICED_BY,
    Models,
    believe_sender,
    doubt,
    price_by_client,
)
from afterlaunch.telemetry.conventions.parameters import parameters
from afterlaunch.telemetry.conventions.retrieval import documents, with_instants
from afterlaunch.telemetry.conventions.sampling import adjusted_counts
from afterlaunch.telemetry.conventions.tokens import OVERLAYS, semantics_column, source_column
from afterlaunch.telemetry.conventions.who import by_client_only
from afterlaunch.telemetry.otlp import Decoded

AHEAD_NS = 600_000_000_000
AS_WORDS = (
    *("provider", "model_requested", "model_answered", "response_status", "service_tier", "endpoint"),
    *("finish_reason", "error_type", "operation", "agent", "agent_version", "workflow", "route", "tool", "tool_type"),
    *("data_source", "prompt_name", "prompt_version", "arm"),
)
AS_TEXTS = ("transaction", "previous_response_id", "provider_request_id", "tool_call_id", "agent_id", "gateway_call")
RAW_USAGE = {"negative_bucket", "cache_exceeds_input", "cache_write_split_exceeds_total", "total_mismatch"}
RAW_USAGE |= {"invalid_value", "unit_suspect"}
"""Where one of these is set, the attributes that told the numbers stay."""
_OUTPUT_ID = r'\\?"id\\?"\s*:\s*\\?"(?P<id>(?:chatcmpl|cmpl|msg|resp|gen)[^"\\]+)\\?"'


def columns(decoded: Decoded, client: str | None, received_ns: int) -> tuple[dict[str, Any], Bools]:
    """(the columns of `SPANS`, which rows have ids that can be ids). Raises Invalid for what does not decode."""
    batch = Batch(decoded, client, received_ns)
    for stage in STAGES:
        stage(batch)
    return batch.out, batch.good


def unmapped(decoded: Decoded, client: str | None) -> tuple[dict[str, Any], Bools]:
    """The spans as they came, marked `mapping_failed`: nothing is read but what every span has."""
    out, good, _ = envelope(decoded)
    count = len(decoded.spans)
    told, _ = identity(decoded, Words({}, [], count), client, count)
    layer = Layer(decoded.attributes, count, {"entry": lambda: np.zeros(count, bool)} | _nowhere(count))
    out |= told
    out["attributes"], _ = leftovers(layer, np.zeros(len(decoded.attributes.codes), bool))
    out["op_kind"] = pa.repeat(pa.scalar("other"), count)
    out["failed"] = pa.array(out["status"].to_numpy() == 2)
    out["gateway"] = pa.array(np.zeros(count, bool))
    out["flags"] = pa.array([["mapping_failed"]] * count, pa.list_(pa.string()))
    out["mapping_version"] = pa.repeat(pa.scalar(f.MAPPING_VERSION, pa.int16()), count)
    return {name: out.get(name, nulls(count, SPANS.field(name).type)) for name in SPANS.names}, good


def _nowhere(count: int) -> dict[str, Callable[[], Bools]]:
    return {"claude_code": lambda: np.zeros(count, bool)}


def who_and_what(batch: Batch) -> None:
    """Client, system, service; kind, provider, models, agent, tool, route, session."""
    _unconfirmed(batch)
    words = finish_reasons(batch.words, batch.text["output_text"], batch.calls)
    told, unnamed = identity(batch.decoded, words, batch.client, batch.count)
    batch.flag("service_unknown", unnamed)
    own = words.columns((*AS_WORDS, "tenant", "params_whole"))
    batch.out |= told
    batch.out |= {name: own[name] for name in AS_WORDS}
    batch.out |= {name: batch.text[name] for name in AS_TEXTS}
    for name, column in (("session", batch.text["session"]), ("user", batch.text["user"]), ("tenant", own["tenant"])):
        alone = told[name].null_count == batch.count
        batch.out[name] = column if alone else pc.coalesce(column, told[name])
    batch.out["op_kind"] = batch.kinds.column()
    batch.out["request_params"] = parameters(batch.layer, own["params_whole"], batch.gone)
    batch.out["response_id"] = _response_id(batch.text["response_id"], batch.text["output_text"], batch.calls)
    batch.out["dialects"] = written_in(batch.layer, batch.decoded, words, batch.claude)
    batch.flag("provider_by_client_only", by_client_only(words))
    batch.flag("usage_record", batch.calls & words.among("logfire_type", "log"))
    batch.words = words


def _unconfirmed(batch: Batch) -> None:
    """Logfire writes the model that was asked for as the one that answered, where the answer was streamed."""
    words = batch.words
    by_scope = [scope_of(blob)[0].startswith("logfire.") for blob in batch.decoded.scopes]
    if not any(by_scope) or "model_answered" not in words.codes:
        return
    logfire = np.array(by_scope)[batch.decoded.scope]
    streamed = words.among("logfire_type", "log") | ~batch.whole["in_total"].known
    same = words.code("model_answered") == words.code("model_requested")
    rows = logfire & streamed & same
    codes = {**words.codes, "model_answered": np.where(rows, -1, words.codes["model_answered"])}
    batch.words = Words(codes, words.distinct, words.count)


def _response_id(told: Any, output: Any, calls: Bools) -> Any:
    """OpenInference keeps the response's id only inside the output's JSON."""
    rows = np.flatnonzero(calls & ~valid(told) & valid(output))
    if not len(rows):
        return told
    found = pc.extract_regex(pc.utf8_slice_codeunits(output.take(pa.array(rows)), 0, 4096), _OUTPUT_ID).field("id")
    found = without(found, lengths(found) == 0)
    mask = np.zeros(len(told), bool)
    mask[rows] = True
    return pc.replace_with_mask(told, pa.array(mask), found)


def marks(batch: Batch) -> None:
    """Yes or no, and single numbers."""
    reading = batch.reading
    batch.out["streaming"] = batch.yes_no(*streamed(reading, batch.words))
    batch.out["batch"] = batch.yes_no(*reading.booleans("batch"))
    batch.out["cache_hit"] = batch.yes_no(*reading.booleans("cache_hit"))
    compacted, _ = reading.booleans("compacted")
    batch.out["compacted"] = batch.yes_no(compacted, compacted)
    batch.out["gateway"] = pa.array(reading.booleans("gateway")[0] | batch.words.known("proxy_key"))
    batch.out |= {name: batch.whole[name].column() for name in OVERLAYS}
    batch.out["top_k"] = Count(*reading.integer("top_k")).column()
    batch.out["ttft_ns"], suspect, invalid = first_token(
        reading, batch.events, batch.text["ttft_at"], batch.start_ns, batch.out["duration_ns"]
    )
    batch.flag("unit_suspect", suspect)
    batch.flag("invalid_value", invalid)


def tokens_and_money(batch: Batch) -> None:
    buckets = exclusive(batch.whole, batch.meaning)
    # An embedding or a ranking has no answer in tokens: none is a fact there, not a gap.
    heard, spoken = buckets.counts["in_uncached"], buckets.counts["out_visible"]
    none = batch.kinds.among("embedding", "rerank") & heard.known & ~spoken.known
    buckets.counts["out_visible"] = Count(spoken.values, spoken.known | none)
    told = batch.whole["in_total"].known | batch.whole["out_total"].known
    batch.out |= {name: count.column() for name, count in buckets.counts.items()}
    batch.out["usage_semantics"] = semantics_column(buckets, told)
    batch.out["usage_source"] = source_column(batch.reading, told, batch.estimated)
    words = batch.words
    in_batch = np.where(batch.reading.booleans("batch")[0], 0, -1)
    codes = (*(words.code(name) for name in WORDS_PRICED_BY), in_batch)
    models = Models((*(words.distinct,) * len(WORDS_PRICED_BY), PROCESSING), codes, batch.start_ns)
    costs = price_by_client(batch.calls, batch.out["client"], models, buckets.counts, batch.whole)
    reported, known, invalid = cost_reported(batch.reading)
    believe_sender(costs, batch.calls, reported, known)
    for rows in (costs.flags["cost_mismatch"], batch.odd_counts, *(buckets.flags[name] for name in DOUBTED)):
        doubt(costs, rows)
    batch.out["cost_reported_nano"] = Count(reported, known).column()
    batch.out |= costs.columns()
    batch.flag("invalid_value", invalid)
    for name, rows in {**buckets.flags, **costs.flags}.items():
        batch.flag(name, rows)


def said_and_found(batch: Batch) -> None:
    """Content, documents, evaluations, limits, events, and how it ended."""
    out, cut = batch.out, batch.events.cut
    texts = content(batch.reading, batch.events, {name: batch.text[name] for name in CONTENT.values()}, batch.gone)
    for name, whole in texts.items():
        out[name] = capped(whole)
        cut = cut if out[name] is whole else cut | (lengths(out[name]) < lengths(whole))
    batch.flag("content_truncated", cut)
    out |= _documents(batch)
    out |= evaluations(batch.reading, batch.words, batch.events)
    out |= limit_columns(batch.layer, batch.start_ns, out["duration_ns"])
    out |= endings(batch.reading, batch.events, batch.words, batch.text, out)
    out["events"], out["links"] = batch.events.column(), links(batch.decoded.spans.field("links"), batch.count)
    state = batch.decoded.spans.field("trace_state")
    out["trace_state"] = without(state, lengths(state) == 0)
    ours = batch.reading.booleans("gateway")[0]
    out["adjusted_count_milli"] = adjusted_counts(batch.reading, out["trace_state"], out.pop("sampled_share"), ours)


def _documents(batch: Batch) -> dict[str, Any]:
    """Where the list holds more than ids and scores, and no other answer is told, it is the answer's text too."""
    listed, told_count = _listed(batch), batch.reading.integer("document_count")
    columns, whole = documents(batch.layer, listed, batch.events, told_count, batch.gone)
    columns["index_updated_ns"] = with_instants(columns["index_updated_ns"], batch.text["index_updated"])
    places = batch.layer.places("documents")
    if places is not None:
        more = valid(listed) & ~whole & ~valid(batch.out["output_text"])
        batch.gone[places[(places >= 0) & (whole | more)]] = True
        if more.any():
            batch.out["output_text"] = pc.if_else(pa.array(more), capped(listed), batch.out["output_text"])
    return columns


def _listed(batch: Batch) -> Any:
    """Lists of documents; a retriever of Langfuse tells them as its output."""
    listed, retrievers = batch.text["documents"], batch.words.among("langfuse_type", "retriever")
    if not retrievers.any():
        return listed
    output = batch.text["output_text"]
    return pc.coalesce(listed, pc.if_else(pa.array(retrievers), output, pa.scalar(None, output.type)))


def what_is_left(batch: Batch) -> None:
    """The attributes that no column holds, and the flags."""
    layer = batch.layer
    ahead = batch.start_ns > batch.received_ns + AHEAD_NS if batch.received_ns else np.zeros(batch.count, bool)
    batch.flag("clock_skew", ahead)
    batch.flag("duplicate_attribute", layer.duplicated())
    for name, owners in (("redacted", layer.pairs.owner[layer.redacted]), ("usage_key_unknown", _unknown_usage(layer))):
        rows = np.zeros(batch.count, bool)
        rows[owners] = True
        batch.flag(name, rows)
    odd = np.zeros(batch.count, bool)
    for name in RAW_USAGE & batch.flags.keys():
        odd |= batch.flags[name]
    if odd.any():
        batch.gone &= ~(odd[layer.pairs.owner] & layer.numeric())
    batch.gone[batch.reading.unread()] = False
    batch.out["attributes"], cut = leftovers(layer, batch.gone)
    batch.flag("content_truncated", cut)
    batch.out["flags"] = flag_lists(batch.flags, batch.count)
    batch.out["inherited"] = nulls(batch.count, pa.list_(pa.string()))  # told at the commit, by what came together
    batch.out["mapping_version"] = pa.repeat(pa.scalar(f.MAPPING_VERSION, pa.int16()), batch.count)


def _unknown_usage(layer: Layer) -> Any:
    """Owners of a usage key that no rule knows: it is kept, never priced, and reported."""
    found = [layer.of_key(code)[0] for code in layer.plan.unknown_usage]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


STAGES: tuple[Callable[[Batch], None], ...] = (who_and_what, marks, tokens_and_money, said_and_found, what_is_left)
