"""What the arguments of a tool call hold at a JSON path, and whether a policy looks for it. Pure.

1. Arguments are read by a parser that refuses what two readers may read differently: a member that stands there twice,
a number that is none. 2. The path was read when the configuration was; what is found by it is bounded by the document's
size, and documents have a bound where a path may visit all of one. 3. A value that cannot be compared is told as such:
nobody may take it for a pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from afterlaunch.contracts.guard_checks import Check, compiled, steps_of
from afterlaunch.gateway.guarding.calls import ToolCall, Unreadable, strict

LARGEST = 256 << 10  # characters of the arguments of one call
MOST_NODES = 10_000  # of a document that a path may visit whole
_BOUNDED = frozenset(("NameSelector", "IndexSelector"))
Holds = Callable[[Any], bool]
Fits = Callable[[ToolCall], bool]
T = TypeVar("T")


def matching(check: Check) -> Fits:
    """Whether a call has what a check of arguments looks for. It raises Unreadable."""
    find, holds = _finder(check.path), _holds(check)

    def fits(call: ToolCall) -> bool:
        found = find(read(call.arguments))
        if check.must_match:
            return not found or some(lambda one: not holds(one), found)
        return some(holds, found)

    return fits


def some(holds: Callable[[T], bool], values: Iterable[T]) -> bool:
    """Whether it holds of one of them; raises Unreadable only where it holds of none that could be told."""
    problem: Unreadable | None = None
    for one in values:
        try:
            if holds(one):
                return True
        except Unreadable as found:
            problem = found
    if problem is not None:
        raise problem
    return False


def read(arguments: str) -> Any:
    """Raises Unreadable. Without any there are none: some providers send nothing in place of {}."""
    if len(arguments) > LARGEST:
        raise Unreadable("too-large")
    return strict(arguments) if arguments.strip() else {}


def _finder(path: str) -> Callable[[Any], list[Any]]:
    import jsonpath

    steps = steps_of(path)
    if isinstance(steps, str):
        raise ValueError(steps)
    query = jsonpath.JSONPath(env=steps[0].env, segments=steps) if steps else None
    bounded = all(
        type(step).__name__ == "JSONPathChildSegment" and {type(one).__name__ for one in step.selectors} <= _BOUNDED
        for step in steps
    )

    def find(document: Any) -> list[Any]:
        if query is None:
            return [document]
        if not bounded:
            _count(document)
        try:
            return [one.obj for one in query.finditer(document)]
        except (jsonpath.JSONPathError, RecursionError):
            raise Unreadable("too-deep") from None

    return find


def _count(document: Any) -> None:
    """Raises Unreadable where a document has more than MOST_NODES values."""
    waiting, seen = [document], 1
    while waiting:
        one = waiting.pop()
        below: Iterable[Any] = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if isinstance(one, dict | list):
            seen += len(one)
            if seen > MOST_NODES:
                raise Unreadable("too-many")
            waiting += [each for each in below if isinstance(each, dict | list)]


def _holds(check: Check) -> Holds:
    """Any of what the check tells is enough; without, that something stands there is."""
    asked: list[Holds] = []
    if (above := check.above) is not None:
        asked.append(lambda value: number_of(value) > above)
    if (below := check.below) is not None:
        asked.append(lambda value: number_of(value) < below)
    if check.patterns:
        asked.append(_found([_ready(one) for one in check.patterns]))
    if check.values:
        known = {_kind(one) for one in check.values}
        asked.append(lambda value: _kind(value) in known)
    if not asked:
        return lambda _: True
    return lambda value: some(lambda one: one(value), asked)


def _ready(pattern: str) -> Any:
    found = compiled(pattern)
    if isinstance(found, str):
        raise ValueError(found)
    return found


def _found(patterns: Sequence[Any]) -> Holds:
    def holds(value: Any) -> bool:
        text = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode("utf-8", "replace")
        return any(one.search(text) is not None for one in patterns)

    return holds


def _kind(value: Any) -> tuple[str, Any]:
    """Equal for what JSON calls equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, bool) or value is None:
        return "word", value
    if isinstance(value, int | float):
        return "number", value
    return ("text", value) if isinstance(value, str) else ("other", json.dumps(value, sort_keys=True))


def number_of(value: Any) -> int | float:
    """Of a text, too: tools read "500" as what it says. Raises Unreadable for what is no number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        found = float(value) if isinstance(value, str | float) else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):  # 1e999 is JSON
        raise Unreadable("no-number")
    return found
