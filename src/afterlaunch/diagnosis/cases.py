"""Cases for `rca rank` on files: one JSON document, or a folder of metrics with a call graph (docs/diagnosis.md)."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from afterlaunch.diagnosis.blame import Case, Floats, Measured
from afterlaunch.ground.errors import Invalid

MEASURES = ("latency", "availability")
LARGEST = 64 * 2**20
HINT = "docs/diagnosis.md shows the two forms."


def read(path: Path) -> tuple[Case | None, dict[str, Any]]:
    """(the components' case, None where a document tells none; what else it tells). Raises Invalid with what is wrong
    and where."""
    if path.is_dir():
        case = _folder(path)
        return case, {"onset": case.onset, "step_seconds": case.step}
    told = orjson_of(path)
    if "components" not in told and ("slices" in told or "changes" in told):
        return None, told | {"onset": instant(told.get("onset"), "onset")}
    case = document(told)
    return case, told | {"onset": case.onset, "step_seconds": case.step}


def orjson_of(path: Path) -> dict[str, Any]:
    try:
        body = path.read_bytes()
    except OSError as problem:
        raise Invalid(f"{path} cannot be read: {problem.strerror or problem}.", HINT) from None
    if len(body) > LARGEST:
        raise Invalid(f"{path} has {len(body)} bytes; {LARGEST} are read.", "Send fewer bins.")
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Invalid(f"{path} is no JSON: {problem}.", HINT) from None
    if not isinstance(told, dict):
        raise Invalid(f"{path} holds no JSON object.", HINT)
    return told


def document(told: Mapping[str, Any]) -> Case:
    target, measure = _text(told, "target"), _text(told, "measure")
    if measure not in MEASURES:
        raise Invalid(f"measure {measure!r} is not known.", "Use latency or availability.")
    times = _numbers(told.get("times"), "times", None)
    if len(times) < 2 or not (np.diff(times) > 0).all():
        raise Invalid("times needs at least two instants that increase.", HINT)
    onset = instant(told.get("onset"), "onset")
    components = _components(told.get("components"), "components", measure, len(times))
    if target not in components:
        raise Invalid(f"The target {target!r} is not among the components.", HINT)
    history = told.get("usual")
    usual = _components(history, "usual", measure, None) if history else {}
    step = float(told.get("step_seconds") or np.diff(times).min())
    return Case(target, measure, times, step, onset, _graph(told.get("calls")), components, usual)


def instant(told: Any, where: str) -> float:
    """Unix seconds of a number or an RFC 3339 text with its zone."""
    if isinstance(told, str):
        with suppress(ValueError):
            at = datetime.fromisoformat(told)
            if at.tzinfo is not None:
                return at.timestamp()
    if isinstance(told, int | float) and not isinstance(told, bool):
        return float(told)
    raise Invalid(f"{where} is missing or no instant: Unix seconds, or RFC 3339 with a zone.", HINT)


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name} is missing.", HINT)
    return value


def _numbers(told: Any, where: str, length: int | None) -> Floats:
    """None in a list is nothing measured: 0."""
    if not isinstance(told, list) or (length is not None and len(told) != length):
        raise Invalid(f"{where} needs {length if length is not None else 'a list of'} numbers.", HINT)
    try:
        found = np.array([np.nan if one is None else one for one in told], np.float64)
    except (TypeError, ValueError):
        raise Invalid(f"{where} holds what is no number.", HINT) from None
    if np.isinf(found).any():
        raise Invalid(f"{where} holds an infinite number.", HINT)
    return found


def _graph(told: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(told, dict):
        raise Invalid("calls is missing: an object from each component to the list of those that it calls.", HINT)
    for name, callees in told.items():
        if not isinstance(callees, list) or not all(isinstance(one, str) for one in callees):
            raise Invalid(f"calls.{name} is no list of names.", HINT)
    return {name: tuple(callees) for name, callees in told.items()}


def _components(told: Any, where: str, measure: str, length: int | None) -> dict[str, Measured]:
    if not isinstance(told, dict) or not told:
        raise Invalid(f"{where} is missing: an object from each component to its series.", HINT)
    out = {}
    for name, series in told.items():
        if not isinstance(series, dict):
            raise Invalid(f"{where}.{name} is no object.", HINT)
        calls = _numbers(series.get("calls"), f"{where}.{name}.calls", length)
        key = "latency_seconds" if measure == "latency" else "failed"
        out[name] = measured(calls, _numbers(series.get(key), f"{where}.{name}.{key}", len(calls)), measure)
    return out


def measured(calls: Floats, values: Floats, measure: str) -> Measured:
    """`values`: the mean seconds of a call, or how many calls failed."""
    calls, values = np.nan_to_num(calls), np.nan_to_num(values)
    return Measured(calls, values * calls if measure == "latency" else values)


def _folder(folder: Path) -> Case:
    """`target.json` and `metrics.csv` or `.csv.gz`; `graph.csv` there or in a folder above, where `noissue` may hold
    the same metrics of a healthy time."""
    goal = orjson_of(folder / "target.json").get("target")
    if not isinstance(goal, dict) or not {"node", "metric", "timestamp"} <= goal.keys():
        raise Invalid(f"{folder}/target.json names no target with node, metric and timestamp.", HINT)
    measure = str(goal["metric"])
    if measure not in MEASURES:
        raise Invalid(f"The target's metric {measure!r} is not known.", "Use latency or availability.")
    above = next((one for one in (folder, *folder.absolute().parents[:3]) if (one / "graph.csv").is_file()), None)
    if above is None:
        raise Invalid(f"No graph.csv in {folder} or the three folders above it.", HINT)
    times, components = metrics_in(folder, measure)
    usual = metrics_in(above / "noissue", measure)[1] if (above / "noissue").is_dir() else {}
    target = str(goal["node"])
    if target not in components:
        raise Invalid(f"The target {target!r} is not among the metrics.", HINT)
    if len(times) < 2:
        raise Invalid(f"{folder} has metrics of fewer than two instants.", HINT)
    step = float(np.diff(times).min())
    return Case(
        target, measure, times, step, float(goal["timestamp"]), call_matrix(above / "graph.csv"), components, usual
    )


def _rows(file: Path) -> list[list[str]]:
    try:
        body = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        return list(csv.reader(io.StringIO(body.decode())))
    except (OSError, UnicodeDecodeError, EOFError) as problem:
        raise Invalid(f"{file} cannot be read: {problem}.", HINT) from None


def call_matrix(file: Path) -> dict[str, tuple[str, ...]]:
    """Rows call columns where the cell is not 0."""
    head, *rows = _rows(file) or [[]]
    return {
        row[0]: tuple(name for name, cell in zip(head[1:], row[1:], strict=True) if cell not in ("", "0", "0.0"))
        for row in rows
        if row
    }


def metrics_in(folder: Path, measure: str) -> tuple[Floats, dict[str, Measured]]:
    """Three header rows: component, metric, statistic; then one row per instant."""
    files = [one for one in (folder / "metrics.csv", folder / "metrics.csv.gz") if one.is_file()]
    if not files:
        raise Invalid(f"No metrics.csv or metrics.csv.gz in {folder}.", HINT)
    rows = _rows(files[0])
    if len(rows) < 4:
        raise Invalid(f"{files[0]} has no rows.", HINT)
    values = [row for row in rows[3:] if row and _is_number(row[0])]
    columns = {(name, metric, how): place for place, (name, metric, how) in enumerate(zip(*rows[:3], strict=True))}
    out = {}
    for name in {name for name, metric, _ in columns if metric == "requests"}:
        calls = _column(values, columns.get((name, "requests", "Sum")), 0.0)
        if measure == "latency":
            told = _column(values, columns.get((name, "latency", "Average")), 0.0)
        else:
            told = (100 - _column(values, columns.get((name, "availability", "Average")), 100.0)) / 100 * calls
        out[name] = measured(calls, told, measure)
    return np.array([float(row[0]) for row in values]), out


def _column(rows: Sequence[Sequence[str]], place: int | None, absent: float) -> Floats:
    if place is None:
        return np.full(len(rows), absent)
    return np.array([float(row[place]) if row[place] else absent for row in rows])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
