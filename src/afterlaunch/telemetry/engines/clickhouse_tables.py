"""How the tables of a telemetry store lie in ClickHouse, as data, and the DDL made from it. Pure.

On one server a table is a MergeTree of its own name. On a cluster every shard keeps a replicated part `<name>_local`,
and `<name>` is the Distributed table over them, so that questions are the same on both; `series`, which all questions
join, is small and kept whole on every node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from afterlaunch.telemetry.tables import FAILURES, MEASURES, MINUTE_NS, TIERS, Table

DAY_NS = 1440 * MINUTE_NS
SANE_NS = (1_577_836_800 * 10**9, 2_208_988_800 * 10**9)
"""2020 to 2040: rows of other times, from clocks that are wrong, share one partition."""
WINDOW, WINDOW_SECONDS = 10_000, 7 * 86_400
"""So many of the newest inserts of a table, for so long on a cluster, are known by their token."""
ROW_VERSION, ROW_GONE = "_version", "_gone"
_TYPES = {
    pa.string(): "String",
    pa.bool_(): "Bool",
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.float64(): "Float64",
    pa.binary(): "String",
}
_MANY = {
    *(
        "session",
        "user",
        "transaction",
        "tenant",
        "response_id",
        "gateway_call",
        "stream_key",
        "instance",
        "status_message",
    ),
    *("input_text", "output_text", "events", "body", "why", "workflow", "links", "limits", "document_ids"),
    *("previous_response_id", "provider_request_id", "tool_call_id", "trace_state"),
}
"""Texts of many distinct values; the others are kept as numbers into a dictionary."""
_WHOLE = {"members", "scopes", "flags"}
"""Lists without a gap; in others a part may be unknown."""
_LONG = {"input_text", "output_text", "events", "attributes", "status_message", "body", "exemplar_trace"}
CONTENT_CODEC = "ZSTD(3)"


@dataclass(frozen=True)
class Layout:
    """`family`: which MergeTree, with its arguments; `shard`: rows of one value stay together, "" keeps the whole
    table on every node; `days`: so many of `instant` lie in one partition, 0 for all of them; `more`: columns beside
    those of the table."""

    family: str
    order: tuple[str, ...]
    shard: str
    days: int = 7
    more: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()


_BY_TRACE = "index by_trace trace_id type bloom_filter(0.01) granularity 1"
_LAYOUTS = {
    "spans": Layout(
        "ReplacingMergeTree", ("start_ns", "span_id", "client", "trace_id"), "trace_id", 1, indexes=(_BY_TRACE,)
    ),
    "calls": Layout(
        f"ReplacingMergeTree({ROW_VERSION}, {ROW_GONE})",
        ("client", "start_ns", "span_id"),
        "span_id",
        more=(
            f"{ROW_VERSION} UInt64 default toUnixTimestamp64Nano(now64(9))",
            f"{ROW_GONE} UInt8 default 0",
        ),
        indexes=(_BY_TRACE, f"index by_arrival {ROW_VERSION} type minmax granularity 1"),
    ),
    "series": Layout("ReplacingMergeTree", ("id",), "", days=0),
    "dead_letter": Layout("MergeTree", ("at_ns", "client"), "client"),
}
UNVERSIONED = frozenset({"spans", "dead_letter"})
"""Their rows are told apart before they are written, so questions read them as they lie."""


def layout(table: Table) -> Layout:
    """Where nothing else is said: one row per key, together with those of the same first key."""
    if table.summed:
        summed = ", ".join(f'"{name}"' for name in table.schema.names if name not in table.keys)
        return Layout(f"SummingMergeTree(({summed}))", table.keys, "series" if "series" in table.keys else "client")
    return _LAYOUTS.get(table.name) or Layout("ReplacingMergeTree", table.keys, table.keys[0], 1)


def column_type(name: str, kind: Any, required: bool) -> str:
    """The ClickHouse type of an Arrow column. Lists and maps have no NULL: an empty one stands for it. KeyError."""
    if pa.types.is_map(kind):
        return "Map(LowCardinality(String), String)"
    if pa.types.is_list(kind):
        return f"Array({column_type(name, kind.value_type, name in _WHOLE)})"
    text = f"FixedString({kind.byte_width})" if pa.types.is_fixed_size_binary(kind) else _TYPES[kind]
    if not required:
        text = f"Nullable({text})"
    return f"LowCardinality({text})" if kind == pa.string() and name not in _MANY else text


def columns(table: Table) -> dict[str, str]:
    """Name -> type and codec."""
    out = {}
    for field in table.schema:
        required = table.summed or field.name in (*layout(table).order, table.instant, "client")
        kind = column_type(field.name, field.type, required)
        if field.name in _LONG:
            kind += f" codec({CONTENT_CODEC})"
        elif field.name in ("start_ns", "at_ns"):
            kind += " codec(Delta, ZSTD(1))"
        out[field.name] = kind
    return out


@dataclass(frozen=True)
class Site:
    """One server, or the cluster of that name in its configuration; `keep`: days that rows of a table are kept, None
    says nothing of it."""

    database: str
    cluster: str = ""
    keep: Mapping[str, int] | None = None

    @property
    def everywhere(self) -> str:
        return f" on cluster '{self.cluster}'" if self.cluster else ""

    def kept_in(self, name: str, placed: Layout) -> str:
        """The name of the table that holds the rows themselves."""
        return f"{name}_local" if self.cluster and placed.shard else name


def ddl(tables: Sequence[Table], site: Site) -> Iterator[str]:
    """Everything that makes these tables where they are missing, in order."""
    for table in tables:
        placed, kept = layout(table), site.kept_in(table.name, layout(table))
        defined = [f'"{name}" {kind}' for name, kind in columns(table).items()]
        body = ", ".join([*defined, *placed.more, *placed.indexes])
        yield (
            f"create table if not exists {site.database}.{kept}{site.everywhere} ({body})"
            f" engine = {_engine(placed, site, kept)}{_partition(table, placed)}"
            f" order by ({', '.join(placed.order)}){_ttl(table, site)} settings {_settings(site)}"
        )
        if kept != table.name:
            yield (
                f"create table if not exists {site.database}.{table.name}{site.everywhere}"
                f" as {site.database}.{kept} engine = Distributed('{site.cluster}', '{site.database}', '{kept}',"
                f" cityHash64({placed.shard}))"
            )
    names = {table.name for table in tables}
    for kind in ("sums", "profile"):
        if f"{kind}_minute" in names:
            yield from (rolling(kind, tier, site) for tier in TIERS if tier != "minute")


def _engine(placed: Layout, site: Site, kept: str) -> str:
    """Replicas of one shard share a path; a table that is whole on every node has one path for all."""
    if not site.cluster:
        return placed.family
    family, _, arguments = placed.family.partition("(")
    shard = "{shard}" if placed.shard else "all"
    replica = "{replica}" if placed.shard else "{shard}-{replica}"
    told = [f"'/clickhouse/tables/{site.database}/{kept}/{shard}'", f"'{replica}'"]
    return f"Replicated{family}({', '.join([*told, *([arguments[:-1]] if arguments else [])])})"


def _partition(table: Table, placed: Layout) -> str:
    if not placed.days:
        return ""
    first, last = (bound // table.unit_ns for bound in SANE_NS)
    length = placed.days * DAY_NS // table.unit_ns
    instant = f'"{table.instant}"'
    return f" partition by if({instant} between {first} and {last}, intDiv({instant}, {length}), 0)"


def ttl(table: Table, days: int) -> str:
    """When a row of the table goes. Instants after 2096 count as that year."""
    a_second = 10**9
    if table.unit_ns > a_second:
        seconds = f'toInt64("{table.instant}") * {table.unit_ns // a_second}'
    else:
        seconds = f'intDiv("{table.instant}", {a_second // table.unit_ns})'
    return f"toDateTime(greatest(0, least({seconds}, 4000000000)), 'UTC') + toIntervalDay({int(days)})"


def _ttl(table: Table, site: Site) -> str:
    days = (site.keep or {}).get(table.name, 0)
    return f" ttl {ttl(table, days)}" if days and table.instant else ""


def _settings(site: Site) -> str:
    """Whole parts go when all of their rows are due. A single server writes through to the disk before it answers; on
    a cluster a second replica is what makes a row safe."""
    told = {"ttl_only_drop_parts": 1}
    if site.cluster:
        told |= {
            "replicated_deduplication_window": WINDOW,
            "replicated_deduplication_window_seconds": WINDOW_SECONDS,
        }
    else:
        told |= {
            "non_replicated_deduplication_window": WINDOW,
            "fsync_after_insert": 1,
            "fsync_part_directory": 1,
        }
    return ", ".join(f"{name} = {value}" for name, value in told.items())


def view_name(kind: str, tier: str) -> str:
    return f"{kind}_{tier}_of_minutes"


def rolling(kind: str, tier: str, site: Site) -> str:
    """The view that adds what comes into the minutes to the hours or the days; its comment tells its version."""
    local = "_local" if site.cluster else ""
    source, target = f"{site.database}.{kind}_minute{local}", f"{site.database}.{kind}_{tier}{local}"
    groups = ["series", *(["measure", "bucket"] if kind == "profile" else [])]
    summed = MEASURES if kind == "sums" else ("calls",)
    begin = f"intDiv(told.minute, {TIERS[tier]}) * {TIERS[tier]}"
    keys = [f"told.{name}" for name in groups]
    chosen = [f"{key} as {name}" for key, name in zip(keys, groups, strict=True)]
    chosen += [f"sum(told.{name}) as {name}" for name in summed]
    select = (
        f"select toInt32({begin}) as minute, {', '.join(chosen)} from {source} as told"
        f" group by {', '.join([begin, *keys])}"
    )
    view = f"{site.database}.{view_name(kind, tier)}"
    return (
        f"create materialized view if not exists {view}{site.everywhere} to {target} as {select}"
        f" comment '{version_of(select)}'"
    )


def version_of(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


def empty(table: Table, name: str) -> str:
    """SQL: what stands in a column of which nothing is told."""
    return f"defaultValueOfTypeName('{column_type(name, table.schema.field(name).type, False)}')"


def filled(table: Table, name: str) -> str:
    """SQL: something is told."""
    kind = table.schema.field(name).type
    return f'notEmpty("{name}")' if pa.types.is_map(kind) or pa.types.is_list(kind) else f'"{name}" is not null'


def restating(ids: Mapping[int, int], site: Site) -> Iterator[tuple[str, str]]:
    """(table, insert) for every tier: what stands under the keys of `ids` once more under the values. The views add the
    minutes to the hours and days; these get the rest: what minutes that are forgotten by now had told them."""
    old, new = (f"cast([{', '.join(map(str, side))}], 'Array(Int64)')" for side in (ids.keys(), ids.values()))
    for kind, measures, more in (("sums", MEASURES, ""), ("profile", ("calls",), "measure, bucket, ")):
        chosen = f"where has({old}, told.series)"
        named = f"toInt64(transform(told.series, {old}, {new}))"
        keys = "".join(f"told.{name}, " for name in more.split(", ") if name)
        inner = "".join(f"told.{name} as {name}, " for name in more.split(", ") if name)
        columns = f"minute, series, {more}{', '.join(measures)}"
        minutes = f"{site.database}.{kind}_minute"
        sums = ", ".join(f"sum(told.{name})" for name in measures)
        yield (
            minutes,
            f"insert into {minutes} ({columns}) select told.minute, {named}, {keys}{sums} from {minutes} as told"
            f" {chosen} group by told.minute, {keys}told.series",
        )
        for tier in ("hour", "day"):
            coarse, size = f"{site.database}.{kind}_{tier}", TIERS[tier]
            plain, negative = (", ".join(f"{sign}told.{one} as {one}" for one in measures) for sign in ("", "-"))
            parts = (
                f"select told.minute as minute, told.series as series, {inner}{plain} from {coarse} as told {chosen}"
                f" union all select toInt32(intDiv(told.minute, {size}) * {size}) as minute, told.series as series,"
                f" {inner}{negative} from {minutes} as told {chosen}"
            )
            yield (
                coarse,
                f"insert into {coarse} ({columns}) select told.minute, {named}, {keys}{sums} from ({parts}) as told"
                f" group by told.minute, {keys}told.series",
            )
    keys, summed = FAILURES.names[:6], FAILURES.names[6:]
    told = [named if name == "series" else f"told.{name}" for name in keys] + [f"sum(told.{name})" for name in summed]
    failures = f"{site.database}.failures"
    yield (
        failures,
        f"insert into {failures} ({', '.join(FAILURES.names)}) select {', '.join(told)} from {failures} as told"
        f" where has({old}, told.series) group by {', '.join(f'told.{name}' for name in keys)}",
    )
