"""The tables of the embedded store, as data."""

from __future__ import annotations

from math import floor, log2

from afterlaunch.telemetry.columns import BUCKETS, DIMENSIONS

BUCKETS_PER_DOUBLING = 8
"""Latency buckets: 8 per doubling, so that a bucket's middle is within 4.4 % of every value in it."""

LATENCY = f"""case when duration_ns is not null and not coalesce(list_contains(flags, 'usage_record'), false) then
    floor({BUCKETS_PER_DOUBLING} * log2(greatest(duration_ns / 1000.0, 1)))::smallint end"""
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
    "instance",
    "model_requested",
    "stream_key",
    "part",
)
ORPHAN, NO_LEAF = "orphan_usage", "no_leaf"
"""`part` of a row of `calls`: NULL for a call; the usage record of a stream whose request is not known: its tokens
count, a call it is not; an aggregate (an agent's run, say) under which no call was told: counted once."""
CALLS = f"""
create table if not exists calls (
    {", ".join(f'"{name}" varchar' for name in CALL_TEXTS)},
    trace_id blob, span_id blob, parent_span_id blob,
    minute integer, start_ns bigint, duration_ns bigint, ttft_ns bigint,
    failed boolean, timeout boolean, provider_fault boolean, refused boolean, truncated boolean, gateway boolean,
    rank tinyint, conflict boolean, members varchar[], scopes varchar[], flags varchar[],
    {", ".join(f"{name} bigint" for name in BUCKETS)}, cost_nano bigint, latency smallint
)"""
NEWER_COLUMNS = ("instance", "model_requested", "stream_key", "part")
UPGRADES = (
    *(f"alter table calls add column if not exists {name} varchar" for name in NEWER_COLUMNS),
    "alter table calls add column if not exists flags varchar[]",
)
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
IS_CALL = f"part is distinct from '{ORPHAN}'"
_MEASURE_SQL = {
    "calls": f"count(*) filter ({IS_CALL})",
    "failed": "count(*) filter (failed)",
    "timeouts": "count(*) filter (timeout)",
    "provider_faults": "count(*) filter (provider_fault)",
    "refused": "count(*) filter (refused)",
    "truncated": "count(*) filter (truncated)",
    "cache_known_calls": f"count(in_cache_read) filter ({IS_CALL})",
    "cache_known_input": f"coalesce(sum({_INPUTS}) filter (in_cache_read is not null), 0)",
    "calls_unknown_cost": f"count(*) filter (cost_nano is null and {IS_CALL})",
    "cost_nano": "coalesce(sum(cost_nano), 0)",
    **{name: f"coalesce(sum({name}), 0)" for name in BUCKETS},
}


def roll_up(source: str, sign: int) -> str:
    """Add the calls of `source` to the rollup, or take them out again (`sign` -1)."""
    groups = ", ".join(f'"{name}"' for name in ("minute", *DIMENSIONS, "latency"))
    sums = ", ".join(f"({sign}) * ({_MEASURE_SQL[name]})" for name in MEASURES)
    return f"insert into rollup select {groups}, {sums} from {source} group by {groups}"


# Logfire tells a stream's usage apart from its request, in another trace: what both have in common (conventions §7.3).
_STREAM_KEY = """case when scope like 'logfire.%' and (in_uncached is null or list_contains(flags, 'usage_record'))
    then md5(concat_ws('|', client, coalesce(instance, hex(trace_id)), scope, model_requested, input_text)) end"""


def calls_from(spans: str, wanted: str = "cost_confidence is not null") -> str:
    """The spans that are calls or usage records, as rows of `calls`."""
    same = {name: f'"{name}"' for name in CALL_TEXTS}
    same["model"] = "coalesce(model_answered, model_requested)"
    same["version"] = "coalesce(prompt_version, release)"
    same["part"] = f"case when list_contains(flags, 'usage_record') then '{ORPHAN}' end"
    same["stream_key"] = _STREAM_KEY
    texts = ", ".join(f'{sql} as "{name}"' for name, sql in same.items())
    return f"""select {texts}, trace_id, span_id, parent_span_id, (start_ns // 60000000000)::integer as minute,
        start_ns, duration_ns, ttft_ns, failed, coalesce(error_kind = 'timeout', false) as timeout,
        coalesce(fault = 'provider', false) as provider_fault,
        coalesce(finish_reason = 'content_filter' or error_kind = 'content_filter', false) as refused,
        coalesce(finish_reason = 'length', false) as truncated, gateway,
        (case when gateway or scope = 'com.anthropic.sdk.python' then 3
              when scope = 'opentelemetry.instrumentation.anthropic' and streaming then 0 else 1 end)::tinyint as rank,
        false as conflict, [lower(hex(span_id))] as members, [coalesce(scope, '')] as scopes,
        case when list_contains(flags, 'usage_record') then ['{ORPHAN}'] end as flags,
        {", ".join(BUCKETS)}, cost_nano, {LATENCY} as latency
        from {spans} where {wanted}"""


def latency(duration_ns: int) -> int:
    """The histogram's bucket of a duration; the same as `LATENCY` in SQL."""
    return floor(BUCKETS_PER_DOUBLING * log2(max(duration_ns / 1000, 1)))


def middle_ms(bucket: int) -> float:
    """The geometric middle of a latency bucket, in milliseconds."""
    return float(2 ** ((bucket + 0.5) / BUCKETS_PER_DOUBLING)) / 1000
