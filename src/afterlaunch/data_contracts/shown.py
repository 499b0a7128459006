"""What a check found: a table to read, one document, and a CSV of every cell."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, TextIO

from afterlaunch.data_contracts.cells import shown
from afterlaunch.data_contracts.checking import Check
from afterlaunch.data_contracts.verdicts import LINE, Broken, Cell, Report

MOST_CELLS = 100_000
SAID = {
    "ok": "ok",
    "at_risk": "at risk: below 95 % clean, but so few records may be chance",
    "below": "below 95 % clean records",
    "failing": "failing",
    "not_assessed": "not assessed: fewer than 73 records",
}


def run(check: Check, out: TextIO | None = None, keep: int = 0) -> tuple[Report, list[dict[str, Any]]]:
    """Judge the whole table. Every cell goes to `out` as CSV; so many are returned."""
    writer = csv.writer(out, lineterminator="\n") if out else None
    if writer:
        writer.writerow(["row", "column", "rule", "severity", "value", "expected"])
    kept: list[dict[str, Any]] = []
    for cell in check.cells():
        if writer:
            writer.writerow([cell.row, cell.column, cell.rule, cell.severity, cell.value, cell.expected])
        if len(kept) < keep:
            kept.append(_cell(cell))
    return check.report, kept


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "row": cell.row,
        "column": cell.column,
        "rule": cell.rule,
        "severity": cell.severity,
        "value": cell.value,
        "expected": cell.expected or None,
    }


def document(report: Report, cells: list[dict[str, Any]]) -> dict[str, Any]:
    n = report.rows
    total = sum(rule.cells for rule in report.rules)
    return {
        "verdict": report.verdict,
        "contract": {"name": report.contract.name, "version": report.contract.version, "owner": report.contract.owner},
        "records": n,
        "clean": report.clean,
        "score": 100 * report.clean / n if n else None,
        "score_low": 100 * report.bounds[0] if n else None,
        "score_high": 100 * report.bounds[1] if n else None,
        "line": 100 * LINE,
        "parts": report.parts,
        "newest": report.newest.isoformat() if report.newest else None,
        "first_wrong": report.first_wrong.isoformat() if report.first_wrong else None,
        "cells_clean": 100 * (1 - report.cells_bad / report.cells_all) if report.cells_all else None,
        "findings": report.findings,
        "rules": [_rule(one, n) for one in report.rules],
        "cells": cells,
        "cells_told": len(cells),
        "cells_found": total,
    }


def _rule(one: Broken, n: int) -> dict[str, Any]:
    share = one.records / n if n else 0.0
    state = "broken" if share > one.tolerance else "kept"
    return {
        "rule": one.rule,
        "name": one.name,
        "columns": list(one.columns),
        "severity": one.severity,
        "state": "not_assessed" if one.not_assessed or not n else state,
        "reason": one.not_assessed or None,
        "records": one.records,
        "cells": one.cells,
        "share": share,
        "examples": one.examples,
    }


def lines(report: Report) -> Iterator[str]:
    n = report.rows
    yield f"{report.contract.name} {report.contract.version}, owner {report.contract.owner}: {SAID[report.verdict]}."
    if n:
        low, high = report.bounds
        yield (
            f"{n:,} records, {report.clean:,} clean: score {100 * report.clean / n:.1f} "
            f"(95 % interval {100 * low:.1f} to {100 * high:.1f})."
        )
        told = (f"{name} {'not assessed' if one is None else f'{one:.1f}'}" for name, one in report.parts.items())
        yield "  ".join(told)
    for finding in report.findings:
        yield f"{finding['severity']:5}  {finding['kind']}: {finding['message']}"
    broken = sorted((one for one in report.rules if one.records), key=lambda one: -one.records)
    if broken:
        yield ""
        width = min(max(len(one.name) for one in broken), 48)
        yield f"{'rule':<{width}}  {'severity':8}  {'records':>9}  {'share':>7}  for example"
        for one in broken:
            yield (
                f"{one.name[:width]:<{width}}  {one.severity:8}  {one.records:>9,}  {one.records / n:>7.2%}  "
                f"{_example(one)}"
            )
    for one in report.rules:
        if one.not_assessed:
            yield f"Not assessed: {one.name}: {one.not_assessed}."


def _example(one: Broken) -> str:
    first = one.examples[0]
    instead = f", expected {shown(first['expected'])!r}" if first["expected"] else ""
    return f"row {first['row']}, {first['column']}: {shown(first['value'])!r}{instead}"
