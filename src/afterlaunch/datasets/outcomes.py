"""What a check found, as one document: of a report made here, or of the JSON that `afterlaunch data check` wrote in a
pipeline. The second is told by a stranger: its form is checked and its verdict made again from its counts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from afterlaunch.data_contracts import shown
from afterlaunch.data_contracts.contract import SEVERITIES
from afterlaunch.data_contracts.verdicts import PARTS, Report, verdict_of
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.sensitive.patterns import masked
from afterlaunch.ground.shares import wilson

FINDINGS, RULES, EXAMPLES = 200, 500, 3
TEXT = 300  # characters of a value or a sentence that is kept
HINT = "Send what `afterlaunch data check TABLE --contract FILE --json` printed."
KINDS = (
    "column_missing", "column_renamed", "column_added", "duplicate_column", "ragged_rows", "likely_change", "nulls",
    "volume", "freshness",
)  # fmt: skip
LARGEST = 1 << 53


def of_report(report: Report) -> dict[str, Any]:
    return taken(shown.document(report, []))


def taken(told: Any) -> dict[str, Any]:
    """Raises Invalid. Values of cells are kept as examples only, cut, and without what looks like a secret or a
    person's number."""
    top = _map(told, "the result")
    rows, clean = _count(top, "records"), _count(top, "clean")
    if clean > rows:
        raise Invalid("The result has more clean records than records.", HINT)
    findings = [_finding(one) for one in _list(top, "findings")]
    rules = [_rule(one, rows) for one in _list(top, "rules")]
    low, high = wilson(clean, rows)
    contract = _map(top.get("contract"), "contract")
    return {
        "verdict": verdict_of(findings, clean, rows),
        "contract": {name: _text(contract.get(name)) for name in ("name", "version", "owner")},
        "records": rows,
        "clean": clean,
        "score": 100 * clean / rows if rows else None,
        "score_low": 100 * low if rows else None,
        "score_high": 100 * high if rows else None,
        "parts": _parts(_map(top.get("parts"), "parts")),
        "cells_clean": _share(top.get("cells_clean"), "cells_clean"),
        "cells_found": _count(top, "cells_found"),
        "newest": _instant(top.get("newest"), "newest"),
        "first_wrong": _instant(top.get("first_wrong"), "first_wrong"),
        "findings": sorted(findings, key=_weight)[:FINDINGS],
        "findings_found": len(findings),
        "rules": sorted(rules, key=lambda one: -one["records"])[:RULES],
    }


def _weight(finding: Mapping[str, Any]) -> tuple[bool, bool]:
    """What judges look at first: the few that are not of columns, then what is wrong, then what only warns."""
    return finding["kind"] not in ("volume", "freshness", "ragged_rows"), finding["severity"] != "error"


def _finding(told: Any) -> dict[str, Any]:
    row = _map(told, "a finding")
    kind, severity = _text(row.get("kind")), _text(row.get("severity"))
    if kind not in KINDS or severity not in SEVERITIES:
        raise Invalid(f"A finding has the kind {kind!r} and the severity {severity!r}.", HINT)
    return {
        "kind": kind,
        "column": _text(row.get("column")),
        "severity": severity,
        "message": _masked(row.get("message")),
    }


def _rule(told: Any, rows: int) -> dict[str, Any]:
    row = _map(told, "a rule")
    records, state = _count(row, "records"), row.get("state")
    if records > rows or state not in ("kept", "broken", "not_assessed"):
        raise Invalid("A rule is broken by more records than there are, or has no state.", HINT)
    severity = "warn" if row.get("severity") == "warn" else "error"
    return {
        "rule": _text(row.get("rule")),
        "name": _text(row.get("name")),
        "columns": [_text(one) for one in _list(row, "columns")[:20]],
        "severity": severity,
        "state": state,
        "reason": _text(row.get("reason")) or None,
        "records": records,
        "cells": _count(row, "cells"),
        "examples": [_example(one) for one in _list(row, "examples")[:EXAMPLES]],
    }


def _example(told: Any) -> dict[str, Any]:
    row = _map(told, "an example")
    return {
        "row": _count(row, "row"),
        "column": _text(row.get("column")),
        "value": _masked(row.get("value")),
        "expected": _masked(row.get("expected")) or None,
    }


def _parts(told: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: _share(told.get(name), f"parts.{name}") for name in PARTS}


def _map(told: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise Invalid(f"This is no result of a check: {what} is no object.", HINT)
    return told


def _list(told: Mapping[str, Any], name: str) -> list[Any]:
    value = told.get(name, [])
    if not isinstance(value, list):
        raise Invalid(f"{name!r} is no list.", HINT)
    return value


def _count(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < LARGEST:
        raise Invalid(f"{name!r} is no count.", HINT)
    return value


def _share(value: Any, name: str) -> float | None:
    """Of a hundred."""
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value) or not 0 <= value <= 100:
        raise Invalid(f"{name!r} lies between 0 and 100, or is null.", HINT)
    return float(value)


def _masked(value: Any) -> str:
    """What is cut off is looked at, too: half a secret has no look of its own."""
    return masked(_text(value, 2 * TEXT))[:TEXT]


def _text(value: Any, most: int = TEXT) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid("Where a text belongs stands something else.", HINT)
    return value.replace("\x00", "")[:most]


def _instant(value: Any, name: str) -> str | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(_text(value))
    except ValueError as problem:
        raise Invalid(f"{name!r} is no time.", HINT) from problem
    try:
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except OverflowError as problem:
        raise Invalid(f"{name!r} is no time that we can tell.", HINT) from problem
