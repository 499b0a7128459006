"""The tables of the embedded store, as data."""

from __future__ import annotations

from afterlaunch.telemetry.columns import BUCKETS, DIMENSIONS

BUCKETS_PER_DOUBLING = 8
"""Latency buckets: 8 per doubling, so that a bucket's middle is within 4.4 % of every value in it."""

CALL_TEXTS = (
    *DIMENSIONS,
    "session",
    "user",
    "release",
    "gateway_call",
    "response_id",
    "cost_confidence",
    "price",
    "finish_reason",
    "error_kind",
    "fault",
    "scope",
    "op_kind",
)
CALLS = f"""
create table if not exists calls (
    {", ".join(f'"{name}" varchar' for name in CALL_TEXTS)},
    trace_id blob, span_id blob, parent_span_id blob,
    minute integer, start_ns bigint, duration_ns bigint, ttft_ns bigint,
    failed boolean, timeout boolean, provider_fault boolean, refused boolean, truncated boolean, gateway boolean,
    rank tinyint, conflict boolean, members varchar[], scopes varchar[],
    {", ".join(f"{name} bigint" for name in BUCKETS)}, cost_nano bigint, latency smallint
)"""
MEASURES = (
    "calls",
    "failed",
    "timeouts",
    "provider_faults",
    "refused",
    "truncated",
    "cache_known_calls",
    "cache_known_input",
    "calls_unknown_cost",
    "cost_nano",
    *BUCKETS,
)
ROLLUP = f"""
create table if not exists rollup (
    minute integer, {", ".join(f'"{name}" varchar' for name in DIMENSIONS)}, latency smallint,
    {", ".join(f"{name} bigint" for name in MEASURES)}
)"""
DEAD_LETTER = "create table if not exists dead_letter (at_ns bigint, client varchar, why varchar, body blob)"

_INPUTS = "+".join(f"coalesce({name}, 0)" for name in BUCKETS[:6])
_MEASURE_SQL = {
    "calls": "count(*)",
    "failed": "count(*) filter (failed)",
    "timeouts": "count(*) filter (timeout)",
    "provider_faults": "count(*) filter (provider_fault)",
    "refused": "count(*) filter (refused)",
    "truncated": "count(*) filter (truncated)",
    "cache_known_calls": "count(in_cache_read)",
    "cache_known_input": f"coalesce(sum({_INPUTS}) filter (in_cache_read is not null), 0)",
    "calls_unknown_cost": "count(*) filter (cost_nano is null)",
    "cost_nano": "coalesce(sum(cost_nano), 0)",
    **{name: f"coalesce(sum({name}), 0)" for name in BUCKETS},
}


def roll_up(source: str, sign: int) -> str:
    """Add the calls of `source` to the rollup, or take them out again (`sign` -1)."""
    groups = ", ".join(f'"{name}"' for name in ("minute", *DIMENSIONS, "latency"))
    sums = ", ".join(f"({sign}) * ({_MEASURE_SQL[name]})" for name in MEASURES)
    return f"insert into rollup select {groups}, {sums} from {source} group by {groups}"


def calls_from(spans: str) -> str:
    """The spans that are calls, as rows of `calls`."""
    same = {name: f'"{name}"' for name in CALL_TEXTS}
    same["model"] = "coalesce(model_answered, model_requested)"
    same["version"] = "coalesce(prompt_version, release)"
    texts = ", ".join(f'{sql} as "{name}"' for name, sql in same.items())
    return f"""select {texts}, trace_id, span_id, parent_span_id, (start_ns // 60000000000)::integer as minute,
        start_ns, duration_ns, ttft_ns, failed, coalesce(error_kind = 'timeout', false) as timeout,
        coalesce(fault = 'provider', false) as provider_fault,
        coalesce(finish_reason = 'content_filter' or error_kind = 'content_filter', false) as refused,
        coalesce(finish_reason = 'length', false) as truncated, gateway,
        (case when gateway or scope = 'com.anthropic.sdk.python' then 3
              when scope = 'opentelemetry.instrumentation.anthropic' and streaming then 0 else 1 end)::tinyint as rank,
        false as conflict, [lower(hex(span_id))] as members, [coalesce(scope, '')] as scopes,
        {", ".join(BUCKETS)}, cost_nano,
        case when duration_ns is not null then
            floor({BUCKETS_PER_DOUBLING} * log2(greatest(duration_ns / 1000.0, 1)))::smallint end as latency
        from {spans} where cost_confidence is not null"""


def middle_ms(bucket: int) -> float:
    """The geometric middle of a latency bucket, in milliseconds."""
    return float(2 ** ((bucket + 0.5) / BUCKETS_PER_DOUBLING)) / 1000
