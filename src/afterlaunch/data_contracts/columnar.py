"""An expression over whole columns of numbers, or of instants: which records it may not hold for. These are then looked
at one by one (`expressions`), which decides alike, and alone where texts are compared."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from afterlaunch.data_contracts.coded import NEVER, Array, Coded
from afterlaunch.data_contracts.expressions import Expression, column_named

COMPARED: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
REACHED: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class _OneByOne(Exception):
    """The columns are not what this can compare."""


def doubtful(expression: Expression, columns: Mapping[str, Coded], rows: int) -> Array:
    """Rows that are to be looked at: all where texts are in it; never one for which it surely holds."""
    try:
        judged = _Judged(expression.tree, columns, rows)
        with np.errstate(all="ignore"):
            holds = judged.truth(expression.tree)
    except _OneByOne:
        return np.arange(rows)
    return np.flatnonzero(judged.unsure | (~holds & ~judged.untold))


class _Judged:
    """`untold`: rows that lack a value, of which an expression without and, or, not says nothing."""

    def __init__(self, tree: ast.expr, columns: Mapping[str, Coded], rows: int) -> None:
        gone = np.zeros(rows, bool)
        self.unsure = np.zeros(rows, bool)
        self.leaves: dict[str, Array] = {}
        kinds = set()
        for name, one in columns.items():
            gone |= one.of_rows(one.gone)
            if one.instants is not None:
                times, zone = one.instants
                kinds.add(f"instants {zone}")
                self.leaves[name] = one.of_rows(times)
                self.unsure |= one.of_rows((times == NEVER) & ~one.gone)
            else:
                kinds.add("numbers")
                self.leaves[name] = one.of_rows(one.numbers)
                self.unsure |= one.of_rows(np.isnan(one.numbers) & ~one.gone)
        if len(kinds) > 1:
            raise _OneByOne
        self.times = kinds != {"numbers"}
        plain = isinstance(tree, ast.Compare)
        self.untold = gone if plain else np.zeros(rows, bool)
        if not plain:
            self.unsure |= gone

    def truth(self, node: ast.AST) -> Array:
        if isinstance(node, ast.BoolOp):
            joined = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return np.asarray(joined.reduce([self.truth(one) for one in node.values]))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.truth(node.operand)
        if not isinstance(node, ast.Compare):
            raise _OneByOne
        sides = [self.amount(one) for one in (node.left, *node.comparators)]
        out = np.ones(len(self.unsure), bool)
        for op, left, right in zip(node.ops, sides, sides[1:], strict=False):
            out &= COMPARED[type(op)](left, right)
        return out

    def amount(self, node: ast.AST) -> Any:
        name = node.id if isinstance(node, ast.Name) else column_named(node)
        if name:
            return self.leaves[name]
        if self.times:
            raise _OneByOne
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.amount(node.operand)
        if not isinstance(node, ast.BinOp):
            raise _OneByOne
        out = REACHED[type(node.op)](self.amount(node.left), self.amount(node.right))
        self.unsure |= ~np.isfinite(out) & ~self.untold
        return out
