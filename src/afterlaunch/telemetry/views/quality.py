"""How far the numbers can be trusted: flags by sender, sums that are not those of their calls, services whose metrics
tell of more tokens than their spans."""

from __future__ import annotations

from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.look import formats
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.queries import Rollups, minute_of, narrowed
from afterlaunch.telemetry.signals import tokens
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.sum_checks import FLAGGED, totals
from afterlaunch.telemetry.tables import HOUR_NS
from afterlaunch.telemetry.tally import FLAG, OPERATION
from afterlaunch.telemetry.tiers import grain_of
from afterlaunch.telemetry.views.asked import Asked
from afterlaunch.telemetry.views.fields import CHECKED
from afterlaunch.telemetry.views.grids import COUNT, INSTANT, SHARE, TEXT, Column, Grid
from afterlaunch.telemetry.views.newest import newest
from afterlaunch.telemetry.views.sheets import Section, Sheet, Tile

PLACE = ("client", "system", "environment", "service")
GAP, INCOMPLETE = 0.05, "spans_incomplete"
MOST = 200
MEANS = {
    FLAGGED: "a sum of tokens is not that of the calls below it",
    "tokens_conflict": "instrumentations of one call tell different tokens",
    "total_mismatch": "the total is not the sum of its parts",
    "cache_exceeds_input": "more tokens from the cache than tokens in",
    "negative_bucket": "subtracting the cached tokens leaves less than nothing",
    "usage_key_unknown": "usage that no rule knows: kept, not counted",
    "price_missing": "no price is known for the model",
    "cost_mismatch": "the sender's cost is not ours",
    "cost_from_sender": "no price is known: the sender's cost counts",
    "price_on_requested_model": "the model that answered is not told",
    "provider_by_client_only": "the endpoint is not the provider's own",
    "service_unknown": "no service.name",
    "mapping_failed": "a fault of ours: kept as it came",
    "clock_skew": "starts in the future",
    "negative_duration": "ends before it starts",
    "content_truncated": "a text was cut",
    "invalid_value": "a number that can't be one",
    "unit_suspect": "a time in another unit than its name says",
}
FLAGS = (
    *(Column(name, TEXT, name.capitalize(), shown=name in ("system", "service")) for name in PLACE),
    Column("scope", TEXT, "Scope"),
    Column("scope_version", TEXT, "Version"),
    Column("operations", COUNT, "Operations"),
    Column("flag", TEXT, "Flag"),
    Column("means", TEXT, "Means", shown=False),
    Column("spans", COUNT, "Flagged"),
    Column("share", SHARE, "Of them"),
)
SUMS = (
    Column("at", INSTANT, "When"),
    Column("system", TEXT, "System"),
    Column("agent", TEXT, "Agent"),
    Column("name", TEXT, "Span"),
    Column("input_told", COUNT, "Tokens in, as told"),
    Column("output_told", COUNT, "Tokens out, as told"),
    Column("trace_id", TEXT, "Trace"),
)
METRICS = (
    *(Column(name, TEXT, name.capitalize(), shown=name != "client") for name in PLACE),
    Column("flag", TEXT, "Flag"),
    Column("tokens_of_metrics", COUNT, "Tokens, by metrics"),
    Column("tokens_of_spans", COUNT, "Tokens, by spans"),
    Column("missing", SHARE, "Missing in spans"),
    Column("metric", TEXT, "Metric"),
)
SUMS_NOTE = (
    f"The newest {MOST}. Spans whose own sum is more than 1 % from that of the calls below them. The calls count;"
    " one of both is wrong, or calls are missing."
)
METRICS_NOTE = (
    "Spans count; metrics are a second witness. More than 5 % missing in spans: head sampling, or spans that were lost."
    " Without any span the tokens of the metrics are all that is known, and no sum holds them."
)


def sheet(ask: Asked) -> Sheet:
    equals = _of_place(ask)
    rows, spans = flags(ask, equals)
    witnesses = by_metrics(ask, equals)
    sums = differing(ask)
    flagged = sum(row["spans"] for row in rows if row["flag"] == FLAGGED)
    incomplete = sum(row["flag"] == INCOMPLETE for row in witnesses)
    tone = "warning"
    return Sheet(
        [
            Section("rows", "Flags by sender", Grid(FLAGS, rows), _meanings(rows),
                    "No operation in this time", "Choose a longer time."),
            Section("sums", "Sums that are not those of their calls", Grid(SUMS, sums, {"trace_id": _trace}), SUMS_NOTE,
                    "Sums and calls agree", "Or no agent's run or workflow tells tokens."),
            Section("metrics", "Tokens of spans beside those of metrics", Grid(METRICS, witnesses), METRICS_NOTE,
                    "No metrics of tokens", "Instrumentations tell gen_ai.client.token.usage as a metric."),
        ],
        [
            Tile("Operations", formats.compact(spans)),
            Tile("Sums that differ", formats.compact(flagged), FLAGGED, tone if flagged else ""),
            Tile("Services with spans missing", formats.compact(incomplete), INCOMPLETE, tone if incomplete else ""),
        ],
    )  # fmt: skip


