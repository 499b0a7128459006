"""The answer of `rca rank`: a file's components, parts and changes, ranked. Pure but for reading the file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from afterlaunch.diagnosis.blame import Case, Verdict, blame
from afterlaunch.diagnosis.cases import HINT, instant, read
from afterlaunch.diagnosis.causes import Changed, Dimension, Part, explain, rank
from afterlaunch.ground.errors import Invalid


def answer(path: Path) -> dict[str, Any]:
    """What `afterlaunch rca rank` prints. `sha256` is that of the document without it, keys sorted. Raises Invalid."""
    case, more = read(path)
    onset, step = float(more["onset"]), _step(more)
    document: dict[str, Any] = {"onset": onset, "step_seconds": step} | (_components(case) if case else dict(WITHOUT))
    components = {row["component"]: row["share"] for row in document["components"]}
    causes = rank(onset, step, changes(more.get("changes", [])), parts(more.get("slices", [])), components)
    if not case and causes and causes[0].score > 0:
        document |= {"reason": "ranked", "explanation": f"{causes[0].name}. {causes[0].explanation}"}
    document["causes"] = [{"rank": place, **asdict(one)} for place, one in enumerate(causes, 1)]
    return document | {"sha256": hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()}


WITHOUT: Mapping[str, Any] = {
    "reason": "nothing_worse",
    "explanation": "No change and no slice explains anything.",
    "components": [],
}


def _components(case: Case) -> dict[str, Any]:
    found = blame(case)
    return {
        "target": case.target,
        "measure": case.measure,
        "reason": found.reason,
        "explanation": told(found, case.target, case.measure),
        "compared_with": found.against,
        "first_bin": found.first,
        "last_bin": found.last,
        "usual": found.usual,
        "excess": found.excess,
        "components": [{"rank": place, **asdict(row)} for place, row in enumerate(found.rows, 1)],
    }


def _step(told: Mapping[str, Any]) -> float:
    step = told.get("step_seconds", 60.0)
    if not isinstance(step, int | float) or step <= 0:
        raise Invalid("step_seconds must be a number above 0.", HINT)
    return float(step)


def told(found: Verdict, target: str, measure: str) -> str:
    if found.reason == "nothing_before":
        return "Not assessed: no bin lies before the onset, and no usual values are given."
    if found.reason == "nothing_after":
        return "Not assessed: no bin lies after the onset."
    if found.reason == "not_worse":
        return f"{target} is not worse after the onset than before."
    first = found.rows[0]
    more = f"{found.excess:.3g} s" if measure == "latency" else f"{found.excess:.3g} failed calls"
    said = f"A call of {target} has {more} more than before; {first.share:.0%} of that comes from "
    return said + (f"{first.component} ({' → '.join(first.path)})." if len(first.path) > 1 else "itself.")


def changes(told: Any) -> list[Changed]:
    """Raises Invalid with the place of what is wrong."""
    out = []
    for place, one in enumerate(_objects(told, "changes")):
        at = instant(one.get("at"), f"changes[{place}].at")
        touches = _touches(one.get("touches", {}), place)
        kind, title = (str(one.get(name) or "") for name in ("kind", "title"))
        if not title:
            raise Invalid(f"changes[{place}].title is missing.", HINT)
        component = str(one.get("component") or "")
        out.append(Changed(str(one.get("id", place)), kind or "change", title, at, touches, component))
    return out


def _touches(told: Any, place: int) -> tuple[tuple[str, str], ...]:
    if not isinstance(told, dict):
        raise Invalid(f"changes[{place}].touches is no object from dimension to value.", HINT)
    return tuple((str(name), str(value)) for name, value in told.items())


def parts(told: Any) -> list[Dimension]:
    by_dimension: dict[str, list[Part]] = {}
    for place, one in enumerate(_objects(told, "slices")):
        numbers = _four(one, place)
        seen = one.get("first_seen")
        first = None if seen is None else instant(seen, f"slices[{place}].first_seen")
        name = str(one.get("dimension") or "")
        if not name:
            raise Invalid(f"slices[{place}].dimension is missing.", HINT)
        value = one.get("value")
        part = Part(name, None if value is None else str(value), *numbers, first)
        by_dimension.setdefault(name, []).append(part)
    found = (explain(name, ones) for name, ones in by_dimension.items())
    return [one for one in found if one is not None]


def _four(one: Mapping[str, Any], place: int) -> tuple[int, float, int, float]:
    told = []
    for name in ("calls_before", "before", "calls_after", "after"):
        value = one.get(name)
        if not isinstance(value, int | float) or value < 0:
            raise Invalid(f"slices[{place}].{name} must be a number, 0 or more.", HINT)
        told.append(float(value))
    return int(told[0]), told[1], int(told[2]), told[3]


def _objects(told: Any, where: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise Invalid(f"{where} must be a list of objects.", HINT)
    return told
