"""The tables of a telemetry store, as data: what both engines keep, and under which keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry.columns import BUCKETS, DIMENSIONS, SPANS


@dataclass(frozen=True)
class Table:
    """`keys`: what makes a row unique, in the order in which a sorted engine keeps it; `instant`: the column that
    tells its age, of so many nanoseconds a unit (0: it does not age); `summed`: rows of one key are as good as their
    sum, so an engine may put them together."""

    name: str
    schema: Any
    keys: tuple[str, ...]
    instant: str
    unit_ns: int
    summed: bool = False


MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
ROW_GROUP = 8_192
"""Rows that DuckDB keeps together. A checkpoint writes the last group anew and a narrow question reads whole ones: its
own 122,880 are too many."""
CALL_TEXTS = (
    *DIMENSIONS,
    "session",
    "user",
    "transaction",
    "release",
    "gateway_call",
    "response_id",
    "cost_confidence",
    "price",
    "finish_reason",
    "error_kind",
    "fault",
    "scope",
    "instance",
    "model_requested",
    "stream_key",
    "part",
)
ORPHAN, NO_LEAF = "orphan_usage", "no_leaf"
"""`part` of a row of `calls`: NULL for a call; the usage record of a stream whose request is not known: its tokens
count, a call it is not; an aggregate (an agent's run, say) under which no call was told: counted once."""
CALL_MARKS = ("failed", "timeout", "provider_fault", "refused", "truncated", "gateway", "estimated")
CALLS = pa.schema(
    [
        *((name, pa.string()) for name in CALL_TEXTS),
        ("trace_id", pa.binary(16)),
        ("span_id", pa.binary(8)),
        ("parent_span_id", pa.binary(8)),
        ("minute", pa.int32()),  # of the start, since 1970
        ("start_ns", pa.int64()),
        ("duration_ns", pa.int64()),
        ("ttft_ns", pa.int64()),
        *((name, pa.bool_()) for name in CALL_MARKS),
        ("rank", pa.int8()),
        ("conflict", pa.bool_()),
        *((name, pa.list_(pa.string())) for name in ("members", "scopes", "flags")),
        *((name, pa.int64()) for name in BUCKETS),
        ("cost_nano", pa.int64()),
        ("adjusted_count_milli", pa.int64()),  # as of its spans; NULL: nobody tells
    ]
)
MEASURES = (
    "calls",
    "failed",
    "timeouts",
    "provider_faults",
    "cancelled",
    "refused",
    "truncated",
    "cache_known_calls",
    "cache_known_input",
    "calls_unknown_cost",
    "cost_nano",
    *BUCKETS,
    "calls_estimated",
    "tokens_estimated",
    "cost_estimated_nano",
    "calls_sampled",
    "calls_unsent_milli",
    "input_unsent",
    "output_unsent",
    "cost_unsent_nano",
)
"""What is summed. `…_estimated`: the part of the others that rests on estimated tokens. `…_unsent`: what calls of
sampled traces (`calls_sampled`) stand for beyond themselves, and no other sum holds. Every one is additive over time
and series, and a correction is a negative increment."""
SERIES = pa.schema([("id", pa.int64()), *((name, pa.string()) for name in DIMENSIONS)])
"""One row per combination of the dimensions that was ever told."""
SUMS = pa.schema([("minute", pa.int32()), ("series", pa.int64()), *((name, pa.int64()) for name in MEASURES)])
PROFILE = pa.schema(
    [
        ("minute", pa.int32()),
        ("series", pa.int64()),
        ("measure", pa.int8()),
        ("bucket", pa.int16()),
        ("calls", pa.int64()),
    ]
)
"""Exponential histograms, one row per bucket, so that adding them up is merging them (`profiles`)."""
ATTRIBUTE_COUNTS = pa.schema(
    [
        ("hour", pa.int32()),  # of the start, since 1970
        *((name, pa.string()) for name in ("client", "system", "environment", "service", "scope", "scope_version")),
        ("what", pa.string()),  # operation, field, flag, unknown
        ("key", pa.string()),
        ("spans", pa.int64()),
    ]
)
"""How often senders told what (`tally`); what is not known is an empty text."""
FAILURES = pa.schema(
    [
        ("client", pa.string()),
        ("start_ns", pa.int64()),
        ("trace_id", pa.binary(16)),
        ("span_id", pa.binary(8)),
        ("series", pa.int64()),
        ("code", pa.int16()),
        ("propagated", pa.int64()),
        ("recovered", pa.int64()),
        ("changes", pa.int64()),
    ]
)
"""Failed calls and operations that only passed a failure on (1), or that a retry or a fallback made good (1): sums over
the rows of one span (`origins`). `code`: the kind of failure (`profiles`)."""
SUM_CHECKS = pa.schema(
    [
        *(("client", pa.string()), ("start_ns", pa.int64()), ("trace_id", pa.binary(16)), ("span_id", pa.binary(8))),
        *(("differs", pa.int64()), ("changes", pa.int64())),
    ]
)
"""Spans whose own sum of tokens is not that of the calls below them (1): sums over the rows of one (`sum_checks`)."""
DEAD_LETTERS = pa.schema([("at_ns", pa.int64()), ("client", pa.string()), ("why", pa.string()), ("body", pa.binary())])

TIERS = {"minute": 1, "hour": 60, "day": 1440}
"""Rollups are kept by the minute and added up by the hour and the day (UTC): name -> minutes."""
SPAN_TABLE = Table("spans", SPANS, ("client", "trace_id", "span_id"), "start_ns", 1)
CALL_TABLE = Table("calls", CALLS, ("client", "start_ns", "span_id"), "start_ns", 1)
SERIES_TABLE = Table("series", SERIES, ("id",), "", 0)
SUM_TABLES = {tier: Table(f"sums_{tier}", SUMS, ("minute", "series"), "minute", MINUTE_NS, True) for tier in TIERS}
PROFILE_TABLES = {
    tier: Table(f"profile_{tier}", PROFILE, ("minute", "series", "measure", "bucket"), "minute", MINUTE_NS, True)
    for tier in TIERS
}
COUNT_TABLE = Table("attribute_counts", ATTRIBUTE_COUNTS, tuple(ATTRIBUTE_COUNTS.names[:-1]), "hour", HOUR_NS, True)
FAILURE_TABLE = Table("failures", FAILURES, tuple(FAILURES.names[:6]), "start_ns", 1, True)
CHECK_TABLE = Table("sum_checks", SUM_CHECKS, tuple(SUM_CHECKS.names[:4]), "start_ns", 1, True)
DEAD_TABLE = Table("dead_letter", DEAD_LETTERS, ("at_ns", "client"), "at_ns", 1)
TABLES = (
    *(SPAN_TABLE, CALL_TABLE, SERIES_TABLE, *SUM_TABLES.values(), *PROFILE_TABLES.values()),
    *(COUNT_TABLE, FAILURE_TABLE, CHECK_TABLE, DEAD_TABLE),
)
