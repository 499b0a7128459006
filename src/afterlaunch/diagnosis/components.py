"""Which step of a system became slower or began to fail, from its traces. Pure.

A span's own time is what its children do not fill. A failure is counted where it began: at a failed span none of whose
children failed; those above it only pass it on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LEAST_TRACES = 10
NAMED_BY = {
    "inference": ("model",), "embedding": ("model",), "rerank": ("model",), "tool": ("tool",),
    "retrieval": ("data_source",), "agent": ("agent",), "workflow": ("workflow",),
}  # fmt: skip


@dataclass(frozen=True)
class Totals:
    """Sums over a sample of traces: seconds of own time, failures that began there."""

    traces: int
    seconds: Mapping[str, float]
    failures: Mapping[str, int]


@dataclass(frozen=True)
class Step:
    """Per trace, before and after. `share` of what all steps together have more."""

    component: str
    before: float
    after: float
    share: float


def name_of(span: Mapping[str, Any]) -> str:
    """ "tool search", "inference gpt-5": the kind, and what names one of that kind."""
    kind = span["op_kind"] or "other"
    named = next((span[one] for one in NAMED_BY.get(kind, ()) if span.get(one)), None)
    return f"{kind} {named or span['name'] or ''}".strip()


def totals(spans: Iterable[Mapping[str, Any]]) -> Totals:
    """`spans` tell trace_id, span_id, parent_span_id, name, op_kind, start_ns, duration_ns, failed and the names."""
    rows = list(spans)
    known = {(row["trace_id"], row["span_id"]) for row in rows}
    filled: dict[tuple[Any, Any], float] = defaultdict(float)
    failed_below: set[tuple[Any, Any]] = set()
    for row in rows:
        parent = (row["trace_id"], row["parent_span_id"])
        if parent in known:
            filled[parent] += row["duration_ns"] or 0
            if row["failed"]:
                failed_below.add(parent)
    seconds: dict[str, float] = defaultdict(float)
    failures: dict[str, int] = defaultdict(int)
    for row in rows:
        name, key = name_of(row), (row["trace_id"], row["span_id"])
        seconds[name] += max((row["duration_ns"] or 0) - filled[key], 0) / 1e9
        failures[name] += bool(row["failed"]) and key not in failed_below
    return Totals(len({row["trace_id"] for row in rows}), seconds, failures)


def compare(before: Totals, after: Totals, measure: str) -> list[Step]:
    """The steps that have more than before, most first; nothing when either side has too few traces, or the measure
    is not one that traces tell."""
    if measure not in ("latency", "failed", "timeouts") or min(before.traces, after.traces) < LEAST_TRACES:
        return []
    was, now = (before.seconds, after.seconds) if measure == "latency" else (before.failures, after.failures)
    found = {
        name: (was.get(name, 0) / before.traces, now.get(name, 0) / after.traces) for name in was.keys() | now.keys()
    }
    more = {name: told[1] - told[0] for name, told in found.items() if told[1] > told[0]}
    whole = sum(more.values())
    rows = [Step(name, *found[name], more[name] / whole) for name in more] if whole else []
    return sorted(rows, key=lambda row: (-row.share, row.component))
