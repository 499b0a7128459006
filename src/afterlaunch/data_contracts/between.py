"""Rules that look at more than one value: keys, and columns that hang together."""

from __future__ import annotations

from typing import Any

import numpy as np

from afterlaunch.data_contracts.coded import Array, Coded
from afterlaunch.data_contracts.columnar import doubtful
from afterlaunch.data_contracts.contract import Rule
from afterlaunch.data_contracts.expressions import Expression
from afterlaunch.data_contracts.facts import Facts, present
from afterlaunch.data_contracts.inference import holds
from afterlaunch.data_contracts.seen import Seen
from afterlaunch.data_contracts.tables import Stretch
from afterlaunch.data_contracts.verdicts import Broken


def columns_of(rule: Rule) -> set[str]:
    return set(Expression(rule.expression).columns) if rule.kind == "expression" else {rule.given, rule.to}


class Unique:
    """Values seen before, by their 64-bit hashes; `of` columns of a table share the memory for them."""

    MOST = 40_000_000

    def __init__(self, broken: Broken, of: int = 1) -> None:
        self.broken, self.seen, self.most = broken, Seen(), self.MOST // of

    def see(self, column: Coded) -> Array:
        hit = np.zeros(column.rows, bool)
        if self.broken.not_assessed:
            return hit
        keys = np.fromiter(map(hash, column.values), np.int64, len(column.words)).view(np.uint64)
        rows = np.flatnonzero(~column.of_rows(column.gone))
        found, first, group = np.unique(column.of_rows(keys)[rows], return_index=True, return_inverse=True)
        hit[rows] = self.seen.take(found)[group]
        again = np.ones(len(rows), bool)
        again[first] = False
        hit[rows[again]] = True
        if self.seen.count > self.most:
            self.broken.not_assessed = "too many different values"
            self.seen.clear()
        return hit


class Between:
    """Rules over several columns of a record: (row, column at fault, what it should be)."""

    def __init__(self, rule: Rule, broken: Broken, facts: Facts) -> None:
        self.rule, self.broken = rule, broken
        if rule.kind == "dependency":
            pair = facts.pairs[rule.given, rule.to]
            broken.not_assessed = "" if pair.complete else "too many pairs of values"
            found = pair.majorities()
            self.majority, self.others, self.agreed = found.of, found.others, found.agreed
        elif rule.kind == "embedded":
            counted = facts.columns[rule.to]
            broken.not_assessed = "" if counted.complete else "too many different values"
            self.domain = {value for value, n in counted.counts.items() if n >= 2 and present(value)}
        else:
            self.expression = Expression(rule.expression)

    def agrees(self, stretch: Stretch, row: int) -> bool:
        there, here = stretch.columns[self.rule.given].cell(row), stretch.columns[self.rule.to].cell(row)
        return self.agreed.get(there) == here

    def see(self, stretch: Stretch, bad: dict[str, Any]) -> list[tuple[int, str, str]]:
        """`bad`: cells that break a rule of their own column."""
        if self.broken.not_assessed:
            return []
        if self.rule.kind == "dependency":
            return self._dependency(stretch)
        if self.rule.kind == "embedded":
            return self._embedded(stretch)
        return self._expression(stretch, bad)

    def _dependency(self, stretch: Stretch) -> list[tuple[int, str, str]]:
        there, here = stretch.columns[self.rule.given].distinct, stretch.columns[self.rule.to].distinct
        places = {value: place for place, value in enumerate(here.values)}
        expected = [self.majority.get(value) for value in there.values]
        asked = np.array([-1 if one is None else places.get(one, len(places)) for one in expected], np.int64)
        unlike = (asked[there.codes] >= 0) & (asked[there.codes] != here.codes)
        out = []
        for row in np.flatnonzero(unlike).tolist():
            value, given = present(here.cell(row)), there.cell(row)
            if value != self.majority[given] and value not in self.others[given]:
                out.append((row, self.rule.to, self.majority[given]))
        return out

    def _embedded(self, stretch: Stretch) -> list[tuple[int, str, str]]:
        one, other = stretch.columns[self.rule.given], stretch.columns[self.rule.to]
        out = []
        rows = np.flatnonzero(other.of_rows(other.gone))
        for row, text in zip(rows.tolist(), one.of(rows), strict=True):
            if found := holds(text, self.domain):
                out += [(row, self.rule.given, text[: -len(found)].rstrip()), (row, self.rule.to, found)]
        return out

    def _expression(self, stretch: Stretch, bad: dict[str, Any]) -> list[tuple[int, str, str]]:
        """Where one column follows from the others, it is at fault, unless one of these is."""
        follows = self.expression.follows
        blamed = [follows] if follows else list(self.expression.columns)
        columns = {name: stretch.columns[name] for name in self.expression.columns}
        rows = doubtful(self.expression, columns, stretch.rows)
        cells = zip(*(column.of(rows) for column in columns.values()), strict=True)
        known: dict[tuple[str, ...], bool | None] = {}
        out = []
        for row, key in zip(rows.tolist(), cells, strict=True):
            if key not in known:
                known[key] = self.expression.holds(dict(zip(columns, key, strict=True)))
            others_fine = not (follows and any(bad[name][row] for name in columns if name != follows))
            if known[key] is False and others_fine:
                out += [(row, name, "") for name in blamed]
        return out
