"""What is asked of stored calls and spans: how many calls each hour had, and a fair sample of one hour's answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from afterlaunch.answers import embedding
from afterlaunch.answers.describing import Answer, asks_for_json, describe
from afterlaunch.answers.embedding import Embed
from afterlaunch.answers.folding import Described
from afterlaunch.ground import clock
from afterlaunch.profiles import hashing
from afterlaunch.telemetry.queries import OF_USERS, judged_stretches, minute_of
from afterlaunch.telemetry.store import current

MOST = 2_000  # answers of an hour that are described: those whose ids have the least hashes
AT_ONCE = 200
APART_NS = 3_600 * 10**9  # members of a call start within it
HOUR = timedelta(hours=1)
Place = tuple[str, str, str]
SLICES = ("version", "model", "route")


@dataclass(frozen=True)
class Call:
    """A row of `calls`, and what its members' spans tell."""

    row: dict[str, Any]
    answer: Answer


def hourly(first: datetime, hours: int) -> dict[Place, dict[datetime, int]]:
    """Calls of models that users made, by place and hour: one statement."""
    bounds = [first + HOUR * at for at in range(hours + 1)]
    found: dict[Place, dict[datetime, int]] = defaultdict(dict)
    for row in judged_stretches(bounds, ("client", "system", "environment"), op_kind="inference"):
        client, system, environment = row.key["client"], row.key["system"], row.key["environment"]
        if client and system and row.calls:
            found[client, system, environment or ""][row.start] = row.calls
    return found


def sample(place: Place, start: datetime) -> list[Described]:
    """The answers of an hour: all of them, or a sample that is the same each time."""
    embed = embedding.in_force()
    return [_described(one, embed) for part in _parts(_chosen(place, start)) for one in _calls(place, start, part)]


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), AT_ONCE):
        yield ids[at : at + AT_ONCE]


def _where(place: Place, start: datetime) -> tuple[str, list[Any]]:
    environment = "environment = ?" if place[2] else "environment is null"
    sql = (
        f"minute >= ? and minute < ? and client = ? and system = ? and {environment} and op_kind = 'inference'"
        f" and part is null and {OF_USERS}"
    )
    return sql, [minute_of(start), minute_of(start + HOUR), *place[: 3 if place[2] else 2]]


def _chosen(place: Place, start: datetime) -> list[str]:
    where, parameters = _where(place, start)
    rows = current().query(f"select lower(hex(span_id)) as span from calls where {where} order by span", parameters)
    ids = [row["span"] for row in rows]
    if len(ids) <= MOST:
        return ids
    order = np.argsort(hashing.mixed(np.array([int(one, 16) for one in ids], np.uint64)), kind="stable")
    return [ids[at] for at in order[:MOST].tolist()]


def _calls(place: Place, start: datetime, ids: Sequence[str]) -> list[Call]:
    where, parameters = _where(place, start)
    rows = current().query(
        "select lower(hex(span_id)) as span, lower(hex(trace_id)) as trace, members, coalesce(version, '') as version,"
        " coalesce(model, '') as model, coalesce(route, '') as route, finish_reason,"
        f" coalesce(refused, false) as refused, out_visible, out_reasoning from calls"
        f" where {where} and span_id in (select unhex(unnest(?)))",
        [*parameters, list(ids)],
    )
    told = _contents(place, start, sorted({member for row in rows for member in row["members"] or [row["span"]]}))
    brought = _contexts(place, start, sorted({row["trace"] for row in rows}))
    return [_call(row, told, brought.get(row["trace"])) for row in sorted(rows, key=lambda row: str(row["span"]))]


def _contents(place: Place, start: datetime, spans: list[str]) -> dict[str, dict[str, Any]]:
    rows = current().query(
        "select lower(hex(span_id)) as span, input_text, output_text, request_params,"
        " attributes['gen_ai.output.type'] as output_type from spans where client = ?"
        " and start_ns >= ? and start_ns < ? and span_id in (select unhex(unnest(?)))",
        [place[0], clock.to_ns(start) - APART_NS, clock.to_ns(start + HOUR) + APART_NS, spans],
    )
    return {row["span"]: row for row in rows}


def _contexts(place: Place, start: datetime, traces: list[str]) -> dict[str, str]:
    """Trace -> what its retrievals brought, where that is kept."""
    rows = current().query(
        "select lower(hex(trace_id)) as trace, output_text from spans where client = ?"
        " and start_ns >= ? and start_ns < ? and op_kind = 'retrieval'"
        " and output_text is not null and trace_id in (select unhex(unnest(?)))"
        " order by start_ns, span_id",
        [place[0], clock.to_ns(start) - APART_NS, clock.to_ns(start + HOUR), traces],
    )
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[row["trace"]].append(row["output_text"])
    return {trace: "\n".join(texts) for trace, texts in found.items()}


def _call(row: dict[str, Any], told: dict[str, dict[str, Any]], context: str | None) -> Call:
    """Of several reports of one call the one that tells the longest answer."""
    members = [told[one] for one in row["members"] or [row["span"]] if one in told]
    answered = max((one["output_text"] for one in members if one["output_text"]), key=len, default=None)
    asked = max((one["input_text"] for one in members if one["input_text"]), key=len, default=None)
    tokens = [row[name] for name in ("out_visible", "out_reasoning") if row[name] is not None]
    answer = Answer(
        finish=row["finish_reason"],
        refused=bool(row["refused"]),
        tokens=sum(tokens) if tokens else None,
        question=asked,
        answer=answered,
        context=context,
        asked_json=any(asks_for_json(one["output_type"], one["request_params"]) for one in members),
    )
    return Call(row, answer)


def _described(call: Call, embed: Embed | None) -> Described:
    slices = {name: str(call.row[name]) for name in SLICES if call.row[name]}
    return Described(int(call.row["span"], 16), call.answer.answer is not None, slices, describe(call.answer, embed))
