"""A table against its contract: which cells break which rule, how many records are clean, and what that means.

1. First pass, only where a rule needs it: counts of values and pairs (`facts`).
2. Second pass: each rule on each distinct value of a batch, or on each record where it spans columns.
3. A rule that more than 99 % of the records break is one finding: a likely change of schema or unit.
4. The score is the share of records that break no rule of severity error (docs/data-contracts.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from afterlaunch.data_contracts.alone import Told, of_column, slipped
from afterlaunch.data_contracts.between import Between, Unique, columns_of
from afterlaunch.data_contracts.cells import instant
from afterlaunch.data_contracts.coded import NEVER, Array, Coded, micros
from afterlaunch.data_contracts.contract import Column, Contract, Rule
from afterlaunch.data_contracts.expressions import Expression
from afterlaunch.data_contracts.facts import Facts, present
from afterlaunch.data_contracts.tables import Stretch, Text
from afterlaunch.data_contracts.verdicts import PARTS, Broken, Cell, Report, judge

AHEAD = timedelta(
    days=1
)  # of a wall time without a zone, or a clock; what lies further ahead says nothing of how fresh a table is
NEARLY_ALL = 0.99
EXAMPLES = 5


class Check:
    """`cells()` once, to its end; then `report`."""

    def __init__(self, table: Text, contract: Contract, now: datetime) -> None:
        self.table, self.contract, self.now = table, contract, now
        self.report = Report(contract)
        self.columns = [one for one in contract.columns if one.name in table.names]
        self._schema()
        names = {one.name for one in self.columns}
        self.rules = [rule for rule in contract.rules if columns_of(rule) <= names]
        for column in contract.columns:
            if column.name not in names:
                self._unjudged("column", (column.name,), f"{column.name}: all rules", "the column is not there")
        for rule in contract.rules:
            if rule not in self.rules:
                columns = tuple(sorted(columns_of(rule)))
                self._unjudged(rule.kind, columns, rule.name, "a column is not there")
        self.newest: datetime | None = None
        self.null_rows: dict[str, int] = {}
        self.part_rows = dict.fromkeys(PARTS, 0)

    def _unjudged(self, rule: str, columns: tuple[str, ...], name: str, why: str) -> None:
        self.report.rules.append(Broken(rule, columns, "error", name, not_assessed=why))

    def _schema(self) -> None:
        told = {one.name for one in self.contract.columns}
        more = [name for name in self.table.names if name not in told]
        for column in self.contract.columns:
            if column.name not in self.table.names:
                renamed = next((name for name in more if _same(name, column.name)), None)
                if renamed:
                    more.remove(renamed)
                    said = f"{column.name} is called {renamed} now."
                    self._finding("column_renamed", column.name, said, "error", renamed=renamed)
                else:
                    self._finding("column_missing", column.name, f"{column.name} is not there.", "error")
        for name in more:
            severity = "warn" if self.contract.more_columns else "error"
            self._finding("column_added", name, f"{name} is not in the contract.", severity)

    def _finding(self, kind: str, column: str, said: str, severity: str, **more: Any) -> None:
        self.report.findings.append({"kind": kind, "column": column, "severity": severity, "message": said, **more})

    def cells(self) -> Iterator[Cell]:
        facts = self._first_pass()
        judges = [(column, self._of_column(column, facts)) for column in self.columns]
        keys = [column for column in self.columns if column.unique]
        unique = {one.name: Unique(self._broken("unique", one), len(keys)) for one in keys}
        between = [Between(rule, self._between(rule), facts) for rule in self.rules]
        for stretch in self.table.only([one.name for one in self.columns]):
            yield from self._stretch(stretch, judges, unique, between)
        self._end()

    def _first_pass(self) -> Facts:
        similar = [one.name for one in self.columns if one.similar]
        pairs = [(rule.given, rule.to) for rule in self.rules if rule.kind == "dependency"]
        domains = {rule.to for rule in self.rules if rule.kind == "embedded"}
        facts = Facts({*similar, *domains}, pairs)
        needed = {*similar, *domains, *(name for pair in pairs for name in pair)}
        if needed:
            for stretch in self.table.only(sorted(needed)):
                facts.add(stretch)
        return facts

    def _broken(self, rule: str, column: Column) -> Broken:
        out = Broken(rule, (column.name,), column.severity(rule), f"{column.name}: {rule}")
        self.report.rules.append(out)
        return out

    def _between(self, rule: Rule) -> Broken:
        columns = (rule.given, rule.to) if rule.given else tuple(dict.fromkeys(Expression(rule.expression).columns))
        out = Broken(rule.kind, columns, rule.severity, rule.name, rule.tolerance)
        self.report.rules.append(out)
        return out

    def _of_column(self, column: Column, facts: Facts) -> list[tuple[Broken, Told]]:
        """The rules that one value answers by itself."""
        out = [(self._broken(rule, column), told) for rule, told in of_column(column)]
        if column.similar:
            broken = self._broken("similar", column)
            if facts.columns[column.name].complete:
                out.append((broken, slipped(facts.slips(column.name))))
            else:
                broken.not_assessed = "too many different values"
        return out

    def _stretch(
        self,
        stretch: Stretch,
        judges: list[tuple[Column, list[tuple[Broken, Told]]]],
        unique: dict[str, Unique],
        between: list[Between],
    ) -> Iterator[Cell]:
        rows = stretch.rows
        dirty = np.zeros(rows, bool)
        parts = {name: np.zeros(rows, bool) for name in PARTS}
        bad = {column.name: np.zeros(rows, bool) for column in self.columns}
        for column, rules in judges:
            coded = stretch.columns[column.name]
            self._watch(column, coded)
            for broken, told in rules:
                said = told(coded)
                if not said:
                    continue
                wrong = np.zeros(len(coded.words), bool)
                wrong[list(said)] = True
                hit = coded.of_rows(wrong)
                if broken.rule == "similar":
                    self._confirmed(hit, column.name, stretch, between)
                self._note(broken, hit, dirty, parts)
                bad[column.name] |= hit
                rows_hit = np.flatnonzero(hit)
                places = coded.codes[rows_hit]
                for row, at, value in zip(rows_hit.tolist(), places.tolist(), coded.some(places), strict=True):
                    yield self._cell(broken, stretch.first + row, column.name, value, said[at])
        for name, one in unique.items():
            hit = one.see(stretch.columns[name])
            self._note(one.broken, hit, dirty, parts)
            bad[name] |= hit
            for row in np.flatnonzero(hit).tolist():
                yield self._cell(one.broken, stretch.first + row, name, stretch.columns[name].cell(row), "")
        for each in between:
            found = each.see(stretch, bad)
            hit = np.zeros(rows, bool)
            hit[[row for row, _, _ in found]] = True
            self._note(each.broken, hit, dirty, parts)
            for row, name, expected in found:
                bad[name][row] = True
                yield self._cell(each.broken, stretch.first + row, name, stretch.columns[name].cell(row), expected)
        report = self.report
        self._first_wrong(stretch, dirty)
        report.rows += rows
        report.clean += rows - int(dirty.sum())
        report.cells_all += rows * len(self.columns)
        report.cells_bad += sum(int(one.sum()) for one in bad.values())
        for name, mask in parts.items():
            self.part_rows[name] += int(mask.sum())

    def _first_wrong(self, stretch: Stretch, dirty: Any) -> None:
        coded = stretch.columns.get(self.contract.fresh_column)
        if coded is None or not dirty.any():
            return
        times = _times(coded, coded.codes[dirty])
        if len(times):
            at = _instant(times.min())
            self.report.first_wrong = min(at, self.report.first_wrong or at)

    def _confirmed(self, hit: Any, name: str, stretch: Stretch, between: list[Between]) -> None:
        """A rare value on which all records of its group agree is no slip."""
        agreements = [one for one in between if one.rule.kind == "dependency" and one.rule.to == name]
        for row in np.flatnonzero(hit).tolist():
            if any(one.agrees(stretch, row) for one in agreements):
                hit[row] = False

    def _note(self, broken: Broken, hit: Any, dirty: Any, parts: dict[str, Any]) -> None:
        broken.records += int(hit.sum())
        if broken.severity == "error":
            dirty |= hit
        for name, rules in PARTS.items():
            if broken.rule in rules:
                parts[name] |= hit

    def _cell(self, broken: Broken, row: int, column: str, value: str, expected: str) -> Cell:
        broken.cells += 1
        if len(broken.examples) < EXAMPLES:
            broken.examples.append({"row": row, "column": column, "value": value, "expected": expected or None})
        return Cell(row, column, broken.rule, value, expected, broken.severity)

    def _watch(self, column: Column, coded: Coded) -> None:
        """Nulls, and the newest time."""
        if column.nulls is not None:
            gone = int(coded.of_rows(coded.gone).sum())
            self.null_rows[column.name] = self.null_rows.get(column.name, 0) + gone
        if self.contract.fresh is not None and column.name == self.contract.fresh_column:
            times = _times(coded, np.arange(len(coded.words)))
            times = times[times <= micros(self.now + AHEAD)]
            if len(times):
                at = _instant(times.max())
                self.newest = at if self.newest is None else max(self.newest, at)

    def _unread(self) -> None:
        """What could be read only in part."""
        trouble = self.table.trouble
        if trouble.ragged_rows:
            said = f"{trouble.ragged_rows:,} rows have too many or too few fields; they are left out and not counted"
            said += f" ({trouble.ragged_example})."
            self._finding("ragged_rows", "", said, "error", count=trouble.ragged_rows)
        for name, called in trouble.duplicates.items():
            said = f"{len(called)} columns are called {name}; here they are {', '.join(called)}."
            self._finding("duplicate_column", name, said, "error")

    def _end(self) -> None:
        report, contract = self.report, self.contract
        self._unread()
        for broken in report.rules:
            if report.rows and broken.records > NEARLY_ALL * report.rows and report.rows > 1:
                what = "schema or unit" if broken.rule == "type" else "schema"
                many = f"{broken.records:,} of {report.rows:,} records"
                said = f"{broken.name} is broken by {many}: a likely change of {what}."
                self._finding("likely_change", ", ".join(broken.columns), said, broken.severity, rule=broken.rule)
        for column in self.columns:
            share = self.null_rows.get(column.name, 0) / report.rows if report.rows else 0.0
            if column.nulls is not None and share > column.nulls:
                said = f"{share:.1%} of {column.name} are missing; {column.nulls:.1%} may be."
                self._finding("nulls", column.name, said, column.severity("nulls"))
        if contract.volume is not None:
            least, most = contract.volume
            if (least is not None and report.rows < least) or (most is not None and report.rows > most):
                up_to = "any number" if most is None else f"{most:,}"
                said = f"{report.rows:,} records; {least or 0:,} to {up_to} are expected."
                self._finding("volume", "", said, contract.volume_severity)
        if contract.fresh is not None and contract.fresh_column in self.table.names:
            self._fresh()
        report.newest = self.newest
        judge(report, self.part_rows)

    def _fresh(self) -> None:
        assert self.contract.fresh is not None
        if self.newest is None:
            said = f"{self.contract.fresh_column} has no time in it up to now."
            self._finding("freshness", self.contract.fresh_column, said, self.contract.fresh_severity)
        elif self.now - self.newest > self.contract.fresh:
            newest = self.newest.isoformat()
            said = f"The newest {self.contract.fresh_column} is {newest}, older than {self.contract.fresh}."
            self._finding("freshness", self.contract.fresh_column, said, self.contract.fresh_severity)


def _times(coded: Coded, places: Array) -> Array:
    """Instants of these words, in microseconds since 1970; those that tell none are left out."""
    if coded.instants is not None:
        found: Array = coded.instants[0][places]
        return np.asarray(found[found != NEVER])
    told = (micros(at) for value in set(coded.some(places)) if present(value) and (at := instant(value)))
    return np.fromiter(told, np.int64)


def _instant(at: Any) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(at))


def _same(name: str, other: str) -> bool:
    def plain(text: str) -> str:
        return "".join(letter for letter in text.lower() if letter.isalnum())

    return plain(name) == plain(other)
