"""A path into a JSON document: `$.data[0].name`, `$['odd name'].x`, `$.items[-1]`. Pure.

The part of JSONPath (RFC 9535) that names one place: names, quoted names, indexes. No wildcards, slices or filters.
"""

from __future__ import annotations

import re
from typing import Any

from afterlaunch.ground.errors import Invalid

_STEP = re.compile(r"\.([^\W\d][\w-]*)|\[(-?\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
LONGEST, MOST_STEPS = 300, 40
_ESCAPED = re.compile(r"\\(.)")


class Absent(Exception):
    """Nothing stands at that place."""


def parsed(path: str) -> list[str | int]:
    """Raises Invalid."""
    if not path.startswith("$") or len(path) > LONGEST:
        raise Invalid(f"{path[:60]!r} is no path into JSON.", "For example: $.data[0].status")
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or len(steps) >= MOST_STEPS:
            raise Invalid(f"{path[:60]!r} is no path into JSON.", "Names and indexes only: $.data[0]['odd name']")
        name, index, single, double = found.groups()
        quoted = single if single is not None else double
        steps.append(name if name is not None else int(index) if index is not None else _ESCAPED.sub(r"\1", quoted))
        at = found.end()
    return steps


def value_at(document: Any, path: str) -> Any:
    """Raises Absent, Invalid."""
    place = document
    for step in parsed(path):
        place = _inside(place, step, path)
    return place


def _inside(place: Any, step: str | int, path: str) -> Any:
    if isinstance(step, str):
        if isinstance(place, dict) and step in place:
            return place[step]
    elif isinstance(place, list) and -len(place) <= step < len(place):
        return place[step]
    raise Absent(path)
