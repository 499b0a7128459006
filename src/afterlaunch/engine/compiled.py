"""Querysets that compile a statement once, and the base of rows that are asked through them.

Django composes and compiles a statement anew each time it is asked; for few rows that is nine tenths of its cost, and a
process asks the same few hundred statements all its life, with other values. So:

1. `filter`, `order_by`, slices and the like are noted, not performed.
2. When rows are asked for, the statement of that shape is looked up (`engine.statements`); the first time Django
   compiles it.
3. What is not plainly columns compared with values (expressions, other querysets, transforms, patterns, JSON), and all
   that is not overridden here, is left to Django.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import Any, Self, TypeVar

from django.db import connections, models, transaction
from django.db.models import QuerySet, sql
from django.db.models.base import ModelState
from django.db.models.query import (
    MAX_GET_RESULTS,
    FlatValuesListIterable,
    ModelIterable,
    ValuesListIterable,
    get_related_populators,
)
from django.db.models.signals import post_init, pre_init

from afterlaunch.engine.statements import (
    SEVERAL,
    Deed,
    Exists,
    Given,
    Insert,
    Later,
    Nothing,
    NotPlain,
    Select,
    Update,
    check,
    later,
    mark,
    parameters,
    performed,
    saved,
    shape_of,
    shape_of_change,
    shape_of_condition,
    statement,
)

populators: Any = get_related_populators
FORMS: dict[Any, str] = {ModelIterable: "objects", ValuesListIterable: "tuples", FlatValuesListIterable: "flat"}
SETTLED = ("update_fields", "unique_fields")
FEW = 8  # rows that are written one by one with kept statements: faster than one that tells them apart
M = TypeVar("M", bound=models.Model)
T = TypeVar("T")


class Unnoted(Enum):
    """In the place of a query that nobody needed yet."""

    QUERY = "none yet"


class Compiled(QuerySet[Any]):
    """Django's queryset. While `_deeds` is not None, they are all that was asked, and there is no query yet."""

    _db: str | None
    _hints: Any
    _fields: Any
    _sticky_filter: bool
    _known_related_objects: Any
    _prefetch_related_lookups: Any

    def __init__(self, model: Any = None, query: Any = None, using: str | None = None, hints: Any = None) -> None:
        super().__init__(model, query or Unnoted.QUERY, using, hints)  # type: ignore[arg-type]
        self._deeds: tuple[Deed, ...] | None = () if query is None else None
        self._shape: tuple[Any, ...] = ()
        self._given: tuple[Given, ...] = ()
        self._sliced = False
        self._empty = False  # no row can be like that
        self._orders: bool | None = None

    @property
    def query(self) -> Any:
        if self._deeds is not None:
            deeds, self._deeds, self._empty = self._deeds, None, False
            plain: Any = performed(QuerySet(self.model, using=self._db, hints=self._hints), deeds)
            self._query: Any = plain.query
        return QuerySet.query.fget(self)  # type: ignore[attr-defined]

    @query.setter
    def query(self, value: Any) -> None:
        self._deeds, self._empty = None, False
        QuerySet.query.fset(self, value)  # type: ignore[attr-defined]

    def _clone(self) -> Any:
        if self._deeds is None:
            return super()._clone()  # type: ignore[misc]
        other: Any = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__)
        other._result_cache, other._prefetch_done, other._defer_next_filter = None, False, False
        return other

    def _note(self, deed: Deed, shape: Any, values: Sequence[Any] = ()) -> Any:
        other = self._clone()
        other._deeds = (*self._deeds, deed)  # type: ignore[misc]
        other._shape = (*self._shape, (deed.name, shape))
        other._given = (*self._given, *values)
        return other

    @property
    def _open(self) -> bool:
        """Whether more can be noted."""
        return self._deeds is not None and not self._sliced and not self._sticky_filter

    # What is noted

    def _condition(self, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if not self._open:
            return None
        values: list[Any] = []
        try:
            shape = (
                tuple(shape_of_condition(one, values) for one in args),
                tuple(shape_of(field, value, values) for field, value in named.items()),
            )
        except NotPlain:
            return None
        except Nothing:
            if name == "exclude" or args:
                return None
            noted = self._note(Deed("none"), ())
            noted._empty = True
            return noted
        held = {field: list(value) if isinstance(value, SEVERAL) else value for field, value in named.items()}
        self._defer_next_filter = False
        return self._note(Deed(name, args, held), shape, values)

    def filter(self, *args: Any, **named: Any) -> Any:
        noted = self._condition("filter", args, named)
        return super().filter(*args, **named) if noted is None else noted

    def exclude(self, *args: Any, **named: Any) -> Any:
        noted = self._condition("exclude", args, named)
        return super().exclude(*args, **named) if noted is None else noted

    def order_by(self, *names: Any) -> Any:
        if not self._open or not all(isinstance(one, str) for one in names):
            return super().order_by(*names)
        noted = self._note(Deed("order_by", names), names)
        noted._orders = bool(names)
        return noted

    def select_related(self, *names: Any) -> Any:
        if not self._open or not names or not all(isinstance(one, str) for one in names) or self._fields is not None:
            return super().select_related(*names)
        return self._note(Deed("select_related", names), names)

    def select_for_update(self, *args: Any, **named: Any) -> Any:
        if not self._open or args or any(not isinstance(one, (bool, tuple)) for one in named.values()):
            return super().select_for_update(*args, **named)
        noted = self._note(Deed("select_for_update", (), named), tuple(named.items()))
        noted._for_write = True
        return noted

    def values_list(self, *names: Any, flat: bool = False, named: bool = False) -> Any:
        plain = names and all(isinstance(one, str) for one in names) and not named and (not flat or len(names) == 1)
        if not self._open or not plain or self._fields is not None:
            return super().values_list(*names, flat=flat, named=named)
        noted = self._note(Deed("values_list", names, {"flat": flat}), (names, flat))
        noted._fields = names
        noted._iterable_class = FlatValuesListIterable if flat else ValuesListIterable
        return noted

    def __getitem__(self, k: Any) -> Any:
        whole = isinstance(k, slice) and k.step is None and self._open and self._result_cache is None
        if not whole or any(type(one) is not int or one < 0 for one in (k.start or 0, k.stop or 0)):
            return super().__getitem__(k)
        noted = self._note(Deed("slice", (k.start, k.stop)), (k.start, k.stop))
        noted._sliced = True
        return noted

    @property
    def ordered(self) -> bool:
        if self._deeds is None:
            return bool(super().ordered)
        return bool(self.model._meta.ordering) if self._orders is None else self._orders

    # What is asked

    def _compiled(self, what: str, compose: Callable[[Any], T], more: Any = None) -> tuple[Any, T | None]:
        connection = connections[self.db]
        key = (what, connection.alias, connection.vendor, self.model, self._shape, more)
        return connection, statement(key, lambda: compose(connection))

    def _with_marks(self) -> Any:
        """Django's queryset of the same shape. Raises NotPlain."""
        marks = (mark(number, kind) for number, (kind, _) in enumerate(self._given))
        base: Any = QuerySet(self.model, using=self._db, hints=self._hints)
        plain = performed(base, self._deeds or (), marks)
        check(plain.query.where)
        return plain

    def _select(self, connection: Any) -> Select:
        plain = self._with_marks()
        compiler = plain.query.get_compiler(connection=connection)
        text, params = compiler.as_sql()
        columns = [one[0] for one in compiler.select[0 : compiler.col_count]]
        if compiler.has_extra_select or compiler.has_composite_fields(columns) or plain.query.annotations:
            raise NotPlain
        if plain._fields is not None and tuple(plain.query.values_select) != tuple(plain._fields):
            raise NotPlain
        info = compiler.klass_info if plain._fields is None else None
        start, end = (info["select_fields"][0], info["select_fields"][-1] + 1) if info else (0, 0)
        return Select(
            text,
            parameters(params, self._given, connection),
            FORMS[plain._iterable_class],
            tuple((place, several, one) for place, (several, one) in compiler.get_converters(columns).items()),
            info["model"] if info else None,
            [one[0].target.attname for one in compiler.select[start:end]],
            start,
            end,
            populators(info, compiler.select, connection.alias) if info else (),
            bool(plain.query.select_for_update and connection.features.has_select_for_update),
        )

    def _fetch_all(self) -> None:
        if self._result_cache is None and self._empty:
            self._result_cache = []
        if self._result_cache is None and self._deeds is not None:
            connection, known = self._compiled("select", self._select)
            if known is not None and not (known.locks and connection.get_autocommit()):
                self._result_cache = known.rows(self._given, connection)
                if self._known_related_objects and known.form == "objects":
                    self._relate(self._result_cache)
        super()._fetch_all()

    def _relate(self, rows: Any) -> None:
        """To the objects whose rows these are."""
        for field, known in self._known_related_objects.items():
            for row in rows:
                if not field.is_cached(row) and (one := known.get(getattr(row, field.attname))) is not None:
                    setattr(row, field.name, one)

    def first(self) -> Any:
        if not self._open:
            return super().first()
        found = list((self if self.ordered else self.order_by("pk"))[:1])
        return found[0] if found else None

    def get(self, *args: Any, **named: Any) -> Any:
        if not self._open:
            return super().get(*args, **named)
        found = list(self.filter(*args, **named).order_by()[:MAX_GET_RESULTS])
        if len(found) == 1:
            return found[0]
        name = self.model._meta.object_name
        if not found:
            raise self.model.DoesNotExist(f"{name} matching query does not exist.")
        raise self.model.MultipleObjectsReturned(f"get() returned more than one {name}")

    def exists(self) -> bool:
        if self._empty:
            return False
        if self._result_cache is None and self._deeds is not None:
            connection, known = self._compiled("exists", self._exists)
            if known is not None:
                with connection.cursor() as cursor:
                    cursor.execute(known.sql, known.parameters.of(self._given, connection))
                    return cursor.fetchone() is not None
        return bool(super().exists())

    def _exists(self, connection: Any) -> Exists:
        plain = self._with_marks()
        if plain.query.select_for_update:
            raise NotPlain
        text, params = plain.query.exists().get_compiler(connection=connection).as_sql()
        return Exists(text, parameters(params, self._given, connection))

    # What is written

    def update(self, **named: Any) -> int:
        if not self._open or not named:
            return super().update(**named)
        if self._empty:
            return 0
        self._for_write = True
        with transaction.mark_for_rollback_on_error(using=self.db):
            changed = self._set([(self.model._meta.get_field(name), value) for name, value in named.items()])
        return super().update(**named) if changed is None else changed

    def bulk_update(self, objs: Any, fields: Any, batch_size: int | None = None) -> int:
        several = tuple(objs)
        names = [self.model._meta.get_field(name).attname for name in fields]
        expressions = any(hasattr(getattr(one, name), "as_sql") for one in several for name in names)
        if not names or len(several) > FEW or expressions or any(one.pk is None for one in several):
            return super().bulk_update(several, fields, batch_size)
        rows: Any = self.model._base_manager.using(self.db)
        with transaction.atomic(using=self.db, savepoint=False):
            return sum(rows.filter(pk=one.pk).update(**{name: getattr(one, name) for name in names}) for one in several)

    def _update(self, values: Any) -> int:
        changed = self._set([(field, value) for field, _, value in values]) if self._open and values else None
        return super()._update(values) if changed is None else changed  # type: ignore[misc]

    def _set(self, values: Sequence[tuple[Any, Any]]) -> int | None:
        """None: left to Django."""
        try:
            shape, given = shape_of_change(values)
        except NotPlain:
            return None
        connection, known = self._compiled("update", lambda it: self._change(values, it), shape)
        if known is None:
            return None
        pairs = zip(known.fields, given, strict=True)
        params = [value if field is None else saved(field, value, connection) for field, value in pairs]
        self._result_cache = None
        with connection.cursor() as cursor:
            cursor.execute(known.sql, (*params, *known.parameters.of(self._given, connection)))
            return int(cursor.rowcount)

    def _change(self, values: Sequence[tuple[Any, Any]], connection: Any) -> Update:
        plain = self._with_marks()
        if plain._fields is not None or plain.query.select_related:
            raise NotPlain
        if any(not field.concrete or field.many_to_many or field.model is not self.model for field, _ in values):
            raise NotPlain
        query = plain.query.chain(sql.UpdateQuery)
        query.add_update_fields([(field, None, later(value)) for field, value in values])
        query.get_initial_alias()
        if query.count_active_tables() != 1:
            raise NotPlain
        query.clear_select_clause()
        text, params = query.get_compiler(connection=connection).as_sql()
        places = [number for number, one in enumerate(params) if isinstance(one, Later)]
        if places != list(range(len(values))):
            raise NotPlain
        fields = [field if isinstance(later(value), Later) else None for field, value in values]
        return Update(text, parameters(params[len(values) :], self._given, connection), fields)

    def _insert(self, objs: Any, fields: Any, returning_fields: Any = None, raw: bool = False, **more: Any) -> Any:
        if len(objs) == 1 and not raw and fields and not any(more.get(name) for name in SETTLED):
            done = self._inserted(objs[0], fields, returning_fields or (), more.get("using"), more.get("on_conflict"))
            if done is not None:
                return done
        return super()._insert(objs, fields, returning_fields=returning_fields, raw=raw, **more)  # type: ignore[misc]

    def _inserted(self, one: Any, fields: Any, returning: Any, using: str | None, conflict: Any) -> Any:
        """The columns that the database made, of each row; None: left to Django."""
        if any(hasattr(getattr(one, field.attname), "resolve_expression") for field in fields):
            return None
        self._for_write = True
        connection: Any = connections[using or self.db]
        key = ("insert", connection.alias, connection.vendor, self.model, tuple(fields), tuple(returning), conflict)
        known = statement(key, lambda: _composed(self.model, one, fields, returning, conflict, connection))
        if known is None:
            return None
        values = [field.get_db_prep_save(field.pre_save(one, add=True), connection) for field in fields]
        with connection.cursor() as cursor:
            cursor.execute(known.sql, values)
            return [connection.ops.fetch_returned_insert_columns(cursor, ())] if returning else []


def _composed(model: Any, one: Any, fields: Any, returning: Any, conflict: Any, connection: Any) -> Insert:
    own = (field for field in fields if hasattr(field, "get_placeholder") or isinstance(field, models.FileField))
    if any(not isinstance(field, models.BinaryField) for field in own):
        raise NotPlain
    query = sql.InsertQuery(model, on_conflict=conflict)
    query.insert_values(fields, [one], raw=False)
    compiler: Any = query.get_compiler(connection=connection)
    compiler.returning_fields = returning
    ((text, params),) = compiler.as_sql()
    made = [field.get_col(model._meta.db_table) for field in returning]
    if len(params) != len(fields) or compiler.get_converters(made):
        raise NotPlain
    if returning and not connection.features.can_return_columns_from_insert:
        raise NotPlain
    return Insert(text)


class Rows(models.Manager[M]):
    def get_queryset(self) -> QuerySet[M]:
        return Compiled(model=self.model, using=self._db, hints=self._hints)  # type: ignore[attr-defined]


class Row(models.Model):
    """The base of rows that are asked often."""

    objects = Rows()

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **named: Any) -> Self:
        """A whole row is put in its place at once: what Django's constructor does, column by column, for any caller."""
        if len(values) != len(cls._meta.concrete_fields) or cls.__init__ is not models.Model.__init__:
            return super().from_db(db, field_names, values, **named)
        if pre_init.receivers or post_init.receivers:
            return super().from_db(db, field_names, values, **named)
        row = cls.__new__(cls)
        row._state = ModelState()
        row._state.adding, row._state.db = False, db
        row.__dict__.update(zip(field_names, values, strict=True))
        return row


# Saving, and what belongs to rows, too. Not in Meta, of which rows without one of their own would make a migration.
Row._meta.base_manager_name = "objects"
