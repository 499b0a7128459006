"""How often each attribute, flag and field is told, by the hour and by who told it: so that a change of conventions is
noticed (a new release of an instrumentation renames an attribute, and nobody else says so). Pure.

Counted are spans of AI operations that did not fail, as a failure tells less whatever its conventions are; and of
attributes those that no rule reads, in the name spaces of conventions: what an application writes for itself is its
own affair, and has no end. 1. Spans of one hour and one sender are a group. 2. Per group are counted spans by kind,
flags, fields that model calls fill, and unknown attributes by name, numbers in names folded into N.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.conventions.plan import is_known
from afterlaunch.telemetry.tables import ATTRIBUTE_COUNTS, HOUR_NS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Counted = tuple[str, list[str], Ints]
"""What, its keys, and how many spans of each group told each: (groups, keys)."""
OPERATION, UNKNOWN, FLAG, FIELD = "operation", "unknown", "flag", "field"
CALL, FAILED_MAPPING = "inference", "mapping_failed"
FIELDS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("provider", "model_requested", "model_answered", "response_id", "finish_reason")},
    **{name: (name,) for name in ("in_uncached", "in_cache_read", "out_visible", "out_reasoning", "ttft_ns")},
    "in_cache_write": ("in_cache_write_5m", "in_cache_write_1h", "in_cache_write_other"),
    **{name: (name,) for name in ("session", "user", "tenant", "agent", "prompt_name", "prompt_version")},
}
"""What a call fills when one of these columns is told. Content is none of it: whether it is kept is the operator's."""
MOST_UNKNOWN = 200  # distinct names of a commit
_PLACE = ("client", "system", "environment", "service", "scope", "scope_version")
_SPACES = (
    *("gen_ai.", "llm.", "ai.", "openinference.", "traceloop.", "langfuse.", "logfire.", "embedding.", "retrieval."),
    *("reranker.", "tool.", "anthropic.", "openai.", "litellm.", "lmnr.", "mlflow.", "genkit:", "pydantic_ai."),
)
_NUMBER = re.compile(r"(?<=[.\[])\d+(?=[.\]]|$)")


def of_spans(spans: Any) -> Any:
    """A table of the schema ATTRIBUTE_COUNTS for spans (schema SPANS), each stored once."""
    kinds, flags = _Codes(_whole(spans["op_kind"])), _Flags(spans["flags"])
    other = kinds.words.index("other") if "other" in kinds.words else -1
    failed = _whole(spans["failed"])
    failed = (failed.fill_null(False) if failed.null_count else failed).to_numpy(zero_copy_only=False)
    ours = ((kinds.code != other) & ~failed) | flags.hold(FAILED_MAPPING)
    rows = np.flatnonzero(ours)
    if not len(rows):
        return ATTRIBUTE_COUNTS.empty_table()
    group, first = _groups(spans, rows)
    of_span = np.full(spans.num_rows, -1)
    of_span[rows] = group
    calls = ours & (kinds.code == (kinds.words.index(CALL) if CALL in kinds.words else -2))
    counted = [
        (OPERATION, kinds.words, _grid(group, kinds.code[rows], len(first), len(kinds.words))),
        (FLAG, flags.names, flags.grid(of_span, len(first))),
        _fields(spans, np.where(calls, of_span, -1), len(first)),
        _unknown(spans["attributes"], of_span, len(first)),
    ]
    return _table(spans, first, counted)


class _Codes:
    """`code`: each row's place among `words`; NULL is an empty text."""

    def __init__(self, values: Any) -> None:
        encoded = values.dictionary_encode()
        self.words: list[str] = encoded.dictionary.to_pylist()
        codes = encoded.indices
        if codes.null_count:
            codes = codes.fill_null(len(self.words))
            self.words.append("")
        self.code: Ints = codes.to_numpy()


class _Flags:
    """`owner` and `code` of each flag that a span has."""

    def __init__(self, column: Any) -> None:
        lists = _whole(column)
        self.count = len(lists)
        told = _Codes(lists.flatten())
        self.names, self.code = told.words, told.code
        self.owner: Ints = pc.list_parent_indices(lists).to_numpy()

    def hold(self, name: str) -> Bools:
        out = np.zeros(self.count, bool)
        if name in self.names:
            out[self.owner[self.code == self.names.index(name)]] = True
        return out

    def grid(self, of_span: Ints, groups: int) -> Ints:
        return _grid(of_span[self.owner], self.code, groups, len(self.names))


