"""From stored spans to rows of `calls`: column by column. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.tables import CALLS, MINUTE_NS, ORPHAN

_MORE = ("model_answered", "prompt_version", "streaming")
_READ = [name for name in SPANS.names if name in CALLS.names or name in _MORE]


def of_spans(spans: Any) -> Any:
    """The spans (schema SPANS) that are calls or usage records, as a table of the schema CALLS."""
    rows = _with_values(spans.select(_READ), spans["cost_confidence"].is_valid())
    if not rows.num_rows:
        return CALLS.empty_table()
    out: dict[str, Any] = {name: rows[name] for name in CALLS.names if name in rows.column_names}
    record = _flagged(rows["flags"], "usage_record")
    out["model"] = pc.coalesce(rows["model_answered"], rows["model_requested"])
    out["version"] = pc.coalesce(rows["prompt_version"], rows["release"])
    out["part"] = pc.if_else(record, pa.scalar(ORPHAN), pa.scalar(None, pa.string()))
    out["flags"] = _flags(record)
    out["stream_key"] = _stream_keys(rows, record, spans)
    out["minute"] = pa.array((rows["start_ns"].to_numpy() // MINUTE_NS).astype(np.int32))
    out["timeout"] = _equals(rows["error_kind"], "timeout")
    out["provider_fault"] = _equals(rows["fault"], "provider")
    filtered = _equals(rows["finish_reason"], "content_filter")
    out["refused"] = pc.or_(filtered, _equals(rows["error_kind"], "content_filter"))
    out["truncated"] = _equals(rows["finish_reason"], "length")
    out["estimated"] = _flagged(rows["flags"], "usage_estimated")
    out["rank"] = pc.if_else(out["estimated"], -1, _rank(rows)).cast(pa.int8())
    out["conflict"] = pa.array(np.zeros(rows.num_rows, bool))
    out["members"] = _each_alone(hex_of(rows["span_id"]))
    out["scopes"] = _each_alone(pc.fill_null(rows["scope"], "").combine_chunks())
    return pa.table({name: out[name] for name in CALLS.names}, schema=CALLS)


def _with_values(rows: Any, wanted: Any) -> Any:
    """The wanted rows, each column in one piece; columns without a value share their NULLs."""
    empty = [
        name for name, column in zip(rows.column_names, rows.columns, strict=True) if column.null_count == len(column)
    ]
    held = rows.drop_columns(empty).filter(wanted).combine_chunks()
    nothing = {kind: pa.nulls(held.num_rows, kind) for kind in {rows.schema.field(name).type for name in empty}}
    told = {name: nothing[rows.schema.field(name).type] if name in empty else held[name] for name in rows.column_names}
    return pa.table(told, schema=rows.schema)


def _equals(column: Any, value: str) -> Any:
    return pc.fill_null(pc.equal(column, value), False)


def _flagged(flags: Any, name: str) -> Any:
    """Which lists hold this flag."""
    lists = flags.combine_chunks()
    out = np.zeros(len(lists), bool)
    if lists.null_count < len(lists):
        hits = pc.equal(lists.flatten(), name)
        out[pc.list_parent_indices(lists).filter(hits).to_numpy()] = True
    return pa.array(out)


def _flags(record: Any) -> Any:
    if not pc.any(record).as_py():
        return pa.nulls(len(record), pa.list_(pa.string()))
    return pa.array([[ORPHAN] if one else None for one in record.to_pylist()], pa.list_(pa.string()))


def _rank(rows: Any) -> Any:
    """Whose numbers count first: the gateway's and the provider's own client's; the stream of a known-bad one last, but
    for estimates."""
    own = pc.or_(rows["gateway"], _equals(rows["scope"], "com.anthropic.sdk.python"))
    bad = pc.and_(
        _equals(rows["scope"], "opentelemetry.instrumentation.anthropic"), pc.fill_null(rows["streaming"], False)
    )
    return pc.if_else(own, 3, pc.if_else(bad, 0, 1)).cast(pa.int8())


def hex_of(ids: Any) -> Any:
    """A binary(8) column without NULLs as lower-case hex text, without a loop."""
    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    width = whole.type.byte_width
    raw = whole.buffers()[1]
    text = memoryview(raw)[whole.offset * width : (whole.offset + len(whole)) * width].hex().encode()
    offsets = np.arange(len(whole) + 1, dtype=np.int32) * (2 * width)
    return pa.StringArray.from_buffers(len(whole), pa.py_buffer(offsets), pa.py_buffer(text))


def _each_alone(values: Any) -> Any:
    """One list of one value per row."""
    return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), values)


def _stream_keys(rows: Any, record: Any, spans: Any) -> Any:
    """Logfire tells a stream's usage apart from its request, in another trace: what both have in common (conventions
    §7.3)."""
    logfire = pc.fill_null(pc.starts_with(rows["scope"], "logfire."), False)
    meant = pc.and_(logfire, pc.or_(pc.is_null(rows["in_uncached"]), record)).to_numpy(zero_copy_only=False)
    keys: list[str | None] = [None] * rows.num_rows
    if not meant.any():
        return pa.array(keys, pa.string())
    columns = [rows[name] for name in ("client", "instance", "trace_id", "scope", "model_requested")]
    columns.append(spans["input_text"].filter(spans["cost_confidence"].is_valid()))
    for place in np.flatnonzero(meant).tolist():
        client, instance, trace, *asked = (column[place].as_py() for column in columns)
        told = [client, instance or trace.hex(), *asked]
        text = "|".join(one for one in told if one is not None)
        keys[place] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return pa.array(keys, pa.string())
