"""A whole file through a detector: each row with its score and alert, then what is to be said of all of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from afterlaunch.ground.errors import Invalid
from afterlaunch.series.detector import MISSING, Detector, Judged
from afterlaunch.series.files import Row, Steps, Table
from afterlaunch.series.trend import trends


@dataclass
class Told:
    """What the rows were; `alerts` one by one."""

    rows: int = 0
    judged: int = 0
    learning: int = 0
    alerts: list[dict[str, Any]] = field(default_factory=list)
    values: set[float] = field(default_factory=set)
    """The first two different ones: more need not be known."""


def scores(table: Table, detector: Detector, told: Told) -> Iterator[tuple[Row, Judged]]:
    """Fills `told` and the table's findings as it goes."""
    steps = Steps(table.findings, detector.last)
    for row in table:
        told.rows += 1
        steps.see(row, detector.step)
        judged = MISSING if row.at is None else detector.see(row.at, row.value)
        told.judged += judged.state == "judged"
        told.learning += judged.state == "learning"
        if row.value is not None and len(told.values) < 2:
            told.values.add(row.value)
        if judged.alert:
            told.alerts.append(_alert(table, row, judged))
        yield row, judged
    steps.end()
    if told.rows > 1 and len(told.values) == 1:
        table.findings.add("constant")


def _alert(table: Table, row: Row, judged: Judged) -> dict[str, Any]:
    return {
        "row": row.number,
        "timestamp": row.cells[table.time],
        "value": row.value,
        "expected": judged.expected,
        "anomaly_score": judged.score,
        "threshold": judged.threshold,
        "why": judged.why,
    }


def write(table: Table, detector: Detector, told: Told, out: TextIO) -> None:
    """The file's own cells, then `anomaly_score` in full digits (none of a missing value), `alert`, `state`."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*table.head, "anomaly_score", "alert", "state"])
    for row, judged in scores(table, detector, told):
        score = "" if judged.score is None else repr(judged.score)
        writer.writerow([*row.cells, score, "1" if judged.alert else "0", judged.state])


def points(table: Table, detector: Detector, told: Told) -> list[dict[str, Any]]:
    return [
        {
            "timestamp": row.cells[table.time],
            "value": row.value,
            "expected": judged.expected,
            "anomaly_score": judged.score,
            "alert": judged.alert,
            "state": judged.state,
        }
        for row, judged in scores(table, detector, told)
    ]


def document(table: Table, detector: Detector, told: Told) -> dict[str, Any]:
    """After all rows are read. `verdict`: anomalies, quiet, or not_assessed with its reason."""
    reason = None
    if not told.judged:
        reason = "no_values" if not told.learning else "too_few_values"
    elif "constant" in table.findings.counts:
        reason = "constant"
    return {
        "verdict": "not_assessed" if reason else "anomalies" if told.alerts else "quiet",
        "reason": reason,
        "rows": told.rows,
        "judged": told.judged,
        "learning": told.learning,
        "not_scored": told.rows - told.judged - told.learning,
        "budget_per_week": detector.budget.per_week,
        "threshold": detector.budget.base,
        "threshold_in_force": detector.budget.raised,
        "season": detector.season_told(),
        "trends": [
            {
                "since": _day(one.since),
                "until": _day(one.until),
                "before": one.before,
                "after": one.after,
                "change": one.change,
            }
            for one in trends(detector.levels)
        ],
        "alerts": told.alerts,
        "findings": table.findings.told(),
    }


def _day(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):
        return str(at)


def saved(detector: Detector) -> bytes:
    return orjson.dumps(detector.state())


def resumed(body: bytes) -> Detector:
    try:
        return Detector.restored(orjson.loads(body))
    except orjson.JSONDecodeError as problem:
        raise Invalid("The state is no JSON.", "Begin anew, without a state.") from problem
