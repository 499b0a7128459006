"""Statements that are kept: the shape of what is asked, the places of its values, and what is done with the rows.

A shape is names, lookups and kinds of values. Django compiles the statement of a shape with a mark in the place of each
value; where the marks come out again are the places of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import EmptyResultSet, FieldError, FullResultSet
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import Col, CombinedExpression, Value
from django.db.models.sql.where import WhereNode

Given = tuple[str, Any]  # the kind of a value, and what the database is given
SEVERAL: tuple[type[Any], ...] = (list, tuple, set, frozenset, dict, type({}.keys()), type({}.values()))
T = TypeVar("T")

COMPARED = frozenset({"exact", "in", "isnull", "lt", "lte", "gt", "gte"})
FEW_IN, MOST_IN = 8, 256  # up to the first each length is a statement of its own; longer ones are filled up
MOST_KEPT = 4_000  # statements of a process
FIRST_INT, FIRST_INSTANT, FIRST_DAY = 1_900_000_000, datetime(4000, 1, 1, tzinfo=UTC), date(5000, 1, 1)
PROBLEMS = (EmptyResultSet, FullResultSet, FieldError, ValueError, TypeError)  # the plain way raises them again


class NotPlain(Exception):
    """Django's own way is taken."""


class Nothing(Exception):
    """One of no values: no row is like that, and nobody need be asked."""


class Deed(NamedTuple):
    """One call of a method, as it was asked."""

    name: str
    args: tuple[Any, ...] = ()
    named: Mapping[str, Any] | None = None


class Later:
    """In the place of a value that is set: it comes with each use."""

    contains_aggregate = contains_over_clause = False
    _output_field_or_none = None

    def resolve_expression(self, *args: Any, **named: Any) -> Later:
        return self

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s", [self]


# What is asked, as a shape and values


def kind_of(value: Any) -> Given:
    """(kind, what the database is given). Raises NotPlain."""
    if isinstance(value, Enum):
        value = value.value
    if type(value) is int and abs(value) < FIRST_INT:
        return "int", value
    if type(value) is str:
        return "str", value
    if type(value) is datetime and value.tzinfo is not None:
        return "instant", value
    if type(value) is date:
        return "day", value
    if isinstance(value, models.Model) and type(value.pk) in (int, str):
        return kind_of(value.pk)
    raise NotPlain


def shape_of(name: str, value: Any, values: list[Any]) -> Any:
    """Of one comparison; its values are added. Raises NotPlain."""
    if value is None or value is True or value is False:
        return name, value
    if isinstance(value, SEVERAL):
        if not name.endswith("__in") or len(value) > MOST_IN:
            raise NotPlain
        if not value:
            raise Nothing
        several = [kind_of(one) for one in filled(value)]
        kinds = tuple(_told(one, kind) for one, (kind, _) in zip(filled(value), several, strict=True))
        if len({one for _, one in several}) < len(value):
            raise NotPlain
        values += several
        return name, kinds
    if name.endswith(("__in", "__isnull")):
        raise NotPlain
    known = kind_of(value)
    values.append(known)
    return name, _told(value, known[0])


def _told(value: Any, kind: str) -> Any:
    """Objects of one table are not those of another, though both are numbers."""
    return type(value) if isinstance(value, models.Model) else kind


def shape_of_change(values: Sequence[tuple[Any, Any]]) -> tuple[tuple[Any, ...], list[Any]]:
    """(shape, what is given) of fields that are set. Raises NotPlain."""
    shape, given = [], []
    for field, value in values:
        operation = _operation(value)
        shape.append((field.attname, operation and (operation.lhs.name, operation.connector)))
        given.append(operation.rhs.value if operation else value)
    return tuple(shape), given


def later(value: Any) -> Any:
    """What is compiled in the place of a value that is set."""
    operation = _operation(value)
    value_to_come: Any = Later()
    return CombinedExpression(operation.lhs, operation.connector, value_to_come) if operation else value_to_come


def _operation(value: Any) -> Any:
    """F("field") + 1 and its like; None: a value. Raises NotPlain."""
    if not hasattr(value, "resolve_expression"):
        return None
    plain = type(value) is CombinedExpression and type(value.lhs) is F and type(value.rhs) is Value
    if plain and type(value.rhs.value) in (int, float):
        return value
    raise NotPlain


def saved(field: Any, value: Any, connection: Any) -> Any:
    """As the database is given it."""
    if isinstance(value, models.Model):
        value = value.prepare_database_save(field)
    return field.get_db_prep_save(value, connection)


def filled(value: Collection[Any]) -> list[Any]:
    """With its last one again and again, up to the next power of two: lists of any length are few statements."""
    given = list(value)
    if len(given) <= FEW_IN:
        return given
    return given + given[-1:] * ((1 << (len(given) - 1).bit_length()) - len(given))


def shape_of_condition(one: Any, values: list[Any]) -> Any:
    """A Q, or a pair as it holds them."""
    if isinstance(one, Q):
        return one.connector, one.negated, tuple(shape_of_condition(child, values) for child in one.children)
    if isinstance(one, tuple) and len(one) == 2:
        return shape_of(one[0], one[1], values)
    raise NotPlain


def marked(one: Any, marks: Iterator[Any]) -> Any:
    """The same condition, with marks in the place of its values."""
    if isinstance(one, Q):
        return Q.create([marked(child, marks) for child in one.children], connector=one.connector, negated=one.negated)
    return one[0], marked_value(one[1], marks)


