"""Expressions over the columns of one record: `start <= end`, `price * quantity == total`, `a != "x" or b >= 0`.

Texts are put together by +: `state + "_" + code == state_code`. Names are columns (others in quotes:
`column("net price")`); numbers, texts in quotes, + - * / ( ), comparisons, and, or, not. A record in which a value of
it is missing is not judged by it.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from afterlaunch.data_contracts.cells import instant, marker, missing, number
from afterlaunch.ground.errors import Invalid

COMPARED: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: lambda a, b: a == b or (isinstance(a, float) and isinstance(b, float) and abs(a - b) <= 1e-9 * abs(b)),
    ast.NotEq: operator.ne,
}
REACHED: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
LONGEST = 500


class Unknown(Exception):
    """A value is missing, or the two can't be compared."""


class Expression:
    """Raises `Invalid` where it is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.columns: list[str] = []
        if len(text) > LONGEST:
            raise Invalid(f"The expression is longer than {LONGEST} characters.")
        try:
            self.tree = ast.parse(text.strip(), mode="eval").body
            self._read(self.tree, 0)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
            raise Invalid(f"{text!r} is no expression: {str(problem).split('(')[0].strip()}.") from problem

    def _read(self, node: ast.AST, depth: int) -> None:
        if depth > 20:
            raise ValueError("it is nested too deeply")
        if isinstance(node, ast.Name):
            self.columns.append(node.id)
            return
        if column_named(node):
            self.columns.append(column_named(node))
            return
        allowed = (ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Constant)
        if not isinstance(node, allowed):
            raise ValueError(f"{type(node).__name__} is not allowed")
        if isinstance(node, ast.BinOp) and type(node.op) not in REACHED:
            raise ValueError("of arithmetic it knows + - * /")
        if isinstance(node, ast.Compare) and any(type(one) not in COMPARED for one in node.ops):
            raise ValueError("of comparisons it knows < <= > >= == !=")
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not | ast.USub):
            raise ValueError("before a value it knows - and not")
        plain = isinstance(node, ast.Constant) and not isinstance(node.value, bool)
        if isinstance(node, ast.Constant) and not (plain and isinstance(node.value, int | float | str)):
            raise ValueError("it knows numbers and texts")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._read(child, depth + 1)

    @property
    def follows(self) -> str:
        """The column that the others give, where the expression says that it equals them; else ''."""
        tree = self.tree
        if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.ops[0], ast.Eq):
            for side in (tree.comparators[0], tree.left):
                if name := side.id if isinstance(side, ast.Name) else column_named(side):
                    return name
        return ""

    def holds(self, record: Mapping[str, str]) -> bool | None:
        """None where it can't be told."""
        try:
            return bool(self._value(self.tree, record))
        except (Unknown, ZeroDivisionError, OverflowError):
            return None

    def _value(self, node: ast.AST, record: Mapping[str, str]) -> Any:
        if isinstance(node, ast.Name):
            return _cell(record.get(node.id, ""))
        if name := column_named(node):
            return _cell(record.get(name, ""))
        if isinstance(node, ast.Constant):
            return float(node.value) if isinstance(node.value, int | float) else node.value
        if isinstance(node, ast.UnaryOp):
            inner = self._value(node.operand, record)
            return not inner if isinstance(node.op, ast.Not) else -_amount(inner)
        if isinstance(node, ast.BinOp):
            left, right = self._value(node.left, record), self._value(node.right, record)
            if isinstance(node.op, ast.Add) and isinstance(left, str) and isinstance(right, str):
                return left + right
            return REACHED[type(node.op)](_amount(left), _amount(right))
        if isinstance(node, ast.BoolOp):
            values = (bool(self._value(one, record)) for one in node.values)
            return all(values) if isinstance(node.op, ast.And) else any(values)
        assert isinstance(node, ast.Compare)
        return self._compared(node, record)

    def _compared(self, node: ast.Compare, record: Mapping[str, str]) -> bool:
        left = self._value(node.left, record)
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = self._value(other, record)
            try:
                if type(left) is not type(right) and not isinstance(op, ast.Eq | ast.NotEq):
                    raise Unknown
                if not COMPARED[type(op)](left, right):
                    return False
            except TypeError:
                raise Unknown from None
            left = right
        return True


def column_named(node: ast.AST) -> str:
    """The name in `column("…")`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "column":
        if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            return node.args[0].value
        raise ValueError('column takes one name, as column("net price")')
    return ""


def _cell(text: str) -> Any:
    if missing(text) or marker(text):
        raise Unknown
    value = number(text)
    if value is not None:
        return value
    return instant(text) or text


def _amount(value: Any) -> float:
    if not isinstance(value, float):
        raise Unknown
    return value
