"""Rules that look at more than one value: keys, and columns that hang together."""

from __future__ import annotations

from typing import Any

import numpy as np

from afterlaunch.data_contracts.contract import Rule
from afterlaunch.data_contracts.expressions import Expression
from afterlaunch.data_contracts.facts import Facts, present
from afterlaunch.data_contracts.inference import holds
from afterlaunch.data_contracts.tables import Coded, Stretch
from afterlaunch.data_contracts.verdicts import Broken


def columns_of(rule: Rule) -> set[str]:
    return set(Expression(rule.expression).columns) if rule.kind == "expression" else {rule.given, rule.to}


class Unique:
    """Values seen before, by their 64-bit hashes."""

    MOST = 8_000_000

    def __init__(self, broken: Broken) -> None:
        self.broken, self.seen = broken, set[int]()

    def see(self, column: Coded) -> Any:
        hit = np.zeros(len(column.codes), bool)
        if self.broken.not_assessed:
            return hit
        keys = [hash(value) if present(value) else None for value in column.values]
        for row, code in enumerate(column.codes):
            key = keys[code]
            if key is not None:
                if key in self.seen:
                    hit[row] = True
                self.seen.add(key)
        if len(self.seen) > self.MOST:
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
        there, here = stretch.columns[self.rule.given], stretch.columns[self.rule.to]
        right = [self.majority.get(value) for value in there.values]
        mine = [present(value) for value in here.values]
        out = []
        for row, (a, b) in enumerate(zip(there.codes, here.codes, strict=True)):
            expected = right[a]
            if expected is not None and mine[b] != expected and mine[b] not in self.others[there.values[a]]:
                out.append((row, self.rule.to, expected))
        return out

    def _embedded(self, stretch: Stretch) -> list[tuple[int, str, str]]:
        one, other = stretch.columns[self.rule.given], stretch.columns[self.rule.to]
        out = []
        for row in range(stretch.rows):
            if not present(other.cell(row)):
                text = one.cell(row)
                if found := holds(text, self.domain):
                    out += [(row, self.rule.given, text[: -len(found)].rstrip()), (row, self.rule.to, found)]
        return out

    def _expression(self, stretch: Stretch, bad: dict[str, Any]) -> list[tuple[int, str, str]]:
        """Where one column follows from the others, it is at fault, unless one of these is."""
        follows = self.expression.follows
        blamed = [follows] if follows else list(self.expression.columns)
        columns = {name: stretch.columns[name] for name in self.expression.columns}
        known: dict[tuple[int, ...], bool | None] = {}
        out = []
        for row in range(stretch.rows):
            key = tuple(column.codes[row] for column in columns.values())
            if key not in known:
                known[key] = self.expression.holds({name: column.cell(row) for name, column in columns.items()})
            others_fine = not (follows and any(bad[name][row] for name in columns if name != follows))
            if known[key] is False and others_fine:
                out += [(row, name, "") for name in blamed]
        return out