def marked_value(value: Any, marks: Iterator[Any]) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, SEVERAL):
        return [_like(one, next(marks)) for one in filled(value)]
    return _like(value, next(marks))


def _like(value: Any, one: Any) -> Any:
    """An object stays an object, so that Django checks whose it is and takes the column that it takes of it."""
    return type(value)(pk=one) if isinstance(value, models.Model) else one


def mark(number: int, kind: str) -> Any:
    if kind == "int":
        return FIRST_INT + number
    if kind == "str":
        return f"mark {number} of a value"
    return FIRST_DAY + timedelta(days=number) if kind == "day" else FIRST_INSTANT + timedelta(seconds=number)


def performed(queryset: Any, deeds: Sequence[Deed], marks: Iterator[Any] | None = None) -> Any:
    """Django's own queryset, with all that was noted; with `marks` in the place of the values."""
    for deed in deeds:
        if deed.name == "slice":
            queryset = queryset[slice(*deed.args)]
            continue
        args, named = deed.args, deed.named or {}
        if marks is not None and deed.name in ("filter", "exclude"):
            args = tuple(marked(one, marks) for one in args)
            named = {name: marked_value(value, marks) for name, value in named.items()}
        queryset = getattr(queryset, deed.name)(*args, **named)
    return queryset


# Statements


@dataclass(frozen=True)
class Parameters:
    """`given`: by place, (constant, None) or (number of the value, its kind). `instants` and `days` are places, too."""

    given: tuple[tuple[Any, str | None], ...]
    instants: tuple[int, ...]
    days: tuple[int, ...]

    def of(self, values: Sequence[tuple[str, Any]], connection: Any) -> tuple[Any, ...]:
        found = [what if kind is None else values[what][1] for what, kind in self.given]
        for place in self.instants:
            found[place] = connection.ops.adapt_datetimefield_value(found[place])
        for place in self.days:
            found[place] = connection.ops.adapt_datefield_value(found[place])
        return tuple(found)


def parameters(params: Sequence[Any], values: Sequence[tuple[str, Any]], connection: Any) -> Parameters:
    """Raises NotPlain when a mark did not come out as it went in, once."""
    marks: dict[tuple[type, Any], tuple[int, str]] = {}
    for number, (kind, _) in enumerate(values):
        one = mark(number, kind)
        given = _adapted(one, kind, connection)
        marks[type(given), given] = number, kind
    found = [marks.get((type(one), one)) if not isinstance(one, Later) else None for one in params]
    if sorted(one[0] for one in found if one) != list(range(len(values))):
        raise NotPlain
    return Parameters(
        tuple(one or (given, None) for one, given in zip(found, params, strict=True)),
        tuple(place for place, one in enumerate(found) if one and one[1] == "instant"),
        tuple(place for place, one in enumerate(found) if one and one[1] == "day"),
    )


def _adapted(value: Any, kind: str, connection: Any) -> Any:
    if kind == "day":
        return connection.ops.adapt_datefield_value(value)
    return connection.ops.adapt_datetimefield_value(value) if kind == "instant" else value


def check(where: WhereNode) -> None:
    """Columns compared with values, and nothing else. Raises NotPlain."""
    one: Any
    for one in where.children:
        if isinstance(one, WhereNode):
            check(one)
            continue
        plain = getattr(one, "lookup_name", None) in COMPARED and isinstance(one.lhs, Col)
        if not plain or hasattr(one.rhs, "resolve_expression"):
            raise NotPlain


@dataclass(frozen=True)
class Select:
    """`form`: objects, tuples or flat values. `related` fills what `select_related` asked for."""

    sql: str
    parameters: Parameters
    form: str
    converters: tuple[tuple[int, Sequence[Any], Any], ...]
    model: Any
    names: Sequence[str]
    start: int
    end: int
    related: Sequence[Any]
    locks: bool

    def rows(self, values: Sequence[tuple[str, Any]], connection: Any) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(self.sql, self.parameters.of(values, connection))
            found = cursor.fetchall()
        if self.converters:
            found = [self._converted(row, connection) for row in found]
        if self.form == "flat":
            return [row[0] for row in found]
        if self.form == "tuples":
            return [tuple(row) for row in found]
        return [self._object(row, connection.alias) for row in found]

    def _converted(self, row: Sequence[Any], connection: Any) -> list[Any]:
        changed = list(row)
        for place, several, expression in self.converters:
            value = changed[place]
            for one in several:
                value = one(value, expression, connection)
            changed[place] = value
        return changed

    def _object(self, row: Sequence[Any], alias: str) -> Any:
        one = self.model.from_db(alias, self.names, row[self.start : self.end])
        for populator in self.related:
            populator.populate(row, one)
        return one


@dataclass(frozen=True)
class Exists:
    sql: str
    parameters: Parameters


@dataclass(frozen=True)
class Update:
    """`fields`: those that are set, in the order of the statement, before its other values; None: a number is added."""

    sql: str
    parameters: Parameters
    fields: Sequence[Any]


@dataclass(frozen=True)
class Insert:
    sql: str


_kept: dict[Any, Any] = {}  # None: what is left to Django


def statement(key: Any, compose: Callable[[], T]) -> T | None:
    """None: what is left to Django."""
    if key in _kept:
        found: T | None = _kept[key]
        return found
    made: T | None
    try:
        made = compose()
    except (NotPlain, *PROBLEMS):
        made = None
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[key] = made
    return made
