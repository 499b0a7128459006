"""Events that no rollup counts, asked raw: answers that were evaluated, look-ups that tell how old their index is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afterlaunch.telemetry.store import current

MOST = 500_000
"""Rows of one question; a time with more of them must be asked in pieces."""
EVENT = "gen_ai.evaluation.result"
_PLACE = "client, system, environment, route, coalesce(model_answered, model_requested) as model"


@dataclass(frozen=True)
class Evaluated:
    """An evaluation. `answer` is the same for all evaluations of one answer; `occurred_ns`: when it was given."""

    client: str
    system: str | None
    environment: str | None
    route: str | None
    model: str | None
    answer: str
    occurred_ns: int
    name: str
    score: float | None
    label: str | None


@dataclass(frozen=True)
class LookUp:
    client: str
    system: str | None
    environment: str | None
    route: str | None
    model: str | None
    occurred_ns: int
    age_s: float


def look_ups(first_ns: int, last_ns: int) -> list[LookUp]:
    """Retrievals that began in [first, last) and tell when their index was updated."""
    rows = current().query(
        f"select {_PLACE}, start_ns, index_updated_ns from spans where start_ns >= ? and start_ns < ?"
        f" and op_kind = 'retrieval' and index_updated_ns is not null limit {MOST}",
        [first_ns, last_ns],
    )
    return [
        LookUp(
            row["client"],
            row["system"],
            row["environment"],
            row["route"],
            row["model"],
            row["start_ns"],
            max(0.0, (row["start_ns"] - row["index_updated_ns"]) / 1e9),
        )
        for row in rows
    ]


def evaluated(first_ns: int, last_ns: int, known_until_ns: int) -> list[Evaluated]:
    """Evaluations of answers given in [first, last): by spans, and by events that were told until `known_until`."""
    spans = current().query(
        f"select {_PLACE}, trace_id, start_ns, evaluation_names, evaluation_scores, evaluation_labels from spans"
        f" where start_ns >= ? and start_ns < ? and evaluation_names is not null limit {MOST}",
        [first_ns, last_ns],
    )
    out = [one for row in spans for one in _of_span(row)]
    records = current().query(
        "select client, system, environment, digest, trace_id, at_ns, attributes from records"
        f" where at_ns >= ? and at_ns < ? and event = '{EVENT}' limit {MOST}",
        [first_ns, known_until_ns],
    )
    answers = _answers([row["trace_id"] for row in records if row["trace_id"] is not None], first_ns, last_ns)
    for row in records:
        found = _of_record(row, answers)
        if found is not None and first_ns <= found.occurred_ns < last_ns:
            out.append(found)
    return out


def _of_span(row: dict[str, Any]) -> list[Evaluated]:
    lists = (row["evaluation_names"], row["evaluation_scores"] or (), row["evaluation_labels"] or ())
    length = len(lists[0])
    names, scores, labels = (list(one) + [None] * (length - len(one)) for one in lists)
    answer, at = row["trace_id"].hex(), row["start_ns"]
    client, system, environment, route, model = (
        row[name] for name in ("client", "system", "environment", "route", "model")
    )
    return [
        Evaluated(client, system, environment, route, model, answer, at, name or "", score, label)
        for name, score, label in zip(names, scores, labels, strict=True)
    ]


def _answers(traces: Sequence[bytes], first_ns: int, last_ns: int) -> dict[tuple[str, bytes], dict[str, Any]]:
    """(client, trace) -> its first call, of those that began in this time."""
    found: dict[tuple[str, bytes], dict[str, Any]] = {}
    distinct = sorted(set(traces))
    for at in range(0, len(distinct), 5_000):
        rows = current().query(
            "select client, trace_id, min(start_ns) as start_ns, any_value(system) as system,"
            " any_value(environment) as environment, any_value(route) as route, any_value(model) as model from calls"
            " where start_ns >= ? and start_ns < ? and trace_id in (select unhex(unnest(?))) group by client, trace_id",
            [first_ns, last_ns, [one.hex() for one in distinct[at : at + 5_000]]],
        )
        found |= {(row["client"], row["trace_id"]): row for row in rows}
    return found


def _of_record(row: dict[str, Any], answers: dict[tuple[str, bytes], dict[str, Any]]) -> Evaluated | None:
    """None for judgements of a document, and for those of an answer of another time."""
    told = dict(row["attributes"] or {})
    name = str(told.get("gen_ai.evaluation.name") or "")
    if told.get("afterlaunch.document.id"):
        return None
    answer = answers.get((row["client"], row["trace_id"])) if row["trace_id"] is not None else None
    if row["trace_id"] is not None and answer is None:
        return None
    at = answer["start_ns"] if answer else row["at_ns"]
    key = row["trace_id"].hex() if answer else str(row["digest"])
    told_place = answer or {}
    return Evaluated(
        row["client"],
        told_place.get("system") or row["system"],
        told_place.get("environment") or row["environment"],
        told_place.get("route"),
        told_place.get("model"),
        key,
        at,
        name,
        _number(told.get("gen_ai.evaluation.score.value")),
        told.get("gen_ai.evaluation.score.label"),
    )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def last_signals(since_ns: int) -> dict[tuple[str, str, str], int]:
    """(client, system, environment) -> when a metric or a log of it was told last, of those that told one since."""
    out: dict[tuple[str, str, str], int] = {}
    for table in ("points", "records"):
        rows = current().query(
            f"select client, system, environment, max(at_ns) as last from {table} where at_ns >= ?"
            " group by client, system, environment",
            [since_ns],
        )
        for row in rows:
            if row["system"] is not None:
                key = (row["client"], row["system"], row["environment"] or "")
                out[key] = max(out.get(key, 0), int(row["last"]))
    return out
