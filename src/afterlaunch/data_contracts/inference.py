"""A draft of a contract from a table, dirty as it may be: what nearly all of its records keep to.

1. Types: what 95 % of the present values are written as; a number with now this, now that unit is a number still.
2. Nulls: where there is none, a value is required; else there is a budget of half as many again.
3. Ranges: the 0.1 and 99.9 % quantiles, widened by a quarter of the distance between them.
4. Sets: up to 200 values, of which the last fifth of the records brought none new.
5. Patterns: at most five shapes that cover 95 %, where digits, signs or short codes are in them; one that 85 % have is
   asked for as a warning.
6. Uniqueness, slips of frequent values, dependencies between columns, values that slid into a neighbour.

A person confirms it. From fewer than `ENOUGH` records it is a sketch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import islice, pairwise, permutations
from keyword import iskeyword

import numpy as np

from afterlaunch.data_contracts.cells import TRUTHS, instant, is_type, number, shape, shaped, unit
from afterlaunch.data_contracts.contract import Column, Contract, Rule
from afterlaunch.data_contracts.dependencies import CONSTANT, GROUPS
from afterlaunch.data_contracts.facts import Facts, present
from afterlaunch.data_contracts.tables import Stretch, Text

ENOUGH = 1_000
MOST = 0.95
HARDLY = 0.01
SET = 200
SHAPES, LEAST_SHAPE, MORE_SHAPES = 5, 0.005, 0.02
USUAL = 0.85
PAIR_ROWS, PAIR_COLUMNS = 50_000, 40
WIDER = 0.25
ROWS_OF_SET = 20
MOST_ROWS, MOST_DIFFERENT = 200_000, 10_000
SAMPLE, SIGNS = 300, "_-/:|. ,#"


def infer(table: Text, name: str, owner: str, most_rows: int = MOST_ROWS) -> Contract:
    """Reads the first `most_rows` and some; a table that is longer gets no volume."""
    first, tail, rows = _read(table, most_rows)
    out = Contract(name, owner)
    out.columns = [_column(one, first, tail[one]) for one in table.names]
    kinds = {one.name: one.type for one in out.columns}
    made = put_together(table, [one for one in out.columns if one.type == "text"], first)
    for column in out.columns:
        column.similar = column.similar and column.name not in made
    follow = _dependencies(table, out.columns, first)
    out.rules = [Rule("expression", text, expression=text) for text in made.values()]
    out.rules += _embedded(table, out.columns, first) + [rule for rule in follow if rule.to not in made]
    out.volume = (rows // 2, rows * 2) if rows else None
    for column in out.columns:
        if column.type in ("timestamp", "date") and out.fresh is None:
            out.fresh_column, out.fresh = column.name, _cadence(first.columns[column.name].counts, kinds[column.name])
            out.fresh_severity = "warn"
    return out


def _read(table: Text, most_rows: int) -> tuple[Facts, dict[str, set[str]], int]:
    """The values; for each column those that were first seen in the last fifth of the records; how many records there
    are, or 0 where there are more than were read."""
    whole = True
    facts = Facts(table.names)
    seen_at: dict[str, dict[str, int]] = {name: {} for name in table.names}
    for stretch in table:
        facts.add(stretch)
        for name, column in stretch.columns.items():
            known = seen_at[name]
            if len(known) > 4 * SET:
                continue
            for code, row in zip(*np.unique(column.codes, return_index=True), strict=True):
                known.setdefault(column.values[code], stretch.first + int(row))
        if facts.rows >= most_rows:
            whole = False
            break
    late = facts.rows * 0.8
    return (
        facts,
        {name: {v for v, at in known.items() if at >= late} for name, known in seen_at.items()},
        facts.rows * whole,
    )


def _column(name: str, facts: Facts, late: set[str]) -> Column:
    out = Column(name)
    counted = facts.columns[name]
    if not counted.complete:
        return out
    counts = {value: n for value, n in counted.counts.items() if present(value)}
    total = sum(counts.values())
    if not total:
        return out
    few = _some(counts)
    out.type = _type(few, sum(few.values()))
    share = 1 - total / facts.rows
    if share:
        out.nulls = round(min(1.0, max(1.5 * share, HARDLY)), 3)
    else:
        out.required = True
    unique = len(counts) == total and total >= 50
    out.unique = unique and (out.type in ("integer", "text")) and all(len(value) <= 64 for value in counts)
    if out.type in ("integer", "number"):
        out.range = None if out.unique else _range(counts, total)
        return out
    if out.type == "text":
        slips = facts.slips(name)
        out.similar = not out.unique and _repeating(counts, total)
        out.pattern = _pattern(few, sum(few.values()))
        several = out.pattern is None or out.pattern.startswith("(")
        if several and (usual := _usual_shape(few, sum(few.values()))):
            out.pattern, out.warn = usual, ("pattern",)
        out.values = None if out.pattern else _values(counts, slips, late, total)
    return out


def _some(counts: dict[str, int]) -> dict[str, int]:
    """At most so many different values, from all over."""
    every = 1 + len(counts) // MOST_DIFFERENT
    return dict(islice(counts.items(), 0, None, every)) if every > 1 else counts


def _type(counts: Mapping[str, int], total: int) -> str:
    def share(kind: str) -> float:
        return sum(n for value, n in counts.items() if is_type(value, kind)) / total

    truths = {value.lower() for value in counts}
    if len(truths) == 2 and truths <= TRUTHS and not truths <= {"0", "1"} | set("0123456789"):
        return "boolean"
    if share("number") >= MOST:
        return "text" if _code(counts, total) else "integer" if share("integer") >= MOST else "number"
    units = Counter[str]()
    for value, n in counts.items():
        if (told := unit(value)) is not None:
            units[told] += n
    plain = share("number")
    if plain + sum(units.values()) / total >= MOST:
        often = [told for told, n in units.items() if n >= 0.01 * total]
        if plain >= 0.01 or len(often) > 1:
            return "number"
    for kind in ("date", "timestamp", "time"):
        if share(kind) >= MOST:
            return kind
    return "text"


def _code(counts: Mapping[str, int], total: int) -> bool:
    """Digits that are no amount: all of one length of four or more, or with a zero in front."""
    lengths = Counter[int]()
    leading = 0
    for value, n in counts.items():
        if value.isdigit():
            lengths[len(value)] += n
            leading += n if len(value) > 1 and value[0] == "0" else 0
    if leading:
        return True
    length, n = max(lengths.items(), key=lambda one: one[1], default=(0, 0))
    return length >= 5 and n >= MOST * total and len(counts) > 1 and not _dense(counts)


def _dense(counts: Mapping[str, int]) -> bool:
    """Numbers that count upwards are ids, and their length will grow."""
    values = sorted(int(value) for value in counts if value.isdigit())
    return len(values) > 2 and len(values) > 0.5 * (values[-1] - values[0] + 1)


def _range(counts: Mapping[str, int], total: int) -> tuple[float, float] | None:
    """None for fewer than twenty different values."""
    pairs = sorted((value, n) for told, n in counts.items() if (value := number(told)) is not None)
    if len(pairs) < ROWS_OF_SET:
        return None
    all_of_them = sum(n for _, n in pairs)
    low = high = pairs[0][0]
    before = 0
    for value, n in pairs:
        if before <= 0.001 * all_of_them:
            low = value
        if before < 0.999 * all_of_them:
            high = value
        before += n
    room = WIDER * (high - low)
    least = low - room
    if low >= 0 > least:
        least = 0.0
    return float(f"{least:.6g}"), float(f"{high + room:.6g}")


def _repeating(counts: Mapping[str, int], total: int) -> bool:
    return sum(n for n in counts.values() if n >= 5) >= 0.5 * total


def _values(counts: Mapping[str, int], slips: Mapping[str, str], late: set[str], total: int) -> tuple[str, ...] | None:
    kept = sorted(value for value in counts if value not in slips)
    if len(kept) > SET or total < 5 * len(kept) or any(value in late for value in kept):
        return None
    return tuple(kept)


def _pattern(counts: Mapping[str, int], total: int) -> str | None:
    """One exact shape where it suffices, else shapes with runs of any length."""
    for exact in (True, False):
        shapes = Counter[str]()
        values: dict[str, list[str]] = {}
        for value, n in counts.items():
            one = shape(value, exact)
            shapes[one] += n
            values.setdefault(one, []).append(value)
        kept: list[str] = []
        covered = 0
        for one, n in shapes.most_common(SHAPES):
            if n < (MORE_SHAPES if covered >= MOST * total else LEAST_SHAPE) * total:
                break
            kept.append(shaped({value: counts[value] for value in values[one]}, exact))
            covered += n
        enough = covered >= MOST * total and (len(kept) == 1 or not exact)
        if kept and enough and all(_telling(one) for one in kept):
            return kept[0] if len(kept) == 1 else f"({'|'.join(kept)})"
    return None


def _usual_shape(counts: Mapping[str, int], total: int) -> str | None:
    """One shape with digits that most have, while others have another: good for a warning."""
    shapes = Counter[str]()
    for value, n in counts.items():
        shapes[shape(value)] += n
    one, n = shapes.most_common(1)[0]
    return one if n >= USUAL * total and r"\d" in one else None


def _telling(one: str) -> bool:
    r"""Holds digits, or is a code of two or three letters. Words alone say nothing of the next word."""
    return r"\d" in one or one in ("[A-Z]{2}", "[A-Z]{3}", "[a-z]{2}", "[a-z]{3}")


def _cadence(counts: Mapping[str, int], kind: str) -> timedelta | None:
    """Three times the usual step between the times there are; a day at least where they are dates."""
    times = sorted(at.replace(tzinfo=None) for value in counts if (at := instant(value)) is not None)
    steps = sorted(b - a for a, b in pairwise(times) if b > a)
    if not steps:
        return None
    return max(3 * steps[len(steps) // 2], timedelta(days=1) if kind == "date" else timedelta(minutes=1))


def _embedded(table: Text, columns: list[Column], facts: Facts) -> list[Rule]:
    """Where a value is missing, a neighbour ends with it: `San Francisco CA`, and no state."""
    texts = [one.name for one in columns if one.type == "text"]
    domains: dict[str, set[str]] = {}
    for name in texts:
        counted = facts.columns[name]
        known = {value for value, n in counted.counts.items() if n >= 2 and present(value)}
        if 2 <= len(known) <= SET and any(not present(value) for value in counted.counts):
            domains[name] = known
    hits = Counter[tuple[str, str]]()
    gone = Counter[str]()
    for stretch in table if domains else ():
        if stretch.first >= PAIR_ROWS:
            break
        for other, domain in domains.items():
            without = [row for row in range(stretch.rows) if not present(stretch.columns[other].cell(row))]
            gone[other] += len(without)
            for name in texts:
                if name != other:
                    column = stretch.columns[name]
                    hits[name, other] += sum(1 for row in without if holds(column.cell(row), domain))
    return [
        Rule("embedded", f"{name} holds {other}", given=name, to=other)
        for (name, other), n in hits.items()
        if n >= 3 and n >= 0.5 * gone[other]
    ]


def holds(text: str, domain: Iterable[str]) -> str:
    """The value of the domain that stands at its end, as a word of its own; '' when there is none."""
    before, _, last = text.rpartition(" ")
    return last if before and last in domain else ""


def put_together(table: Text, columns: list[Column], facts: Facts) -> dict[str, str]:
    """Columns that are two others with a sign between them: `state + "_" + code == state_code`. From the first
    batch."""
    found: dict[str, str] = {}
    parts = [one.name for one in columns][:PAIR_COLUMNS]
    names = [name for name in parts if _takes(facts.columns[name].counts)]
    for stretch in table if names else ():
        for name in names:
            best, judged = _composition(stretch, name, parts)
            if best and judged >= 20 and best[1] >= 0.8 * judged:
                head, sign, tail = best[0]
                found[name] = f"{_name(head)} + {_quoted(sign)} + {_name(tail)} == {_name(name)}"
        break
    return found


Composed = tuple[tuple[str, str, str], int]


def _composition(stretch: Stretch, name: str, parts: list[str]) -> tuple[Composed | None, int]:
    """The most frequent (column, sign, column) that make up the values of `name`; how many values were looked at."""
    tried = Counter[tuple[str, str, str]]()
    judged = 0
    others = [one for one in parts if one != name]
    for row in range(0, stretch.rows, max(1, stretch.rows // SAMPLE)):
        value = stretch.columns[name].cell(row)
        if not present(value):
            continue
        judged += 1
        cells = {one: stretch.columns[one].cell(row) for one in others}
        for head, text in cells.items():
            rest = value[len(text) :] if text and value.startswith(text) else ""
            if rest and rest[0] in SIGNS:
                tried.update((head, rest[0], tail) for tail in others if tail != head and cells[tail] == rest[1:])
    best = tried.most_common(1)
    return (best[0] if best else None), judged


def _name(column: str) -> str:
    return column if column.isidentifier() and not iskeyword(column) else f"column({_quoted(column)})"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _dependencies(table: Text, columns: list[Column], facts: Facts) -> list[Rule]:
    names = [one.name for one in columns if facts.columns[one.name].complete][:PAIR_COLUMNS]
    counts = {name: {v: n for v, n in facts.columns[name].counts.items() if present(v)} for name in names}
    givers = [name for name in names if _gives(counts[name], facts.rows)]
    takers = [name for name in names if _takes(counts[name])]
    pairs = [(a, b) for a, b in permutations(names, 2) if a in givers and b in takers]
    found = Facts((), pairs)
    for stretch in table if pairs else ():
        found.add(stretch)
        if found.rows >= PAIR_ROWS:
            break
    out = []
    for (there, here), pair in found.pairs.items():
        told = pair.majorities()
        if pair.complete and (told.holds or told.shows):
            severity = "error" if told.holds else "warn"
            out.append(Rule("dependency", f"{there} → {here}", severity, given=there, to=here))
    return out


def _gives(counts: Mapping[str, int], rows: int) -> bool:
    """Enough groups, and most records in groups of three or more."""
    groups = sum(1 for n in counts.values() if n >= 3)
    return groups >= GROUPS and sum(n for n in counts.values() if n >= 3) >= 0.5 * rows


def _takes(counts: Mapping[str, int]) -> bool:
    """Neither nearly constant, nor a key."""
    total = sum(counts.values())
    return bool(total) and max(counts.values()) < CONSTANT * total and len(counts) < 0.9 * total