def _grid(group: Ints, code: Ints, groups: int, codes: int) -> Ints:
    """How often each group (-1: none) has each code (-1: none)."""
    there = (group >= 0) & (code >= 0)
    return np.bincount(group[there] * codes + code[there], minlength=groups * codes).reshape(groups, codes)


def _groups(spans: Any, rows: Ints) -> tuple[Ints, Ints]:
    """(the group of each row, the first row of each group): same hour and same place."""
    hours = spans["start_ns"].to_numpy()[rows] // HOUR_NS
    key = hours - hours.min()
    for name in _PLACE:
        told = _Codes(_whole(spans[name]))
        if len(told.words) > 1:
            if int(key.max()) >= 2**62 // len(told.words):
                key = np.unique(key, return_inverse=True)[1]
            key = key * len(told.words) + told.code[rows]
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return group, rows[first]


def _fields(spans: Any, of_call: Ints, groups: int) -> Counted:
    calls = np.flatnonzero(of_call >= 0)
    grid = np.zeros((groups, len(FIELDS)), np.int64)
    if len(calls):
        told = np.zeros((len(calls), len(FIELDS)), np.int64)
        for place, columns in enumerate(FIELDS.values()):
            for name in columns:
                told[:, place] |= _told(_whole(spans[name]))[calls]
        order = np.argsort(of_call[calls], kind="stable")
        there, starts = np.unique(of_call[calls][order], return_index=True)
        grid[there] = np.add.reduceat(told[order], starts, axis=0)
    return FIELD, list(FIELDS), grid


def _told(column: Any) -> Bools:
    if not column.null_count or column.null_count == len(column):
        return np.full(len(column), not column.null_count)
    told: Bools = column.is_valid().to_numpy(zero_copy_only=False)
    return told


def _whole(column: Any) -> Any:
    """The one array of a column of a combined table."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _unknown(attributes: Any, of_span: Ints, groups: int) -> Counted:
    maps = _whole(attributes)
    offsets = maps.offsets.to_numpy()
    keys = maps.keys.slice(offsets[0], offsets[-1] - offsets[0]).dictionary_encode()
    names, number = _folded(tuple(keys.dictionary.to_pylist()))
    if not names:
        return UNKNOWN, [], np.zeros((groups, 0), np.int64)
    code = number[keys.indices.to_numpy()]
    here = np.flatnonzero(code >= 0)
    owner = np.repeat(np.arange(len(of_span)), np.diff(offsets))[here]
    pair = np.unique(owner * len(names) + code[here])  # a span tells a folded name once
    owner, code = np.divmod(pair, len(names))
    return UNKNOWN, names, _grid(of_span[owner], code, groups, len(names))


@lru_cache(maxsize=256)
def _folded(keys: tuple[str, ...]) -> tuple[list[str], Ints]:
    """(names, the number of each key among them or -1)."""
    names: dict[str, int] = {}
    numbers = np.full(len(keys), -1)
    for code, key in enumerate(keys):
        if not key.startswith(_SPACES) or is_known(key):
            continue
        name = _NUMBER.sub("N", key)
        if name in names or len(names) < MOST_UNKNOWN:
            numbers[code] = names.setdefault(name, len(names))
    return list(names), numbers


def _table(spans: Any, first: Ints, counted: list[Counted]) -> Any:
    groups, whats, keys, told = [], list[str](), list[str](), []
    for what, names, grid in counted:
        row, code = np.nonzero(grid)
        groups.append(row)
        whats += [what] * len(row)
        keys += [names[one] for one in code.tolist()]
        told.append(grid[row, code])
    group = pa.array(np.concatenate(groups))
    out = {"hour": pa.array((spans["start_ns"].to_numpy()[first] // HOUR_NS).astype(np.int32)).take(group)}
    out |= {name: _whole(spans[name]).take(pa.array(first)).fill_null("").take(group) for name in _PLACE}
    out |= {"what": pa.array(whats, pa.string()), "key": pa.array(keys, pa.string())}
    out["spans"] = pa.array(np.concatenate(told))
    return pa.table(out, schema=ATTRIBUTE_COUNTS)
