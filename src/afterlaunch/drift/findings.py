"""What is wrong with the tables themselves, each with its type; some make the whole a drift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import expm1, sqrt

from afterlaunch.drift.figures import counted
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.files import Table
from afterlaunch.profiles.numeric import INVALID, NumericProfile
from afterlaunch.profiles.reading import Column, Tabled
from afterlaunch.profiles.vectors import Sample

# Types that a model which reads the table will trip over.
BREAKING = frozenset(("column_missing", "type_changed"))
LEAST = 100  # rows
KEYS = 2  # standard errors of a count of distinct values


@dataclass(frozen=True)
class Finding:
    type: str
    column: str | None
    message: str
    table: str = "current"

    @property
    def breaking(self) -> bool:
        return self.type in BREAKING

    def as_document(self) -> dict[str, object]:
        return {
            "type": self.type,
            "column": self.column,
            "table": self.table,
            "breaking": self.breaking,
            "message": self.message,
        }


def findings(reference: Tabled, current: Tabled, tables: tuple[Table, Table]) -> list[Finding]:
    return [
        *_of_schema(reference, current),
        *_of_keys(reference, current),
        *(one for which, table in zip(("reference", "current"), tables, strict=True) for one in _of_file(which, table)),
        *(
            one
            for which, tabled in (("reference", reference), ("current", current))
            for one in _of_values(which, tabled)
        ),
    ]


def _of_schema(reference: Tabled, current: Tabled) -> Iterator[Finding]:
    gone = [name for name in reference.columns if name not in current.columns]
    new = [name for name in current.columns if name not in reference.columns]
    for name in gone:
        likely = _renamed(name, new)
        hint = f" Perhaps it is called {likely!r} now." if likely else ""
        yield Finding("column_missing", name, f"{name!r} of the reference is not in the current table.{hint}")
    for name in new:
        yield Finding("column_new", name, f"{name!r} is not in the reference: there is nothing to compare it with.")
    for name, had in reference.columns.items():
        has = current.columns.get(name)
        if has is not None and (told := _type_changed(had, has)):
            yield Finding("type_changed", name, told)


def _of_keys(reference: Tabled, current: Tabled) -> Iterator[Finding]:
    for name, had in reference.columns.items():
        has = current.columns.get(name)
        if has is None or had.profile is None or has.profile is None or had.vectors is not None:
            continue
        if repeats(had.profile, has.profile):
            found = has.profile.distinct
            assert found is not None
            told = f"{name!r} was distinct in nearly every row of the reference; {counted(found)} values are now in"
            yield Finding("key_repeats", name, f"{told} {has.profile.count:,} rows.")


def repeats(before: NumericProfile | CategoryProfile, now: NumericProfile | CategoryProfile) -> bool:
    """Whether values that hardly ever came twice do now, beyond the error of both counts.

    Values of a wide range repeat more often among more rows: so many as the reference has at least would give D
    (1 - exp(-n / D)) distinct ones among n, of which the count must fall short by four standard errors. Tables of more
    than twice the reference's rows are not asked, as values that are unequally frequent repeat sooner."""
    had, has = before.distinct, now.distinct
    if had is None or has is None or not LEAST <= now.count <= 2 * before.count or before.count < LEAST:
        return False
    sure = 1 - KEYS * had.error
    if had.count < sure * before.count:
        return False
    seen = min(sure * had.count / before.count, 1 - 1 / before.count)
    values = before.count / _rate(seen)
    usual = values * -expm1(-now.count / values)
    return has.count < (1 - 2 * KEYS * max(has.error, had.error)) * usual - 2 * KEYS * sqrt(max(usual, 1.0))


def _rate(seen: float) -> float:
    """r of (1 - exp(-r)) / r = seen: rows for each possible value, where so many of the rows are distinct."""
    low, high = 1e-12, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if -expm1(-middle) / middle > seen else (low, middle)
    return high


def _type_changed(had: Column, has: Column) -> str:
    if had.vectors is not None and has.vectors is not None:
        if not has.vectors.count and has.vectors.wrong:
            return f"{had.name!r} held vectors of {had.vectors.length} numbers; they have another length now."
        return ""
    profile = has.profile
    if isinstance(profile, NumericProfile) and profile.records > profile.missing:
        wrong = int(profile.apart[:, INVALID].sum())
        if 2 * wrong > profile.records - profile.missing:
            return f"{had.name!r} held numbers; most values now are none, for example {_listed(has.examples)}."
    kinds = {"numeric", "category", "untyped", "null"}
    if has.kind != had.kind and not {had.kind, has.kind} <= kinds:
        return f"{had.name!r} was {had.kind} and is {has.kind} now."
    if had.kind == "category" and has.kind == "numeric":
        return f"{had.name!r} held text and holds numbers now; they were compared as text."
    return ""


def _renamed(name: str, candidates: list[str]) -> str:
    def plain(text: str) -> str:
        return "".join(letter for letter in text.casefold() if letter.isalnum())

    rated = [(SequenceMatcher(None, plain(name), plain(one)).ratio(), one) for one in candidates]
    best = max(rated, default=(0.0, ""))
    return best[1] if best[0] >= 0.75 else ""


def _of_file(which: str, table: Table) -> Iterator[Finding]:
    for name, called in table.trouble.duplicates.items():
        told = f"{len(called)} columns are called {name!r}; they are compared in their order, as {_listed(called)}."
        yield Finding("duplicate_column", name, told, which)
    if table.trouble.ragged_rows:
        count, example = table.trouble.ragged_rows, table.trouble.ragged_example
        told = f"{count} rows have another number of values than the header ({example}); they were left out."
        yield Finding("ragged_rows", None, told, which)


def _of_values(which: str, tabled: Tabled) -> Iterator[Finding]:
    for name, column in tabled.columns.items():
        profile = column.profile
        if column.vectors is not None:
            yield from _of_vectors(name, column.vectors, which)
            continue
        if profile is None or not profile.records:
            if column.kind == "null":
                yield Finding("all_null", name, f"{name!r} has no value that could be compared.", which)
            continue
        if profile.missing == profile.records:
            yield Finding("all_null", name, f"{name!r} has no value at all.", which)
        if isinstance(profile, NumericProfile):
            wrong = int(profile.apart[:, INVALID].sum())
            if wrong:
                told = f"{wrong} values of {name!r} are no numbers, for example {_listed(column.examples)}."
                yield Finding("mixed_types", name, told, which)
            if infinite := profile.wrong - wrong:
                yield Finding("infinities", name, f"{infinite} values of {name!r} are infinite.", which)
        elif which == "current" and (unseen := int(profile.counts[:, profile.layout.unseen].sum())):
            examples = sorted(profile.fresh, key=lambda value: (-sum(profile.fresh[value]), value))[:3]
            told = (
                f"{unseen} rows of {name!r} hold values that the reference never had, for example {_listed(examples)}."
            )
            yield Finding("unseen_values", name, told, which)
        elif which == "reference" and not profile.layout.tail_complete:
            told = f"{name!r} has more distinct values than are kept: beyond 1,000 of them they are one cell."
            yield Finding("many_values", name, told, which)


def _of_vectors(name: str, found: Sample, which: str) -> Iterator[Finding]:
    if found.wrong:
        told = f"{found.wrong} values of {name!r} are no vectors of {found.length} finite numbers."
        yield Finding("vectors_differ", name, told, which)
    elif not found.count:
        yield Finding("all_null", name, f"{name!r} has no value at all.", which)


def _listed(values: list[str]) -> str:
    return ", ".join(repr(one if len(one) <= 60 else one[:59] + "…") for one in values)
