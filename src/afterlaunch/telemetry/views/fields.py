"""What calls and spans can be searched by: every typed column, under its own name or the short one that people use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from afterlaunch.telemetry.columns import BUCKETS, SPANS
from afterlaunch.telemetry.conventions import fields as mapping
from afterlaunch.telemetry.tables import CALLS

TEXT, YES_NO, NUMBER, DURATION, MONEY, LIST, ID = "text", "yes or no", "number", "duration", "money", "list", "id"


@dataclass(frozen=True)
class Field:
    """`calls` and `spans` are SQL; empty where that table does not tell it."""

    name: str
    kind: str
    calls: str
    spans: str


def _kind(name: str, of: pa.DataType) -> str | None:
    if pa.types.is_list(of):
        return LIST if of.value_type == pa.string() else None
    if name.endswith("_ns"):
        return DURATION
    if name.endswith("_nano"):
        return MONEY
    for kind, is_it in (
        (TEXT, pa.types.is_string),
        (YES_NO, pa.types.is_boolean),
        (ID, pa.types.is_fixed_size_binary),
        (NUMBER, pa.types.is_integer),
        (NUMBER, pa.types.is_floating),
    ):
        if is_it(of):
            return kind
    return None


def course(column: str) -> str:
    """SQL: whether this is noted of a failed row (`origins`)."""
    noted = f"select client, span_id from failures group by client, span_id having sum({column}) > 0"
    return f"(failed and (client, span_id) in ({noted}))"


_DIFFERS = "select client, span_id from sum_checks group by client, span_id having sum(differs) > 0"
CHECKED = f"((client, span_id) in ({_DIFFERS}))"
COURSES = {"error_propagated": course("propagated"), "recovered": course("recovered")}


def _sum(names: tuple[str, ...]) -> str:
    """NULL when none of them is known."""
    some = " or ".join(f"{name} is not null" for name in names)
    return f"(case when {some} then {' + '.join(f'coalesce({name}, 0)' for name in names)} end)"


CONTENT = ("input_text", "output_text")
TEXTS = (*CONTENT, "attributes['gen_ai.system_instructions']")
"""What people and models said, as SQL; instructions that are told apart are an attribute."""
_UNSEARCHED = {
    "start_ns",
    "minute",
    "rank",
    "events",
    "attributes",
    "mapping_version",
    "stream_key",
    "index_updated_ns",
    *CONTENT,
}
_SHORT = {
    "duration_ns": "duration",
    "ttft_ns": "ttft",
    "cost_nano": "cost",
    "cost_reported_nano": "cost_reported",
    "error_kind": "error",
    "op_kind": "kind",
    "kind": "span_kind",
    "trace_id": "trace",
    "span_id": "span",
    "parent_span_id": "parent",
    "finish_reason": "finish",
    "http_status": "http",
    "retry_after_ns": "retry_after",
}
_ONLY_CALLS = {
    "model": "coalesce(model_answered, model_requested)",
    "version": "coalesce(prompt_version, release)",
    "timeout": "(error_kind = 'timeout')",
    "provider_fault": "(fault = 'provider')",
    "refused": "(finish_reason = 'content_filter')",
    "truncated": "(finish_reason = 'length')",
}
"""What only rows of `calls` have as a column, said of spans."""


def _all() -> dict[str, Field]:
    out: dict[str, Field] = {}
    for schema in (CALLS, SPANS):
        for column in schema:
            kind = _kind(column.name, column.type)
            name = _SHORT.get(column.name, column.name)
            if kind is None or column.name in _UNSEARCHED or name in out:
                continue
            sql = f'"{column.name}"'
            calls = sql if column.name in CALLS.names else ""
            spans = sql if column.name in SPANS.names else _ONLY_CALLS.get(column.name, "")
            out[name] = Field(name, kind, calls, spans)
    for name, sql in COURSES.items():
        out[name] = Field(name, YES_NO, sql, sql)
    out["rollup_mismatch"] = Field("rollup_mismatch", YES_NO, "", CHECKED)
    for name, parts in (("input", BUCKETS[:6]), ("output", BUCKETS[6:]), ("tokens", BUCKETS)):
        out[name] = Field(name, NUMBER, _sum(parts), _sum(parts))
    return out


FIELDS: Mapping[str, Field] = _all()
ALIASES: Mapping[str, str] = {
    **{column: short for column, short in _SHORT.items() if column != "kind"},
    "latency": "duration",
    "errors": "failed",
}


def _attributes() -> Iterator[tuple[str, str]]:
    """(key, name of the field that reads it)."""
    for one in mapping.FIELDS:
        yield from ((source.key, one.name) for source in one.sources if not source.path)


ATTRIBUTES: Mapping[str, str] = {
    key: f'"{name}"'
    for key, name in _attributes()
    if name in SPANS.names and SPANS.field(name).type == pa.string() and name not in CONTENT
}
"""Attributes that are not kept as such, because a column holds what they told: name -> that column."""