def _meanings(rows: list[dict[str, Any]]) -> str:
    """Of the most frequent flags, in words."""
    told = {row["flag"]: row["means"] for row in rows if row["flag"] and row["means"]}
    said = "; ".join(f"{flag}: {means}" for flag, means in list(told.items())[:6])
    return "Of operations that did not fail, by whole hours. A flag never drops data." + (f" {said}." if said else "")


def _trace(row: Any) -> str:
    return f"/traces/{row['trace_id']}"


def _of_place(ask: Asked) -> dict[str, str | None]:
    """What can be narrowed by here. Raises Invalid."""
    equals = ask.search.equals()
    if others := sorted(equals.keys() - set(PLACE)):
        raise Invalid(f"Flags can't be narrowed by {others[0]}.", "By " + ", ".join(PLACE))
    return equals


def flags(ask: Asked, equals: dict[str, str | None]) -> tuple[list[dict[str, Any]], int]:
    """(rows of FLAGS, most frequent first; all operations)."""
    where, parameters = narrowed(ask.clients, {name: value or "" for name, value in equals.items()})
    names = ", ".join((*PLACE, "scope", "scope_version"))
    found = current().query(
        f"select {names}, what, key, sum(spans)::bigint as told from attribute_counts"
        f" where hour >= ? and hour <= ? and {where} and what in ('{FLAG}', '{OPERATION}')"
        f" group by {names}, what, key having sum(spans) > 0",
        [clock.to_ns(ask.start) // HOUR_NS, (clock.to_ns(ask.end) - 1) // HOUR_NS, *parameters],
    )
    whole: dict[tuple[str, ...], int] = {}
    for row in found:
        if row["what"] == OPERATION:
            whole[_sender(row)] = whole.get(_sender(row), 0) + row["told"]
    rows = []
    flagged = [row for row in found if row["what"] == FLAG and row["key"]]
    for row in flagged:
        of, told = whole.get(_sender(row), 0), row["told"]
        means = MEANS.get(row["key"], "two attributes differ" if ":" in row["key"] else "")
        said = {"operations": of, "flag": row["key"], "means": means, "spans": told}
        rows.append({**_named(_sender(row)), **said, "share": min(1.0, told / of) if of else None})
    without = whole.keys() - {_sender(row) for row in flagged}
    none = {"flag": "", "means": "nothing is flagged", "spans": 0, "share": 0.0}
    rows += [{**_named(sender), "operations": whole[sender], **none} for sender in without]
    return sorted(rows, key=lambda row: (-row["spans"], -row["operations"], row["flag"])), sum(whole.values())


def _named(sender: tuple[str, ...]) -> dict[str, str | None]:
    return {name: value or None for name, value in zip((*PLACE, "scope", "scope_version"), sender, strict=True)}


def _sender(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row[name] for name in (*PLACE, "scope", "scope_version"))


def differing(ask: Asked) -> list[dict[str, Any]]:
    """Spans flagged `rollup_mismatch`, newest first."""
    names = ", ".join(("start_ns", "trace_id", "system", "agent", "name", *BUCKETS))
    rows = newest(ask, CHECKED, names, MOST)
    out = []
    for row in rows:
        told = totals(row) or (None, None)
        kept = {name: row[name] for name in ("system", "agent", "name")}
        at, trace = clock.from_ns(row["start_ns"]), row["trace_id"].hex()
        out.append({"at": at, **kept, "input_told": told[0], "output_told": told[1], "trace_id": trace})
    return out


def by_metrics(ask: Asked, equals: dict[str, str | None]) -> list[dict[str, Any]]:
    """Tokens of each service that tells them as metrics, beside those of its spans; what misses most comes first."""
    found = tokens.told(ask.start, ask.end, ask.clients, **equals)
    if not found:
        return []
    rollups = Rollups(minute_of(ask.start), minute_of(ask.end), ask.clients, equals, grain_of(()))
    spans = {
        (row["client"], row["system"], row["environment"], row["service"] or ""): sum(row[name] for name in BUCKETS)
        for row in rollups.sums(PLACE)
    }
    rows = []
    for place, (metric, told) in found.items():
        counted = spans.get(place)
        missing = 1 - counted / told if counted else None
        flag = INCOMPLETE if missing is not None and missing > GAP else "no_spans" if counted is None else ""
        rows.append(
            {
                **dict(zip(PLACE, place, strict=True)),
                "metric": metric,
                "tokens_of_metrics": told,
                "tokens_of_spans": counted,
                "missing": max(0.0, missing) if missing is not None else None,
                "flag": flag,
            }
        )
    return sorted(rows, key=lambda row: -(row["missing"] or 0.0))


def incomplete(ask: Asked) -> list[dict[str, Any]]:
    """Services whose spans tell less than their metrics: what a page of sums has to say."""
    equals = ask.search.equals()
    narrow = {name: value for name, value in equals.items() if name in PLACE}
    return [row for row in by_metrics(ask, narrow) if row["flag"] == INCOMPLETE]
