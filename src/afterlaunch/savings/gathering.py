"""From telemetry to facts: sums of 30 days from the rollups, a sample of prompts of the last week, evaluations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import fmean, stdev
from typing import Any

from afterlaunch.ground import clock
from afterlaunch.prices.in_force import book_of
from afterlaunch.prices.table import rates
from afterlaunch.savings.facts import Place, Rate, Said, Score, Terms, Use
from afterlaunch.savings.replays import Seen
from afterlaunch.savings.rules import WORTH_NANO, Prices
from afterlaunch.telemetry import profiles
from afterlaunch.telemetry.attribution import purpose_of
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.queries import CALL_KINDS, NOT_MIRRORED, Rollups, minute_of, narrowed
from afterlaunch.telemetry.store import current
from afterlaunch.telemetry.tables import HOUR_NS
from afterlaunch.telemetry.tiers import grain_of
from afterlaunch.telemetry.told_events import evaluated

GROUPED = Place._fields
DAYS, SAMPLE_DAYS = 30, 7
PLACES, SAMPLE, SHOWN = 40, 1_000, 20_000
"""So many of the dearest places of a client are looked at; so many calls of each; so many characters of a prompt."""
WATCHED = 50_000
"""Calls of a trial that are looked at, the newest."""
TermsOf = Mapping[tuple[str | None, str | None], Terms]
"""(system, route) -> what its owner says."""


def uses(client: str, now: datetime, terms: TermsOf) -> list[Use]:
    """The dearest places of one client."""
    start = now - timedelta(days=DAYS)
    first, last = minute_of(start), minute_of(now) + 1
    equals: dict[str, str | None] = {"client": client}
    rollups = Rollups(first, last, None, equals, grain_of(()), mirrored=False)
    rows = rollups.sums([*GROUPED, "environment", "arm"])
    by: dict[Place, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by[Place(*(row[name] for name in GROUPED))].append(row)
    dearest = sorted(by, key=lambda place: -sum(row["cost_nano"] for row in by[place]))[:PLACES]
    dearest = [place for place in dearest if sum(row["cost_nano"] for row in by[place]) * 30 > WORTH_NANO]
    if not dearest:
        return []
    days = _days(client, start, now)
    lengths = rollups.profile(list(GROUPED), (profiles.OUTPUT,))
    failed = _failed(client, start, now)
    scores = _scores(client, start, now) if any(one.metric for one in terms.values()) else {}
    out = []
    for place in dearest:
        said, sampled = _sample(place, now)
        sums = {name: sum(row[name] for row in by[place]) for name in ("calls", "cost_nano", *BUCKETS)}
        out.append(
            Use(
                place,
                days,
                sums["calls"],
                sum(row["calls_unknown_cost"] for row in by[place]),
                sums["cost_nano"],
                {name: sums[name] for name in BUCKETS},
                sum(row["failed"] for row in by[place]),
                failed.get(place, 0),
                sum(row["truncated"] for row in by[place]),
                lengths.get(tuple(place), {}).get(profiles.OUTPUT, []),
                said,
                sampled,
                any(purpose_of(place.agent, row["arm"], row["environment"]) == "production" for row in by[place]),
                terms.get((place.system, place.route)),
                scores.get((place.system, place.route), {}),
            )
        )
    return out


def routes_of(client: str) -> list[tuple[str | None, str | None]]:
    """(system, route) of every call that was ever told."""
    rows = current().query(
        f"select distinct system, route from series where client = ? and op_kind in {CALL_KINDS} limit 1000", [client]
    )
    return [(row["system"], row["route"]) for row in rows]


def prices(client: str, now: datetime) -> Prices:
    """Rates in force for a client."""
    book = book_of(client)

    def of(provider: str | None, model: str | None, facts: Mapping[str, str]) -> Rate | None:
        found = rates(provider, model, now, facts, book)
        if found is None:
            return None
        pico = found.tiers[0].pico
        return Rate(
            pico["input"], pico["cache_read"], pico["cache_write_5m"], pico["output"], pico["reasoning"], found.name,
            "cache_read" not in found.assumed,
        )  # fmt: skip

    return of


def _days(client: str, start: datetime, now: datetime) -> float:
    """Since the first call in the window; at least one."""
    found = current().query(
        "select min(start_ns) as first from calls where client = ? and minute >= ?", [client, minute_of(start)]
    )
    first = found[0]["first"] if found else None
    begin = max(start, clock.from_ns(first)) if first else start
    return max(1.0, (now - begin) / timedelta(days=1))


def _failed(client: str, start: datetime, now: datetime) -> dict[Place, int]:
    """Known cost of the failed calls."""
    names = ", ".join(f'"{name}"' for name in GROUPED)
    rows = current().query(
        f"select {names}, coalesce(sum(cost_nano), 0)::bigint as cost_nano from calls where client = ? and minute >= ?"
        f" and minute < ? and failed and op_kind in {CALL_KINDS} and {NOT_MIRRORED} group by {names}",
        [client, minute_of(start), minute_of(now) + 1],
    )
    return {Place(*(row[name] for name in GROUPED)): row["cost_nano"] for row in rows}


def _sample(place: Place, now: datetime) -> tuple[list[Said], int]:
    """(the newest calls of the place whose prompt is known, the oldest first; how many were looked at)."""
    where, parameters = narrowed(None, place._asdict())
    since = minute_of(now - timedelta(days=SAMPLE_DAYS))
    sums = " + ".join(f"coalesce({name}, 0)" for name in BUCKETS[:6])
    calls = current().query(
        f"select span_id, members, start_ns, session, cost_nano, in_cache_read, ({sums})::bigint as inputs from calls"
        f" where minute >= ? and op_kind in {CALL_KINDS} and part is null and {NOT_MIRRORED}"
        f" and {where}"
        f" order by start_ns desc limit {SAMPLE}",
        [since, *parameters],
    )
    if not calls:
        return [], 0
    wanted = {member: number for number, row in enumerate(calls) for member in _members(row)}
    texts: dict[int, tuple[str, int]] = {}
    for row in current().query(
        f"select span_id, substr(input_text, 1, {SHOWN}) as text, length(input_text) as length from spans"
        " where start_ns >= ? and start_ns < ? and client = ? and input_text is not null"
        " and span_id in (select unhex(unnest(?)))",
        [calls[-1]["start_ns"] - HOUR_NS, calls[0]["start_ns"] + HOUR_NS, place.client, sorted(wanted)],
    ):
        texts.setdefault(wanted[row["span_id"].hex()], (row["text"], row["length"]))
    said = [
        Said(row["start_ns"], row["session"], *texts[number], row["inputs"], row["in_cache_read"], row["cost_nano"])
        for number, row in enumerate(calls)
        if number in texts
    ]
    return said[::-1], len(calls)


def _members(call: Mapping[str, Any]) -> list[str]:
    """Its spans, as hex."""
    return [call["span_id"].hex(), *(call["members"] or ())]


Scores = dict[tuple[str | None, str | None], dict[str, dict[str, Score]]]


def _scores(client: str, start: datetime, now: datetime) -> Scores:
    """(system, route) -> metric -> model -> its score."""
    values: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for day in range(DAYS):  # an answer to one question is bounded
        first, last = (clock.to_ns(start + timedelta(days=day + more)) for more in (0, 1))
        for one in evaluated(first, last, clock.to_ns(now)):
            if one.client == client and one.score is not None and one.model:
                values[one.system, one.route, one.name, one.model].append(one.score)
    out: Scores = {}
    for (system, route, metric, model), found in values.items():
        by_metric = out.setdefault((system, route), {})
        by_metric.setdefault(metric, {})[model] = score(found)
    return out


def score(values: Sequence[float]) -> Score:
    return Score(len(values), fmean(values), stdev(values) if len(values) > 1 else 0.0)


def seen(place: Place, since: datetime, now: datetime, kind: str) -> list[Seen]:
    """Calls of the place, the newest first. Of a batch, whatever else its courses hold counts as well: hence of the
    whole system."""
    equals = place._asdict() if kind != "batch" else {"client": place.client, "system": place.system}
    where, parameters = narrowed(None, equals)
    rows = current().query(
        "select start_ns, coalesce(duration_ns, 0) as lasted, coalesce(transaction, session) as told, trace_id, failed,"
        f" cost_nano, gateway_call, route, agent, provider, model from calls where minute >= ? and minute <= ?"
        f" and op_kind in {CALL_KINDS} and part is null and {NOT_MIRRORED} and {where}"
        f" order by start_ns desc limit {WATCHED}",
        [minute_of(since), minute_of(now), *parameters],
    )
    repeats = _repeats(place.client, since, now) if kind == "response_caching" else {}
    return [
        Seen(
            row["start_ns"],
            row["start_ns"] + row["lasted"],
            row["told"] or row["trace_id"].hex(),
            row["told"] is not None and all(row[name] == getattr(place, name) for name in _OWN),
            bool(row["failed"]),
            row["cost_nano"] if all(row[name] == getattr(place, name) for name in _OWN) else None,
            repeats.get(row["gateway_call"] or "", ""),
        )
        for row in rows
    ]


_OWN = ("route", "agent", "provider", "model")


def _repeats(client: str, since: datetime, now: datetime) -> Mapping[str, str]:
    """Gateway's call -> how the answer that its cache would have given compares."""
    rows: list[dict[str, Any]] = current().query(
        "select distinct gateway_call, attributes['afterlaunch.response_cache'] as how from spans where client = ?"
        " and start_ns >= ? and start_ns <= ? and gateway_call is not null"
        " and attributes['afterlaunch.response_cache'] like 'would_hit_%'",
        [client, clock.to_ns(since), clock.to_ns(now)],
    )
    return {row["gateway_call"]: row["how"] for row in rows}
