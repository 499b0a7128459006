"""Where a failure began, what only passed it on, and what recovered from it (telemetry conventions §8.4). Pure.

One failure marks several spans. 1. A failed span recovered when, after it ended, another one of its kind under the same
parent did not fail: a retry, or a fallback. 2. A failed span passed a failure on when a counted span right below it, or
one that passed it on itself, failed and did not recover. 3. What a span below passed on to one that recovered has
recovered too. A span that did not fail ends the chain: it got by without.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from afterlaunch.telemetry.tables import NO_LEAF

DEEPEST = 500
SLACK_NS = 1_000_000
"""A retry may seem to begin so much before the attempt ended: clocks are read in turn."""


Key = tuple[str, Any, str]
"""Client, trace, and the span's id as hex text."""


@dataclass(frozen=True)
class Step:
    """A call with all of its members, or another span. `alike`: what a retry or a fallback has in common with it;
    `counted`: it is counted as a call or an operation."""

    key: Key
    parent: Key | None
    begins: int
    ends: int
    failed: bool
    alike: Hashable
    counted: bool


@dataclass(frozen=True)
class Course:
    """`propagated`: it only passed on what failed below it."""

    propagated: bool
    recovered: bool


def courses(steps: Iterable[Step]) -> dict[Key, Course]:
    """One for each step that failed."""
    all_of = {step.key: step for step in steps}
    below: dict[Key, list[Step]] = {}
    for step in all_of.values():
        if step.parent is not None and step.parent != step.key:
            below.setdefault(step.parent, []).append(step)
    failed = [step for step in all_of.values() if step.failed]
    again = {step.key for step in failed if _tried_again(step, below)}
    passed_on: set[Key] = set()
    for step in failed:  # from each origin upwards
        at, counted = step, step.counted
        for _ in range(DEEPEST):
            above = all_of.get(at.parent) if at.parent is not None else None
            if above is None or not above.failed or at.key in again or not counted:
                break
            if above.key in passed_on:
                break
            passed_on.add(above.key)
            at = above
    return {step.key: Course(step.key in passed_on, _recovered(step, all_of, again, passed_on)) for step in failed}


def _tried_again(step: Step, below: Mapping[Key, list[Step]]) -> bool:
    beside = below.get(step.parent, ()) if step.parent is not None else ()
    return any(
        not one.failed and one.alike == step.alike and one.begins >= step.ends - SLACK_NS and one.ends > step.ends
        for one in beside
    )


def _recovered(step: Step, all_of: Mapping[Key, Step], again: set[Key], passed_on: set[Key]) -> bool:
    at = step
    for _ in range(DEEPEST):
        if at.key in again:
            return True
        above = all_of.get(at.parent) if at.parent is not None else None
        if above is None or above.key not in passed_on:
            return False
        at = above
    return False


def steps_of(spans: Iterable[Mapping[str, Any]], calls: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Rows of `spans` of whole traces, and the rows of `calls` counted in them. Ids are either bytes or hex text, in
    `members` hex text."""
    spans, calls = list(spans), [call for call in calls if call["part"] != NO_LEAF]
    whole = {(call["client"], member): call for call in calls for member in call["members"] or ()}
    out: dict[Key, Step] = {}
    for span in spans:
        call = whole.get((span["client"], _hex(span["span_id"])))
        key = _key(span, _of(call) if call else span["span_id"])
        above = span["parent_span_id"]
        inside = call is not None and above is not None and _hex(above) in (call["members"] or ())
        if above is None or inside:
            parent = None
        else:
            outer = whole.get((span["client"], _hex(above)))
            parent = _key(span, _of(outer) if outer else above)
        made = _step(span, call, key, parent)
        held = out.get(key)
        out[key] = made if held is None else _together(held, made)
    return list(out.values())


def _step(span: Mapping[str, Any], call: Mapping[str, Any] | None, key: Key, parent: Key | None) -> Step:
    kind = span["op_kind"]
    name = {"tool": span["tool"], "other": span["name"]}.get(kind)
    ends = span["start_ns"] + (span["duration_ns"] or 0)
    failed = bool(call["failed"] if call else span["failed"])
    return Step(key, parent, span["start_ns"], ends, failed, (kind, name), call is not None or kind != "other")


def _together(one: Step, other: Step) -> Step:
    """Members of one call: the outer one has the parent."""
    parent = one.parent if one.parent is not None else other.parent
    begins, ends = min(one.begins, other.begins), max(one.ends, other.ends)
    return Step(one.key, parent, begins, ends, one.failed, one.alike, one.counted or other.counted)


def _key(span: Mapping[str, Any], span_id: Any) -> Key:
    return span["client"], span["trace_id"], _hex(span_id)


def key_of(row: Mapping[str, Any]) -> Key:
    """Of a row of `spans` or `calls` that is no member of another call."""
    return _key(row, row["span_id"])


def _of(call: Mapping[str, Any]) -> Any:
    return call["span_id"]


def _hex(span_id: Any) -> str:
    return span_id.hex() if isinstance(span_id, bytes) else str(span_id)
