"""`drift compare`: two files, no server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterlaunch.drift import figures
from afterlaunch.drift.findings import Finding, findings
from afterlaunch.drift.judging import (
    DRIFT,
    MISSING,
    NEW,
    NO_DRIFT,
    NOT_ASSESSED,
    Judged,
    Limits,
    Profile,
    Weighed,
    judge,
)
from afterlaunch.ground.errors import Invalid
from afterlaunch.profiles.files import open_table
from afterlaunch.profiles.reading import Column, Tabled, read_current, read_reference

WITHOUT = {
    "time": "a column of times moves by its nature",
    "null": "the reference has no value in it that could be compared",
}


@dataclass(frozen=True)
class Comparison:
    reference: Tabled
    current: Tabled
    columns: list[Judged]
    findings: list[Finding]
    limits: Limits

    @property
    def verdict(self) -> str:
        """Drift where a column drifted or a finding breaks its readers; else not assessed where no column was."""
        verdicts = {one.verdict for one in self.columns}
        if DRIFT in verdicts or any(one.breaking for one in self.findings):
            return DRIFT
        return NO_DRIFT if NO_DRIFT in verdicts else NOT_ASSESSED

    def count(self, verdict: str) -> int:
        return sum(one.verdict == verdict for one in self.columns)

    @property
    def explanation(self) -> str:
        assessed = self.count(DRIFT) + self.count(NO_DRIFT)
        if not assessed and self.verdict == NOT_ASSESSED:
            return "Not assessed: no column could be compared, which is no pass."
        told = f"{self.count(DRIFT)} of {assessed} assessed columns drifted" if assessed else "No column was assessed"
        if broken := sum(one.breaking for one in self.findings):
            told += f"; {broken} changed in what they are"
        if unknown := self.count(NOT_ASSESSED):
            told += f"; {unknown} could not be assessed"
        return told + "."

    def as_document(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "explanation": self.explanation,
            "rows_reference": self.reference.rows,
            "rows_current": self.current.rows,
            "alpha": self.limits.alpha,
            "line": self.limits.line,
            "tolerance": self.limits.tolerance.psi,
            "columns": [one.as_document() | self._figures(one.name) for one in self.columns],
            "findings": [one.as_document() for one in self.findings],
        }

    def pair(self, name: str) -> tuple[Profile, Profile] | None:
        """What a column holds, in both tables; of vectors there is only what a classifier made of them."""
        had, has = self.reference.columns.get(name), self.current.columns.get(name)
        if had is None or has is None or had.profile is None or has.profile is None or had.vectors is not None:
            return None
        return had.profile, has.profile

    def _figures(self, name: str) -> dict[str, Any]:
        pair = self.pair(name)
        return {"reference": figures.of(pair[0]), "current": figures.of(pair[1])} if pair else {}


def compare(
    reference: Path,
    current: Path,
    limits: Limits,
    encoding: str = "utf-8",
    delimiter: str = "",
    only: frozenset[str] = frozenset(),
    without: frozenset[str] = frozenset(),
) -> Comparison:
    """Raises `Invalid` where a file can't be read or a column that was asked for is not there."""
    tables = open_table(reference, encoding, delimiter), open_table(current, encoding, delimiter)
    known = set(tables[0].kinds()) | set(tables[1].kinds())
    if strange := sorted((only | without) - known):
        raise Invalid(f"Neither table has a column {strange[0]!r}.", "Names are as in the file's header.")
    chosen = {name for name in known if (not only or name in only) and name not in without}
    before = read_reference(tables[0], chosen)
    now = read_current(tables[1], before, chosen)
    pairs: dict[str, tuple[Profile, Profile]] = {}
    for name, had in before.columns.items():
        has = now.columns.get(name)
        if had.profile is not None and has is not None and has.profile is not None:
            pairs[name] = had.profile, has.profile
    judged = {one.name: one for one in judge(pairs, limits, others=_vectors(before, now, limits))}
    columns = [judged.get(name) or _unpaired(had, now.columns.get(name)) for name, had in before.columns.items()]
    columns += [_new(one) for name, one in now.columns.items() if name not in before.columns]
    return Comparison(before, now, columns, findings(before, now, tables), limits)


def _vectors(before: Tabled, now: Tabled, limits: Limits) -> dict[str, Weighed]:
    """Columns of vectors; their pictures are of the classifier's scores."""
    found = {}
    for name, had in before.columns.items():
        has = now.columns.get(name)
        if had.vectors is None or has is None or has.vectors is None:
            continue
        from afterlaunch.drift import vectors  # linear algebra is loaded where it is needed

        weighed = vectors.weigh(had.vectors, has.vectors, limits.tolerance)
        found[name] = Weighed(weighed.evidence, "vector", had.vectors.count, has.vectors.count)
        had.profile, has.profile = weighed.then, weighed.now
    return found


def _unpaired(had: Column, has: Column | None) -> Judged:
    count = had.profile.count if had.profile else 0
    if has is None:
        told = "The column is missing from the current table."
        return Judged(had.name, had.kind, MISSING, NOT_ASSESSED, "column_missing", told, count, 0)
    if had.kind in ("null", "untyped"):
        return Judged(
            had.name, "null", NOT_ASSESSED, NOT_ASSESSED, "no_values", f"Not assessed: {WITHOUT['null']}.", 0, 0
        )
    why = WITHOUT.get(had.kind, f"columns of type {had.kind} are not compared")
    return Judged(had.name, had.kind, NOT_ASSESSED, NOT_ASSESSED, f"kind_{had.kind}", f"Not assessed: {why}.", count, 0)


def _new(has: Column) -> Judged:
    told = "Not assessed: the reference has no such column."
    kind = "unknown" if has.kind == "untyped" else has.kind
    return Judged(has.name, kind, NEW, NOT_ASSESSED, "column_new", told, 0, 0)
