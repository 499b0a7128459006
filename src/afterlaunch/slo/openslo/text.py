"""YAML text to documents. Pure."""

from __future__ import annotations

from typing import Any

import yaml

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.yaml_text import require_bounds
from afterlaunch.slo.openslo.problems import Findings, Where

LARGEST = 2_000_000
MOST = 2_000
MOST_VALUES = 200_000


def documents(text: str, file: str, findings: Findings) -> list[tuple[Where, dict[str, Any]]]:
    """Every document that is a mapping with text for keys; empty ones are left out."""
    found: list[tuple[Where, dict[str, Any]]] = []
    if len(text) > LARGEST:
        findings.wrong(Where(file, 1), f"more than {LARGEST // 1_000_000} MB of text: split it")
        return found
    number = 0
    try:
        require_bounds(text)
        for number, raw in enumerate(yaml.load_all(text, Loader=yaml.SafeLoader), start=1):
            where = Where(file, number)
            if number > MOST:
                findings.wrong(where, f"more than {MOST} documents: split it")
                break
            if _size(raw, {}) > MOST_VALUES:
                findings.wrong(where, "with its aliases written out it is too large")
            elif isinstance(raw, dict) and all(isinstance(key, str) for key in raw):
                found.append((where, raw))
            elif raw is not None:
                findings.wrong(where, "it is no mapping")
    except Invalid as problem:
        findings.wrong(Where(file, 1), problem.message)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as problem:
        said = " ".join(str(problem).split()) if not isinstance(problem, RecursionError) else "it is nested too deeply"
        findings.wrong(Where(file, number + 1), f"this is no YAML: {said}")
    return found


def _size(value: Any, known: dict[int, int]) -> int:
    """How many values it holds with every alias written out. Raises ValueError where it holds itself."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) in known:
        if known[id(value)] < 0:
            raise ValueError("an alias holds itself")
        return known[id(value)]
    known[id(value)] = -1
    inside = value.values() if isinstance(value, dict) else value
    known[id(value)] = 1 + sum(_size(one, known) for one in inside)
    return known[id(value)]
