"""Questions written in DuckDB's SQL, turned into ClickHouse's. Pure.

`sqlglot` does most of it. Before it writes, the tree is changed where the two engines mean different things by the same
words: 1. `?` become typed parameters of the server; 2. `x in (select unnest(?))` looks into an array; 3. tables that
keep several versions of a row are read with FINAL; 4. `//` is a division of integers, a missing key of a map is NULL,
and text is lowered beyond ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.clickhouse import ClickHouse

LONGEST_PARAMETER = 1000
"""Longer lists are written into the statement: a server takes 128 KiB of a parameter."""
NULL = "null"
_MARK = 7_100_000_000_000_000_000  # an Int64 that no question has
_NUMBERS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![\w.])(\d{4,})(?![\w.])""")


def kind_of(value: Any) -> str:
    """The ClickHouse type of a parameter. Raises TypeError."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "Bool"
    if isinstance(value, int):
        return "Int64"
    if isinstance(value, float):
        return "Float64"
    if isinstance(value, str):
        return "String"
    if isinstance(value, (list, tuple)):
        return f"Array({kind_of(value[0]) if value else 'String'})"
    raise TypeError(f"{type(value).__name__} is no parameter of a question")


def bound(sql: str, parameters: Sequence[Any], versioned: frozenset[str]) -> tuple[str, dict[str, Any]]:
    """(ClickHouse's SQL, its parameters by name). `versioned`: tables to read with FINAL."""
    kinds = tuple(kind_of(value) for value in parameters)
    shape, numbers = without_numbers(sql)
    text = translated(shape, kinds, versioned)
    given: dict[str, Any] = {}
    written: dict[str, str] = numbers
    for number, (kind, value) in enumerate(zip(kinds, parameters, strict=True)):
        if isinstance(value, (list, tuple)) and len(value) > LONGEST_PARAMETER:
            written[f"{{p{number}: {kind}}}"] = literal(value)
        elif kind != NULL:
            given[f"p{number}"] = value
    if written:  # in one pass: a value may look like the mark of another
        text = re.sub("|".join(map(re.escape, written)), lambda found: written[found.group()], text)
    return text, given


def without_numbers(sql: str) -> tuple[str, dict[str, str]]:
    """(the statement with a mark for each long number outside of quotes, mark -> number), so that a question about
    another time is no other question."""
    numbers: dict[str, str] = {}

    def mark(found: re.Match[str]) -> str:
        if found.group(1) is None:
            return found.group()
        name = str(_MARK + len(numbers))
        numbers[name] = found.group(1)
        return name

    return _NUMBERS.sub(mark, sql), numbers


def literal(values: Sequence[Any]) -> str:
    """An array of texts or numbers as ClickHouse reads it."""
    return "[" + ", ".join(_quoted(one) if isinstance(one, str) else str(one) for one in values) + "]"


def _quoted(text: str) -> str:
    for character, escaped in (("\\", "\\\\"), ("'", "\\'"), ("\0", "\\0")):
        text = text.replace(character, escaped)
    return f"'{text}'"


@lru_cache(maxsize=1000)
def translated(sql: str, kinds: tuple[str, ...], versioned: frozenset[str]) -> str:
    """`kinds`: the types of the parameters in order, `null` where the value is NULL."""
    tree = sqlglot.parse_one(_numbered(sql), read="duckdb")
    for change in (_arrays, _final(versioned), _functions, _parameters(kinds)):
        for node in reversed(list(tree.dfs())):  # children before their parents
            if (other := change(node)) is not node:
                node.replace(other)
    return ClickHouse().generate(tree)


def _numbered(sql: str) -> str:
    """Each `?` as a column of a name of ours, in the order in which they stand in the text."""
    marks = [token for token in sqlglot.tokenize(sql, read="duckdb") if token.token_type.name == "PLACEHOLDER"]
    for number in range(len(marks) - 1, -1, -1):
        at = marks[number].start
        sql = f"{sql[:at]}__p{number}{sql[at + 1 :]}"
    return sql


def _place(node: Any) -> int | None:
    """Which parameter a column of ours stands for."""
    if isinstance(node, exp.Column) and node.name.startswith("__p"):
        return int(node.name[3:])
    return None


def _parameters(kinds: tuple[str, ...]) -> Callable[[Any], Any]:
    def change(node: Any) -> Any:
        if (number := _place(node)) is None:
            return node
        kind = kinds[number]
        return exp.Null() if kind == NULL else exp.Placeholder(this=f"p{number}", kind=exp.Var(this=kind))

    return change


def _arrays(node: Any) -> Any:
    """`x in (select unnest(p))` and `x in (select unhex(unnest(p)))`."""
    if not isinstance(node, exp.In) or not isinstance(query := node.args.get("query"), exp.Expression):
        return node
    inner = query.unnest()
    if not isinstance(inner, exp.Select) or inner.args.get("from_") or len(inner.expressions) != 1:
        return node
    told = inner.expressions[0]
    hexed = isinstance(told, exp.Unhex)
    told = told.this if hexed else told
    if not isinstance(told, (exp.Explode, exp.Unnest)):
        return node
    values = told.this if isinstance(told, exp.Explode) else told.expressions[0]
    if hexed:
        one = exp.to_identifier("v")
        values = exp.Anonymous(
            this="arrayMap",
            expressions=[exp.Lambda(this=exp.Unhex(this=exp.column("v")), expressions=[one]), values.copy()],
        )
    return exp.In(this=node.this.copy(), field=values.copy())


def _final(versioned: frozenset[str]) -> Callable[[Any], Any]:
    def change(node: Any) -> Any:
        if not isinstance(node, exp.Table) or node.name not in versioned or isinstance(node.parent, exp.Final):
            return node
        return exp.Final(this=node.copy())

    return change


def _functions(node: Any) -> Any:
    if isinstance(node, exp.IntDiv):
        return exp.Anonymous(this="intDiv", expressions=[node.this.copy(), node.expression.copy()])
    if isinstance(node, exp.Lower):
        return exp.Anonymous(this="lowerUTF8", expressions=[node.this.copy()])
    if isinstance(node, exp.Anonymous) and node.name == "map_contains":
        return exp.Anonymous(this="mapContains", expressions=[one.copy() for one in node.expressions])
    if isinstance(node, exp.Anonymous) and node.name == "strlen":
        return exp.Anonymous(this="length", expressions=[node.expressions[0].copy()])
    if isinstance(node, exp.Length):  # of lists: DuckDB counts characters of a text, ClickHouse bytes
        return exp.Anonymous(this="length", expressions=[node.this.copy()])
    if isinstance(node, exp.ArraySort):
        return exp.Anonymous(this="arraySort", expressions=[node.this.copy()])
    if isinstance(node, exp.Bracket) and len(node.expressions) == 1 and _place(node.expressions[0]) is not None:
        held = exp.Anonymous(this="mapContains", expressions=[node.this.copy(), node.expressions[0].copy()])
        return exp.If(this=held, true=node.copy(), false=exp.Null())
    return node


def only_keys(condition: str, names: Sequence[str]) -> bool:
    """Whether a condition asks for nothing but these columns."""
    tree = sqlglot.parse_one(f"select 1 where {_numbered(condition)}", read="duckdb")
    return {column.name for column in tree.find_all(exp.Column) if _place(column) is None} <= set(names)
