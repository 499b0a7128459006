"""What runs did lately and what they do on other days: a fixed number of questions for the whole estate."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from afterlaunch.agents.rules import REPEATS, Detail, Kind, Loop, Run, Usual
from afterlaunch.ground import clock
from afterlaunch.telemetry.queries import CALL_KINDS, OF_USERS, Rollups, minute_of
from afterlaunch.telemetry.store import Store, current
from afterlaunch.telemetry.tables import HOUR_NS
from afterlaunch.telemetry.tiers import grain_of

LATELY = timedelta(minutes=30)
PAST = timedelta(hours=24)
MOST_CALLS = 5_000_000
"""So many calls of the past are read at most; of a busier estate the hours that hold about so many."""
MOST_RUNS = 10_000
MOST_TOOLS = 50_000  # runs, tools and arguments that are told apart
STEPS_OF_TWO = 8  # a cost is known to the eighth root of two: 9 %
Place = tuple[str, str, str]
_BARE = "replace(replace(replace(input_text, '{', ''), '}', ''), ' ', '')"
ARGUMENTS = (
    "md5(case when input_text like '{%'"
    f" then array_to_string(list_sort(string_split({_BARE}, ',')), ',') else input_text end)"
)
"""Of what a tool was called with. Of a JSON object neither the order of keys nor white space counts: its parts between
commas are sorted. Two lists of the same things in another order may count as one; nothing else that differs does."""

_OF = "client, system, environment, transaction, trace"
_RUN = (
    f"select {_OF}, max(agent) as agent, count(*)::bigint as calls, coalesce(sum(cost_nano), 0)::bigint as cost_nano,"
    " min(start_ns) as first_ns, max(start_ns) as last_ns from (select client, system, environment, transaction, agent,"
    " cost_nano, start_ns, case when transaction is null then lower(hex(trace_id)) else '' end as trace from calls"
    f" where minute >= ? and minute < ? and op_kind in {CALL_KINDS} and part is null and {OF_USERS})"
    f" group by {_OF}"
)
_learned: WeakKeyDictionary[Store, tuple[int, dict[Kind, Usual]]] = WeakKeyDictionary()


def runs(now: datetime) -> list[Run]:
    """Of the last half hour, those with the most calls first."""
    rows = current().query(
        f"select * from ({_RUN}) order by calls desc, cost_nano desc, trace, transaction limit {MOST_RUNS}",
        [minute_of(now - LATELY), minute_of(now) + 1],
    )
    return [
        Run(
            row["client"],
            row["system"] or "",
            row["environment"] or "",
            row["agent"],
            row["transaction"] if row["transaction"] is not None else row["trace"],
            row["transaction"] is None,
            row["calls"],
            row["cost_nano"],
            row["first_ns"],
            row["last_ns"],
        )
        for row in rows
    ]


def usual(now: datetime) -> Mapping[Kind, Usual]:
    """Of the day before the last half hour; asked once an hour."""
    store, hour = current(), clock.to_ns(now) // HOUR_NS
    kept = _learned.get(store)
    if kept is None or kept[0] != hour:
        kept = _learned[store] = hour, _learn(store, now - LATELY)
    return kept[1]


def _learn(store: Store, until: datetime) -> dict[Kind, Usual]:
    bucket = f"cast(floor({STEPS_OF_TWO} * log2(greatest(cost_nano, 1))) as bigint)"
    rows = store.query(
        f"select client, system, environment, agent, calls, {bucket} as cost, count(*)::bigint as runs from ({_RUN})"
        f" group by client, system, environment, agent, calls, {bucket}",
        [minute_of(until - _span(until)), minute_of(until)],
    )
    calls: dict[Kind, Counter[int]] = defaultdict(Counter)
    costs: dict[Kind, Counter[int]] = defaultdict(Counter)
    for row in rows:
        kind = (row["client"], row["system"] or "", row["environment"] or "", row["agent"])
        calls[kind][row["calls"]] += row["runs"]
        costs[kind][row["cost"]] += row["runs"]
    return {
        kind: Usual(found.total(), rank(found), round(2 ** ((rank(costs[kind]) + 1) / STEPS_OF_TWO)))
        for kind, found in calls.items()
    }


def rank(found: Counter[int], share: float = 0.99) -> int:
    """The least value that `share` of all do not exceed."""
    need, below = share * found.total(), 0
    for value in sorted(found):
        below += found[value]
        if below >= need:
            return value
    return 0


def _span(until: datetime) -> timedelta:
    first, last = minute_of(until - PAST), minute_of(until)
    told = Rollups(first, last, None, {}, grain_of(()), users=True).sums([])
    calls = sum(row["calls"] for row in told)
    return PAST if calls <= MOST_CALLS else max(PAST * MOST_CALLS / calls, timedelta(minutes=30))


def detail(run: Run, now: datetime) -> Detail:
    which = "trace_id = unhex(?)" if run.is_trace else "transaction = ?"
    tokens = "in_uncached + coalesce(in_cache_read, 0)"
    rows = current().query(
        f"select {tokens} as tokens from calls where client = ? and {which} and minute >= ? and part is null"
        f" and op_kind in {CALL_KINDS} and in_uncached is not null order by start_ns",
        [run.client, run.name, minute_of(now - LATELY)],
    )
    told = [row["tokens"] for row in rows]
    return Detail(told[0], told[-1]) if told else Detail()


@dataclass
class Tools:
    """Of one system in one environment."""

    loops: list[Loop]
    runs: int = 0
    untold: int = 0


def tools(now: datetime) -> dict[Place, Tools]:
    """Tool calls of the last half hour: how often a run repeats one with the same arguments."""
    of = "client, system, environment, trace_id, tool, arguments"
    rows = current().query(
        f"select {of}, count(*)::bigint as times, max(start_ns) as last_ns, max(agent) as agent from (select client,"
        f" system, environment, trace_id, coalesce(tool, name) as tool, {ARGUMENTS} as arguments, start_ns, agent"
        f" from spans where start_ns >= ? and start_ns < ? and op_kind = 'tool' and {OF_USERS})"
        f" group by {of} order by times desc, trace_id, tool limit {MOST_TOOLS}",
        [clock.to_ns(now - LATELY), clock.to_ns(now) + 60 * 10**9],
    )
    by: dict[Place, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by[row["client"], row["system"] or "", row["environment"] or ""].append(row)
    return {place: _tools(found) for place, found in by.items()}


def _tools(rows: Sequence[Mapping[str, Any]]) -> Tools:
    """`rows`: of a run, a tool and its arguments, how often; those repeated most come first."""
    told = [row for row in rows if row["arguments"]]
    most: dict[str, dict[bytes, Mapping[str, Any]]] = defaultdict(dict)
    for row in told:
        most[row["tool"]].setdefault(row["trace_id"], row)
    loops = []
    for tool, by_run in most.items():
        alike = sum(row["times"] >= REPEATS for row in by_run.values())
        loops += [
            Loop(trace.hex(), row["agent"], tool, row["times"], len(by_run), alike / len(by_run), row["last_ns"])
            for trace, row in by_run.items()
            if row["times"] >= REPEATS
        ]
    untold = sum(row["times"] for row in rows if not row["arguments"])
    return Tools(loops, len({row["trace_id"] for row in told}), untold)
