"""What a check has found, and what it means: score, parts, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from afterlaunch.data_contracts.contract import Contract
from afterlaunch.ground.shares import wilson

LINE = 0.95
FEWEST = 73
"""Only from 73 clean records of 73 does the lower bound reach 95 %."""
PARTS = {
    "completeness": ("required", "nulls"),
    "validity": ("type", "range", "values", "pattern", "length", "similar"),
    "uniqueness": ("unique",),
    "consistency": ("dependency", "expression", "embedded"),
    "timeliness": ("freshness", "volume"),
}


@dataclass
class Broken:
    """One rule of one column or several. `not_assessed` says why it could not be judged."""

    rule: str
    columns: tuple[str, ...]
    severity: str
    name: str
    tolerance: float = 0.0
    cells: int = 0
    records: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    not_assessed: str = ""


@dataclass(frozen=True)
class Cell:
    row: int
    column: str
    rule: str
    value: str
    expected: str
    severity: str


@dataclass
class Report:
    """`newest` and `first_wrong`: the latest time of all records, and the earliest of those that break an error rule,
    by the column of freshness."""

    contract: Contract
    rows: int = 0
    clean: int = 0
    cells_all: int = 0
    cells_bad: int = 0
    rules: list[Broken] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    parts: dict[str, float | None] = field(default_factory=dict)
    verdict: str = "not_assessed"
    bounds: tuple[float, float] = (0.0, 1.0)
    newest: datetime | None = None
    first_wrong: datetime | None = None


def judge(report: Report, part_rows: dict[str, int]) -> None:
    """failing: a breach of the window or the schema. Else by the Wilson bounds of the share of clean records."""
    n, clean = report.rows, report.clean
    report.bounds = wilson(clean, n)
    kinds = {finding["kind"] for finding in report.findings}
    for name, rules in PARTS.items():
        asked = any(one.rule in rules and not one.not_assessed for one in report.rules)
        if name == "timeliness":
            asked = report.contract.fresh is not None or report.contract.volume is not None
            report.parts[name] = (0.0 if kinds & {"freshness", "volume"} else 100.0) if asked else None
        else:
            report.parts[name] = 100 * (1 - part_rows[name] / n) if asked and n else None
    report.verdict = verdict_of(report.findings, clean, n)


def verdict_of(findings: Sequence[Mapping[str, Any]], clean: int, n: int) -> str:
    if any(finding["severity"] == "error" and finding["kind"] != "likely_change" for finding in findings):
        return "failing"
    if n and wilson(clean, n)[1] < LINE:
        return "below"
    if n < FEWEST:
        return "not_assessed"
    return "at_risk" if clean / n < LINE else "ok"
