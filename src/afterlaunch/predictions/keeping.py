"""What is kept of each prediction, so that its label finds it: a hash of its id, its time, output, score and segments.
Pure.

A task says where these stand among the columns. One that nobody declared is told from the first body that has a column
called `output`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from afterlaunch.ground.errors import Invalid
from afterlaunch.predictions.bodies import Rows, ids, no_nulls, times, versions
from afterlaunch.predictions.columns import Columns, Texts, pack
from afterlaunch.profiles.hashing import Array, mixed
from afterlaunch.profiles.layouts import digest
from afterlaunch.profiles.values import categories, numbers

CLASSIFICATION, REGRESSION, RANKING = "classification", "regression", "ranking"
QUANTITIES = (REGRESSION, RANKING)  # whose outputs and labels are numbers
OUTPUT, PROBABILITY, CONFIDENCE = "output", "probability", "confidence"
SEGMENTS = 8
FEATURES = 16
FEW = 50  # whole numbers of more values than these are quantities
TWO = (("0", "1"), ("false", "true"), ("no", "yes"), ("negative", "positive"))  # the second is the positive class
HOUR = 3_600_000_000  # microseconds
SEGMENT, FEATURE = "segment:", "feature:"
LATENCY = "latency_ms"  # kept where it is told; null is a time-out
EXPOSED = "exposed"  # whether those who label see the output: kept where it is told
EXPLORED = "explored"  # whether a ranking tries something else: kept where it is told
ITEM = "item_id"  # of a ranking: kept where it is told, as 32 bits
CONTENT = "content"  # 32 bits of all features of a row
ATTRIBUTION = "attribution:"
QUERY, CUTOFF = "query_id", 10


@dataclass(frozen=True)
class Task:
    """`positive`: the class that `probability` speaks of, '' where there is none. `confidence`: of the output. Of a
    ranking each item that was shown is a prediction, `output` its score; `query` says which belong together. Of
    quantities `features` are kept too, as errors are expected from them."""

    kind: str = CLASSIFICATION
    output: str = OUTPUT
    probability: str = PROBABILITY
    confidence: str = CONFIDENCE
    positive: str = ""
    segments: tuple[str, ...] = field(default=())
    query: str = QUERY
    cutoff: int = CUTOFF
    features: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Part:
    """Rows of one version and one hour, by their ids."""

    version: str
    start: datetime
    rows: int
    ids: bytes
    columns: bytes


def told_by(rows: Rows) -> Task | None:
    """The task as its first body tells it."""
    column = rows.columns.get(OUTPUT)
    if column is None or column.null_count == len(column):
        return None
    if PROBABILITY not in rows.columns and CONFIDENCE not in rows.columns and _quantity(column):
        return Task(REGRESSION)
    found = {text.lower() for text in categories(column).values}
    positive = next((pair[1] for pair in TWO if found <= set(pair)), "")
    return Task(positive=next((text for text in categories(column).values if text.lower() == positive), positive))


def _quantity(column: pa.Array) -> bool:
    kind = column.type
    if pa.types.is_boolean(kind):
        return False
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return False
    values = numbers(column).values
    return bool((values != np.round(values)).any()) or len(np.unique(values)) > FEW


def parts_of(rows: Rows, task: Task, latest: datetime) -> list[Part]:
    """Raises Invalid as `bodies` does; nothing where the body has no output."""
    if task.output not in rows.columns:
        return []
    bits, at = ids(rows), times(rows, latest)
    columns = _columns(rows, task)
    names, codes = versions(rows)
    hours = at // HOUR
    found = []
    for hour, code in np.unique(np.stack([hours, codes]), axis=1).T.tolist():
        chosen = np.flatnonzero((hours == hour) & (codes == code))
        chosen = chosen[np.argsort(bits[chosen], kind="stable")]
        kept: Columns = {"time": ((at[chosen] - hour * HOUR) // 1000).astype("<u4")}
        kept |= {name: one.take(chosen) if isinstance(one, Texts) else one[chosen] for name, one in columns.items()}
        start = datetime.fromtimestamp(hour * HOUR // 10**6, UTC)
        found.append(Part(names[code], start, len(chosen), bits[chosen].astype("<u8").tobytes(), pack(kept)))
    return found


def _columns(rows: Rows, task: Task) -> Columns:
    column = rows.columns[task.output]
    found: Columns = {"output": floats(column) if task.kind in QUANTITIES else texts(column)}
    if task.kind == RANKING:
        found["query"] = _queries(rows, task)
        if ITEM in rows.columns:
            found["item"] = _short(_bits(rows.columns[ITEM]))
    if task.kind == CLASSIFICATION:
        found[CONTENT] = contents(rows, task)
        if task.probability in rows.columns:
            found["probability"] = floats(rows.columns[task.probability]).astype("<f4")
        elif task.confidence in rows.columns:
            found["confidence"] = floats(rows.columns[task.confidence]).astype("<f4")
    if LATENCY in rows.columns:
        told = floats(rows.columns[LATENCY])
        found[LATENCY] = np.where(np.isfinite(told) & (told >= 0), told, -1.0).astype("<f4")
    for name in task.features if task.kind == REGRESSION else ():
        if name in rows.columns:
            found[FEATURE + name] = floats(rows.columns[name]).astype("<f4")
    for name in dict.fromkeys((*task.segments, EXPOSED, EXPLORED)):
        if name in rows.columns:
            found[SEGMENT + name] = texts(rows.columns[name])
    return found


def contents(rows: Rows, task: Task) -> Array:
    """32 bits of each row's features, the same for the same values whatever came with them; 0: it has none."""
    told = {task.output, task.probability, task.confidence, LATENCY, EXPOSED, EXPLORED}
    found = np.zeros(rows.count, np.uint64)
    for name in sorted(set(rows.features) - told):
        if not name.startswith(ATTRIBUTION):
            found = mixed(found ^ mixed(_bits(rows.columns[name]) ^ np.uint64(digest(name))))
    return _short(found)


