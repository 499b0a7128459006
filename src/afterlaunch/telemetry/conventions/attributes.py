"""Attribute look-ups as column operations.

The attributes of a batch are one flat list. 1. They are sorted by key, once. 2. All sources that are there are written
into one matrix of places (field by owner), those of less precedence first, so that the first present wins; what lost
is kept beside it. 3. All texts come out of one `take`, all words that repeat out of one dictionary, all whole numbers,
all numbers and all marks out of one look-up each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import BOOL, DOUBLE, INT, STRING, Bools, Ints, Values
from afterlaunch.telemetry.conventions.arrow import nulls
from afterlaunch.telemetry.conventions.fields import FIELDS
from afterlaunch.telemetry.conventions.plan import Plan, plan
from afterlaunch.telemetry.conventions.table import As, Source
from afterlaunch.telemetry.otlp import Pairs

READ = {field.name: field.read for field in FIELDS}
MOST = 2**53
REDACTED = b"<REDACTED>"
Floats = npt.NDArray[np.float64]
Where = Mapping[str, Callable[[], Bools]]


class Layer:
    """The attributes of `count` owners, told on one level: on the spans themselves, inside their JSON, or by events.
    `where`: marks for the owners that a source with this condition counts for.

    `rows`: field -> row of `take` (places of the winning values, -1: none) and `way` (which of the plan's ways won).
    `lost_*`: the values that lost, as flat lists.
    """

    def __init__(self, pairs: Pairs, count: int, where: Where) -> None:
        self.pairs, self.count, self.values = pairs, count, pairs.values
        self.plan: Plan = plan(tuple(pairs.keys))
        self.redacted = np.zeros(0, np.int64)
        self._sort()
        self._scatter(where)

    def _sort(self) -> None:
        keys = len(self.pairs.keys)
        codes = np.where(self._absent(), keys, self.pairs.codes).astype(np.uint16 if keys < 2**16 else np.int64)
        self._order = np.argsort(codes, kind="stable")  # 16 bits: a radix sort
        self._owner = self.pairs.owner[self._order]
        self._ends = [0, *np.cumsum(np.bincount(codes, minlength=keys + 1)).tolist()]

    def _absent(self) -> Bools:
        """An empty text is none; neither is one that was taken out."""
        text = self.values.kind == STRING
        out: Bools = text & (self.values.length == 0)
        maybe = np.flatnonzero(text & (self.values.length == len(REDACTED)))
        self.redacted = maybe[self.values.starts_with(maybe, REDACTED[:8])]
        if len(self.redacted):
            self.redacted = self.redacted[pc.equal(self.values.contents(self.redacted), REDACTED).to_numpy(False)]
            out[self.redacted] = True
        return out

    def _scatter(self, where: Where) -> None:
        present = [way for way in self.plan.ways if self._ends[way.code] < self._ends[way.code + 1]]
        self.rows = {field: row for row, field in enumerate(dict.fromkeys(way.field for way in present))}
        self.ways = present
        self.take = np.full((len(self.rows), self.count), -1, np.int64)
        self.way = np.zeros((len(self.rows), self.count), np.int16)
        spans = [np.arange(self._ends[way.code], self._ends[way.code + 1]) for way in present]
        sizes = [len(span) for span in spans]
        at = np.concatenate(spans) if spans else np.zeros(0, np.int64)
        row = np.repeat([self.rows[way.field] for way in present], sizes).astype(np.int64)
        number = np.repeat(np.arange(len(present)), sizes).astype(np.int16)
        owner, place = self._owner[at], self._order[at]
        if self.plan.conditional:
            counts = np.ones(len(at), bool)
            for which, way in enumerate(present):
                if way.source.where:
                    mine = number == which
                    counts[mine] = where[way.source.where]()[owner[mine]]
            row, number, owner, place = row[counts], number[counts], owner[counts], place[counts]
        # The plan's ways go from the least precedence to the first: what is written last stays. Of one key the last.
        self.take[row, owner] = place
        self.way[row, owner] = number
        lost = np.flatnonzero(self.take[row, owner] != place)
        self.lost_row, self.lost_owner, self.lost = row[lost], owner[lost], place[lost]
        self.lost_way = number[lost]

    def of_key(self, code: int) -> tuple[Ints, Ints]:
        """(owners, places) of one key, ascending."""
        span = slice(self._ends[code], self._ends[code + 1])
        return self._owner[span], self._order[span]

    def places(self, field: str) -> Ints | None:
        """Per owner the place of the winning value, -1 for none."""
        row = self.rows.get(field)
        return None if row is None else self.take[row]

    def duplicated(self) -> Bools:
        """Owners that have a key twice."""
        out = np.zeros(self.count, bool)
        end = self._ends[len(self.pairs.keys)]
        same = np.flatnonzero(self._owner[1:end] == self._owner[: end - 1]) if end > 1 else np.zeros(0, np.int64)
        if len(same):
            codes = self.pairs.codes[self._order]
            out[self._owner[same[codes[same] == codes[same + 1]]]] = True
        return out

    def numeric(self) -> Bools:
        """Which attributes tell a number of a field."""
        of_key = np.zeros(len(self.pairs.keys), bool)
        of_key[[way.code for way in self.plan.ways if READ[way.field] in (As.COUNT, As.NUMBER)]] = True
        return of_key[self.pairs.codes]

    def dialects(self) -> Ints:
        """Bits of what each owner is written in, as far as single keys prove it."""
        out = np.zeros(self.count, np.int64)
        if len(self.pairs.codes):
            sizes = np.bincount(self.pairs.owner, minlength=self.count)
            some = np.flatnonzero(sizes)
            begins = (np.cumsum(sizes) - sizes)[some]
            out[some] = np.bitwise_or.reduceat(self.plan.dialects[self.pairs.codes], begins)
        return out


class Words:
    """Texts that repeat: `codes[field]` are numbers into `distinct`, -1 for none."""

    def __init__(self, codes: dict[str, Ints], distinct: list[str], count: int) -> None:
        self.codes, self.distinct, self.count = codes, distinct, count

    def code(self, field: str) -> Ints:
        """Numbers into `distinct`, -1 for none."""
        found = self.codes.get(field)
        return np.full(self.count, -1) if found is None else found

    def known(self, field: str) -> Bools:
        found: Bools = self.code(field) >= 0
        return found

    def table(self, of_word: Callable[[str], Any], otherwise: Any) -> Any:
        """An array to be indexed by codes: what each word becomes."""
        return np.array([*map(of_word, self.distinct), otherwise])

    def among(self, field: str, *wanted: str) -> Bools:
        """Case and outer space do not count."""
        if field not in self.codes:
            return np.zeros(self.count, bool)
        found: Bools = self.table(lambda word: plainly(word) in wanted, False)[self.codes[field]]
        return found

    def each(self, field: str, change: Callable[[str], str | None], out: str | None = None) -> Words:
        """With other words for this field (kept as `out`); by distinct value."""
        if field not in self.codes:
            return self
        codes = self.codes[field]
        distinct, table = list(self.distinct), np.full(len(self.distinct) + 1, -1)
        for number in np.flatnonzero(np.bincount(codes + 1, minlength=len(distinct) + 1)[1:]).tolist():
            changed = change(distinct[number])
            if changed == distinct[number]:
                table[number] = number
            elif changed is not None:
                table[number] = len(distinct)
                distinct.append(changed)
        return Words({**self.codes, (out or field): table[codes]}, distinct, self.count)

    def first(self, field: str, *others: Ints) -> Words:
        """Where the field is absent, the word of the next code that is none."""
        code = self.code(field)
        for other in others:
            code = np.where(code < 0, other, code)
        return Words({**self.codes, field: code}, self.distinct, self.count)

    def columns(self, fields: Iterable[str]) -> Columns:
        """String columns, in one `take`."""
        present = [field for field in fields if field in self.codes]
        out = {}
        if present:
            codes = np.concatenate([self.codes[field] for field in present])
            whole = pa.array(self.distinct, pa.string()).take(pa.array(codes, mask=codes < 0))
            out = {field: whole.slice(n * self.count, self.count) for n, field in enumerate(present)}
        return Columns(out, nulls(self.count, pa.string()))


def plainly(word: str | None) -> str:
    return (word or "").strip().lower()


class Reading:
    """The layers together: what a span tells itself beats what stands inside its JSON, and that what its events tell.
    Nested values are read as JSON text."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers, self.count = layers, layers[0].count

    def has(self, field: str) -> bool:
        return any(field in layer.rows for layer in self.layers)

    def _of(self, *kinds: As) -> list[tuple[Layer, list[str], Ints]]:
        """Per layer the fields of these kinds that it tells, and their rows of places."""
        out = []
        for layer in self.layers:
            present = [field for field in layer.rows if READ[field] in kinds]
            if present:
                out.append((layer, present, layer.take[[layer.rows[field] for field in present]]))
        return out

    def told_by(self, field: str) -> list[tuple[Source, Bools]]:
        """Which source told the field of which owners."""
        out = []
        open_rows = np.ones(self.count, bool)
        for layer in self.layers:
            places = layer.places(field)
            if places is not None:
                mine, way = open_rows & (places >= 0), layer.way[layer.rows[field]]
                numbers = [number for number, one in enumerate(layer.ways) if one.field == field]
                out += [(layer.ways[number].source, mine & (way == number)) for number in reversed(numbers)]
                open_rows &= places < 0
        return out

    @cached_property
    def texts(self) -> Columns:
        """String columns of the fields read as text or content."""
        out: dict[str, Any] = {}
        for layer, present, take in self._of(As.TEXT, As.CONTENT):
            whole = layer.values.texts(take.ravel())
            for number, field in enumerate(present):
                mine = whole.slice(number * self.count, self.count)
                out[field] = pc.coalesce(out[field], mine) if field in out else mine
        return Columns(out, nulls(self.count, pa.string()))

    def words(self) -> Words:
        distinct: list[str] = []
        codes: dict[str, Ints] = {}
        for layer, present, take in self._of(As.WORD):
            found, words = layer.values.words(take.ravel())
            found = np.where(found < 0, -1, found + len(distinct)).reshape(take.shape)
            for field, code in zip(present, found, strict=True):
                codes[field] = np.where(codes[field] < 0, code, codes[field]) if field in codes else code
            distinct += words
        return Words(codes, distinct, self.count)

    @cached_property
    def integers(self) -> dict[str, tuple[Ints, Bools, Bools]]:
        """(values, known, invalid) of the fields that are told. Integral doubles and decimal strings are taken."""
        out: dict[str, tuple[Ints, Bools, Bools]] = {}
        for layer, present, take in self._of(As.COUNT):
            values, known, invalid = whole_numbers(layer.values, take)
            for number, field in enumerate(present):
                mine = values[number], known[number], invalid[number]
                if field in out:
                    above, there, wrong = out[field]
                    open_rows = ~(there | wrong)
                    mine = (
                        np.where(open_rows, mine[0], above),
                        there | (open_rows & mine[1]),
                        wrong | (open_rows & mine[2]),
                    )
                out[field] = mine
        return out

    def integer(self, field: str) -> tuple[Ints, Bools]:
        """(values, known)."""
        found = self.integers.get(field)
        return (np.zeros(self.count, np.int64), np.zeros(self.count, bool)) if found is None else found[:2]

    @cached_property
    def _numbers(self) -> dict[str, tuple[Floats, Bools]]:
        out: dict[str, tuple[Floats, Bools]] = {}
        for layer, present, take in self._of(As.NUMBER, As.SIGNED):
            found = floats(layer.values, take.ravel()).reshape(take.shape)
            for field, told, places in zip(present, found, take, strict=True):
                values, invalid = out.get(field, (np.full(self.count, np.nan), np.zeros(self.count, bool)))
                open_rows = np.isnan(values) & ~invalid & (places >= 0)
                good = np.isfinite(told) & ((READ[field] is As.SIGNED) | (told >= 0))
                out[field] = np.where(open_rows & good, told, values), invalid | (open_rows & ~good)
        return out

    def numbers(self, field: str) -> tuple[Floats, Bools]:
        """(values, invalid); NaN where none is."""
        found = self._numbers.get(field)
        return (np.full(self.count, np.nan), np.zeros(self.count, bool)) if found is None else found

    @cached_property
    def _booleans(self) -> dict[str, tuple[Bools, Bools]]:
        out: dict[str, tuple[Bools, Bools]] = {}
        for layer, present, take in self._of(As.FLAG):
            said, sure = truths(layer.values, take.ravel())
            for field, yes, known in zip(present, said.reshape(take.shape), sure.reshape(take.shape), strict=True):
                if field in out:
                    yes, known = out[field][0] | (yes & ~out[field][1]), out[field][1] | known
                out[field] = yes, known
        return out

    def booleans(self, field: str) -> tuple[Bools, Bools]:
        """(values, known)."""
        found = self._booleans.get(field)
        return (np.zeros(self.count, bool), np.zeros(self.count, bool)) if found is None else found

    def unread(self) -> Ints:
        """Places of the first layer whose values are none of what their fields are read as."""
        bad = {name: invalid for name, (_, _, invalid) in self.integers.items()}
        bad |= {name: invalid for name, (_, invalid) in self._numbers.items()}
        bad |= {name: ~known for name, (_, known) in self._booleans.items()}
        found = [np.zeros(0, np.int64)]
        for field, rows in bad.items():
            if rows.any() and (places := self.layers[0].places(field)) is not None:
                found.append(places[rows & (places >= 0)])
        return np.concatenate(found)


class Columns(dict[str, Any]):
    """Columns by field; those that nothing tells are NULL."""

    def __init__(self, told: Mapping[str, Any], otherwise: Any) -> None:
        super().__init__(told)
        self._otherwise = otherwise

    def __missing__(self, field: str) -> Any:
        return self._otherwise


def whole_numbers(values: Values, take: Ints) -> tuple[Ints, Bools, Bools]:
    """(values, known, invalid) of the places (-1: none). Whole, not negative, below 2^53."""
    there = take >= 0
    out = values.ints[take]
    odd = there & (values.kind[take] != INT)
    known = there.copy()
    if odd.any():
        for at in zip(*np.nonzero(odd), strict=True):
            number = _whole(values, int(take[at]), int(values.kind[take[at]]))
            known[at], out[at] = number is not None, number or 0
    known &= (out >= 0) & (out < MOST)
    out[~known] = 0
    return out, known, there & ~known


def _whole(values: Values, place: int, kind: int) -> int | None:
    if kind == DOUBLE:
        number = float(values.doubles(np.array([place]))[0])
        return int(number) if abs(number) < MOST and number % 1 == 0 else None
    text = _bytes(values, place) if kind == STRING else b""
    return int(text) if text.isdigit() and len(text) < 17 else None


def floats(values: Values, take: Ints) -> Floats:
    """The numbers at these places, NaN for what is none."""
    out = np.full(len(take), np.nan)
    kind = np.where(take >= 0, values.kind[take], 0)
    whole, real = kind == INT, kind == DOUBLE
    out[whole] = values.ints[take[whole]]
    out[real] = values.doubles(take[real])
    for row in np.flatnonzero(kind == STRING).tolist():
        try:
            out[row] = float(_bytes(values, int(take[row])))
        except ValueError:
            continue  # stays unknown, and is marked as invalid
    return out


def truths(values: Values, take: Ints) -> tuple[Bools, Bools]:
    """(yes, known): booleans, 1 and 0, and their usual words."""
    kind = np.where(take >= 0, values.kind[take], 0)
    whole = (kind == BOOL) | (kind == INT)
    yes, no = whole & (values.ints[take] == 1), whole & (values.ints[take] == 0)
    for row in np.flatnonzero(kind == STRING).tolist():
        word = _bytes(values, int(take[row])).lower()
        yes[row], no[row] = word in (b"true", b"1"), word in (b"false", b"0")
    return yes, yes | no


def _bytes(values: Values, place: int) -> bytes:
    found: bytes = values.contents(np.array([place]))[0].as_py()
    return found
