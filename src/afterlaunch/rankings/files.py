"""Judgements (qrels), runs and reference scores, as TREC writes them: fields between blanks, `#` begins a comment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan

from afterlaunch.ground.errors import Invalid

Grades = dict[str, int]
"""Document → grade; below zero: in the pool, but nobody judged it."""
Groups = dict[str, Grades]
"""Group of judges → what they judged. One group, named '', where groups are not told apart."""
Levels = dict[str, float]
"""Document → level; the higher is preferred. 0 is not relevant."""
Subgroups = dict[str, dict[str, Levels]]
"""Group of judges → subgroup → levels."""
Reference = dict[tuple[str, str], tuple[float, float]]
"""(query, measure) → mean and standard deviation over the runs of reference."""


@dataclass
class Run:
    """`found`: query → document → score. `name` is what the last line says."""

    name: str = ""
    found: dict[str, dict[str, float]] = field(default_factory=dict)


def qrels(body: bytes, grouped: bool = False) -> dict[str, Groups]:
    """Query → groups. A line: query, group or iteration, document, grade. Raises Invalid, naming the line."""
    out: dict[str, Groups] = {}
    for number, fields in _lines(body, "the judgements"):
        if len(fields) != 4:
            raise Invalid(
                f"Line {number} of the judgements has {len(fields)} fields, not 4.",
                "A line is: query, iteration, document, grade.",
            )
        query, group, document, told = fields
        grades = out.setdefault(query, {}).setdefault(group if grouped else "", {})
        if document in grades:
            raise Invalid(f"Line {number} of the judgements judges {document} of query {query} a second time.")
        grades[document] = _grade(told, number)
    if not out:
        raise Invalid("There is no judgement in the file.", "A line is: query, iteration, document, grade.")
    return out


def preferences(body: bytes, subgroups: bool = True) -> dict[str, Subgroups]:
    """Query → groups → subgroups. A line: query, group, subgroup (unless qrels are read so), document, level."""
    out: dict[str, Subgroups] = {}
    for number, fields in _lines(body, "the judgements"):
        if len(fields) != 4 + subgroups:
            form = "query, group, subgroup, document, level" if subgroups else "query, group, document, grade"
            raise Invalid(
                f"Line {number} of the judgements has {len(fields)} fields, not {4 + subgroups}.", f"A line is: {form}."
            )
        query, group, *between, document, told = fields
        levels = out.setdefault(query, {}).setdefault(group, {}).setdefault(between[0] if between else "0", {})
        if document in levels:
            raise Invalid(f"Line {number} of the judgements judges {document} of query {query} a second time.")
        levels[document] = _score(told, f"line {number} of the judgements")
    if not out:
        raise Invalid("There is no judgement in the file.")
    return out


def run(body: bytes) -> Run:
    """A line: query, Q0, document, rank (not read: ranks follow from scores), score, name of the run."""
    out = Run()
    for number, fields in _lines(body, "the run"):
        if len(fields) < 6:
            raise Invalid(
                f"Line {number} of the run has {len(fields)} fields, not 6.",
                "A line is: query, Q0, document, rank, score, name of the run.",
            )
        query, _, document, _, told, out.name = fields[:6]
        found = out.found.setdefault(query, {})
        if document in found:
            raise Invalid(f"Line {number} of the run has {document} of query {query} a second time.")
        found[document] = _score(told, f"line {number} of the run")
    if not out.found:
        raise Invalid("There is no result in the run.", "A line is: query, Q0, document, rank, score, name of the run.")
    return out


def reference(body: bytes) -> Reference:
    """A line: query, measure, mean, standard deviation."""
    out: Reference = {}
    for number, fields in _lines(body, "the reference scores"):
        if len(fields) != 4:
            raise Invalid(
                f"Line {number} of the reference scores has {len(fields)} fields, not 4.",
                "A line is: query, measure, mean, standard deviation.",
            )
        query, measure, mean, deviation = fields
        where = f"line {number} of the reference scores"
        out[query, measure] = _score(mean, where), _score(deviation, where)
    return out


def _lines(body: bytes, what: str) -> Iterator[tuple[int, list[str]]]:
    if b"\0" in body:
        raise Invalid(f"A zero byte stands in {what}: it is no text.", "UTF-16 files have them; write it as UTF-8.")
    text = body.decode("utf-8-sig", "surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        if (fields := line.split()) and not fields[0].startswith("#"):
            yield number, fields


def _grade(told: str, number: int) -> int:
    """An integer; 1.0 is one too."""
    try:
        value = float(told)
        if value != int(value) or abs(value) > 127:
            raise ValueError
    except (ValueError, OverflowError):
        raise Invalid(
            f"Line {number} of the judgements has the grade {told!r}.", "A grade is an integer between -127 and 127."
        ) from None
    return int(value)


def _score(told: str, where: str) -> float:
    try:
        value = float(told)
    except ValueError:
        value = float("nan")
    if isnan(value):
        raise Invalid(f"{where[0].upper()}{where[1:]} has the score {told!r}, which is no number.")
    return value
