"""What becomes of content before anything is written: kept as sent, masked, or dropped. Pure, by columns.

1. The rows are told apart by their client's and system's rule. 2. All texts of a row are joined and read once by RE2
(`patterns.SUSPICIOUS`); most rows end here. 3. The texts of the others are masked one by one. Where content is off, the
content columns and content-like attributes are emptied, and what stays is masked all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.sensitive.patterns import SUSPICIOUS, mark, masked

OFF, MASKED, ON = "off", "masked", "on"
CAPTURES = (OFF, MASKED, ON)
Bools = npt.NDArray[np.bool_]
MOST_PATTERNS, LONGEST_PATTERN = 20, 300
LONGEST_PLAIN = 256  # characters of an attribute that is kept where content is off
_NAME = re.compile(r"[a-z][a-z0-9 -]{0,39}")
_CONTENT_KEY = re.compile(
    r"(?i)(?:^|[._])(?:messages?|prompts?|completions?|choices|content|contents|text|texts|input|output|inputs|outputs"
    r"|arguments|args|result|results|response|reply|answer|question|query|documents?|chunks?|instructions?|body"
    r"|statement|transcript|reasoning|thinking|description|stacktrace|system_instructions)(?:$|[._]\d|\.(?:value|text"
    r"|content|message|json|object))|exception\.|tool\.definitions|toolCalls|invocation_parameters|\.function\."
)


@dataclass(frozen=True)
class Pattern:
    """What else is masked for a client, as RE2 reads it; `name` stands where it was."""

    name: str
    pattern: str


@dataclass(frozen=True)
class Rule:
    """What becomes of the content of one client or system."""

    capture: str = MASKED
    patterns: tuple[Pattern, ...] = ()


RuleOf = Callable[[str, str | None], Rule]


@dataclass(frozen=True)
class Shape:
    """Which columns of a table are content (`texts`), and which are kept, but masked, where content is off (`heads`);
    `pairs`: the column that holds a map of keys and texts; `shared`: columns whose texts many rows have in common.
    Every table has the columns client and system."""

    texts: tuple[str, ...]
    heads: tuple[str, ...] = ()
    pairs: str = "attributes"
    shared: tuple[str, ...] = ()


SPAN_SHAPE = Shape(
    ("input_text", "output_text", "events", "links", "request_params", "status_message"),
    ("name",),
    shared=("resource",),
)
LOG_SHAPE = Shape(("body",), ("event",))
POINT_SHAPE = Shape(
    (), pairs="labels"
)  # labels tell series apart: none is dropped, and `series` is that of what was sent


def checked(patterns: Sequence[Pattern]) -> tuple[Pattern, ...]:
    """Raises Invalid for what RE2 does not read, what matches nothing at all, or too many."""
    if len(patterns) > MOST_PATTERNS:
        raise Invalid(f"There are {len(patterns)} patterns.", f"At most {MOST_PATTERNS}.")
    for one in patterns:
        if not _NAME.fullmatch(one.name):
            raise Invalid(f"{one.name!r} is no name of a pattern.", "Small letters, digits, blanks and hyphens.")
        if not one.pattern or len(one.pattern) > LONGEST_PATTERN:
            raise Invalid(f"The pattern {one.name!r} has no 1 to {LONGEST_PATTERN} characters.")
        if re.search(r"\\[AzCQ]", one.pattern):
            raise Invalid(f"The pattern {one.name!r} uses \\A, \\z, \\C or \\Q.", "^ and $ are ends of a line.")
        try:
            empty = pc.match_substring_regex(pa.array(["", "\n"]), _whole(one))
        except pa.ArrowInvalid as problem:
            raise Invalid(f"The pattern {one.name!r} cannot be read: {problem}", "It is read by RE2.") from None
        if pc.any(empty).as_py():
            raise Invalid(f"The pattern {one.name!r} matches where nothing is.", "It would mask every text.")
    return tuple(patterns)


def _whole(one: Pattern) -> str:
    return f"(?m:{one.pattern})"


def private(table: Any, shape: Shape, rule_of: RuleOf) -> Any:
    """The table as it may be written."""
    if not table.num_rows:
        return table
    for rule, rows in _by_rule(table, rule_of):
        if rule.capture == OFF and shape.texts:
            table = _without(table, shape, rows)
        if rule.capture != ON:
            table = _masked(table, shape, rows, rule)
    return table


def _by_rule(table: Any, rule_of: RuleOf) -> list[tuple[Rule, Bools | None]]:
    """The rules with their rows; None: all of them."""
    codes, places = np.zeros(table.num_rows, np.int64), []
    for name in ("client", "system"):
        column = table[name].combine_chunks().dictionary_encode()
        values = [*column.dictionary.to_pylist(), None]
        codes = codes * len(values) + column.indices.fill_null(len(values) - 1).to_numpy()
        places.append(values)
    if all(len(values) == 2 for values in places) and not codes.any():  # one sender, as a rule
        return [(rule_of(places[0][0], places[1][0]), None)]
    kinds, of_row = np.unique(codes, return_inverse=True)
    found: dict[Rule, list[int]] = {}
    for number, code in enumerate(kinds.tolist()):
        client, system = places[0][code // len(places[1])], places[1][code % len(places[1])]
        found.setdefault(rule_of(client, system), []).append(number)
    if len(found) == 1:
        return [(rule, None) for rule in found]
    return [(rule, np.isin(of_row, numbers)) for rule, numbers in found.items()]


def _with(table: Any, name: str, values: Any) -> Any:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), values)


def _without(table: Any, shape: Shape, rows: Bools | None) -> Any:
    """Content columns are NULL; attributes that are content by their name or their length are not there."""
    for name in shape.texts:
        kind = table.schema.field(name).type
        column = table[name].combine_chunks()
        empty = pa.nulls(len(column), kind)
        table = _with(table, name, empty if rows is None else pc.if_else(pa.array(rows), empty, column))
    maps = _map_of(table, shape)
    keys = maps.keys.dictionary_encode()
    content = np.array([is_content(key) for key in keys.dictionary.to_pylist()] or [False])
    gone = content[keys.indices.to_numpy()] if len(keys) else np.zeros(0, bool)
    gone |= pc.fill_null(pc.greater(pc.utf8_length(maps.items), LONGEST_PLAIN), False).to_numpy(zero_copy_only=False)
    offsets = maps.offsets.to_numpy()
    if rows is not None:
        inside = np.zeros(len(maps.items), bool)
        inside[offsets[0] : offsets[-1]] = np.repeat(rows, np.diff(offsets))
        gone &= inside
    if not gone.any():
        return table
    before = np.concatenate([[0], np.cumsum(~gone)]).astype(np.int32)
    left = pa.array(~gone)
    return _with(
        table,
        shape.pairs,
        pa.MapArray.from_arrays(pa.array(before[offsets]), maps.keys.filter(left), maps.items.filter(left)),
    )


def _map_of(table: Any, shape: Shape) -> Any:
    """The pairs as one map array without an offset of its own; no map is NULL."""
    maps = table[shape.pairs].combine_chunks()
    return maps.take(pa.array(np.arange(len(maps)))) if maps.offset or maps.null_count else maps


def _masked(table: Any, shape: Shape, rows: Bools | None, rule: Rule) -> Any:
    for name in shape.shared:
        table = _each_masked(table, name, rows, rule)
    hits = _suspected(table, shape, rule)
    if rows is not None:
        hits &= rows
    if not hits.any():
        return table
    places = np.flatnonzero(hits)
    for name in (*shape.texts, *shape.heads):
        column = table[name].combine_chunks()
        if column.null_count < len(column):
            table = _with(table, name, _replaced(column, places, rule))
    maps = _map_of(table, shape)
    offsets = maps.offsets.to_numpy()
    flat = np.concatenate([np.arange(offsets[row], offsets[row + 1]) for row in places.tolist()])
    if len(flat):
        items = _replaced(maps.items, flat, rule)
        table = _with(table, shape.pairs, pa.MapArray.from_arrays(maps.offsets, maps.keys, items))
    return table


def _each_masked(table: Any, name: str, rows: Bools | None, rule: Rule) -> Any:
    """Text by text, each once."""
    column = table[name].combine_chunks()
    if column.null_count == len(column):
        return table
    told = column.dictionary_encode()
    texts = told.dictionary.to_pylist()
    new = with_patterns(pa.array([_known(text) for text in texts], pa.string()), rule)
    if new.to_pylist() == texts:
        return table
    changed = new.take(told.indices)
    return _with(table, name, changed if rows is None else pc.if_else(pa.array(rows), changed, column))


_known = lru_cache(maxsize=256)(masked)  # of a sender, the same with every batch


def _suspected(table: Any, shape: Shape, rule: Rule) -> Bools:
    """Which rows hold a text that may have to be masked."""
    maps = _map_of(table, shape)
    items = pc.fill_null(maps.items, "") if maps.items.null_count else maps.items
    parts = [pc.binary_join(pa.ListArray.from_arrays(maps.offsets, items), "\n")]
    for name in (*shape.texts, *shape.heads):
        column = table[name].combine_chunks()
        if column.null_count < len(column):
            parts.append(column)
    # The last part is empty: every row ends with a line's end, which no word crosses.
    whole = pc.binary_join_element_wise(*parts, "", "\n", null_handling="skip")
    found = _read_once(whole)
    if rule.patterns:
        pattern = "|".join(_whole(one) for one in rule.patterns)
        found |= pc.match_substring_regex(whole, pattern).to_numpy(zero_copy_only=False).astype(bool)
    return found


def _read_once(whole: Any) -> Bools:
    """The rows that `SUSPICIOUS` suspects. All of them are one text to it, in which it goes on with the next row."""
    offsets = np.frombuffer(whole.buffers()[1], np.int32)[whole.offset : whole.offset + len(whole) + 1]
    data, at = whole.buffers()[2].to_pybytes(), int(offsets[0])
    hits = np.zeros(len(whole), bool)
    while (found := SUSPICIOUS.search(data, at)) is not None:
        row = int(np.searchsorted(offsets, found.end() - 1, "right")) - 1
        first = int(np.searchsorted(offsets, found.start(), "right")) - 1
        hits[first : row + 1] = True
        if row + 1 >= len(whole):
            break
        at = int(offsets[row + 1]) - 1
    return hits


def _replaced(column: Any, places: Any, rule: Rule) -> Any:
    """The column with the texts at these places masked."""
    taken = column.take(pa.array(places))
    new = pa.array([None if text is None else masked(text) for text in taken.to_pylist()], pa.string())
    new = with_patterns(new, rule)
    mask = np.zeros(len(column), bool)
    mask[places] = True
    return pc.replace_with_mask(column, pa.array(mask), new)


def with_patterns(texts: Any, rule: Rule) -> Any:
    """A string array, masked by the rule's own patterns."""
    for one in rule.patterns:
        texts = pc.replace_substring_regex(texts, _whole(one), mark(one.name))
    return texts


def is_content(key: str) -> bool:
    """Whether an attribute of this name is content."""
    return _CONTENT_KEY.search(key) is not None