def _short(bits: Array) -> Array:
    short: Array = (mixed(bits) >> np.uint64(32)).astype("<u4")
    return np.where(bits == 0, np.uint32(0), short)


def _bits(column: pa.Array) -> Array:
    """64 of each value; texts that look like numbers are texts."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = floats(column) + 0.0  # minus zero is zero
        return np.where(np.isnan(values), 0.0, values).view(np.uint64) ^ np.isnan(values).astype(np.uint64)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return np.array([digest(str(one)) for one in column.to_pylist()], np.uint64)
    named = texts(column)
    return np.array([*map(digest, named.values), 0], np.uint64)[named.codes]


def _queries(rows: Rows, task: Task) -> Array:
    """64 bits of each row's query."""
    column = rows.columns.get(task.query)
    if column is None:
        raise Invalid(f"There is no column {task.query!r}.", "It says which items were ranked together.")
    no_nulls(column, task.query)
    named = texts(column)
    return np.fromiter((digest(value) for value in named.values), np.uint64, len(named.values))[named.codes]


def floats(column: pa.Array) -> Array:
    """Of every row; not a number where there is none."""
    read = numbers(column)
    found = np.full(len(column), np.nan)
    found[slice(None) if read.valid is None else read.valid] = read.values
    if read.invalid is not None:
        places = np.arange(len(column)) if read.valid is None else np.flatnonzero(read.valid)
        found[places[read.invalid]] = np.nan
    return found


def texts(column: pa.Array) -> Texts:
    if pa.types.is_null(column.type):
        return Texts([], np.full(len(column), -1, np.int32))
    read = categories(column)
    codes = np.full(len(column), -1, np.int32)
    codes[slice(None) if read.valid is None else read.valid] = read.codes
    return Texts(read.values, codes)


def features_in(columns: Columns) -> Iterator[tuple[str, Array]]:
    for name, column in columns.items():
        if name.startswith(FEATURE) and not isinstance(column, Texts):
            yield name.removeprefix(FEATURE), column


def segments_in(columns: Columns) -> Iterator[tuple[str, Texts]]:
    for name, column in columns.items():
        if name.startswith(SEGMENT) and isinstance(column, Texts):
            yield name.removeprefix(SEGMENT), column
