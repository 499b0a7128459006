"""A body of labels as columns. What is wrong with it is said by row. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from afterlaunch.ground.errors import Invalid
from afterlaunch.labels import givers
from afterlaunch.labels.comments import COMMENT
from afterlaunch.predictions.bodies import ID, Rows, no_nulls, times
from afterlaunch.predictions.columns import Columns, Texts
from afterlaunch.predictions.keeping import floats, texts
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import digest

LABEL, SOURCE = "label", "source"
SOURCES = 200  # of one body


@dataclass(frozen=True)
class Labels:
    """Of every row: 64 bits of the prediction's id, and its text; the label; its time in microseconds since 1970; who
    says so; a comment, of which no text is kept; the columns that tell who gave it."""

    ids: Array
    texts: Texts
    labels: Texts
    times: Array
    sources: Texts
    comments: Texts | None = None
    givers: Mapping[str, Texts] = field(default_factory=dict)

    def as_columns(self) -> Columns:
        return {"id": self.ids, "text": self.texts, "label": self.labels, "time": self.times, "source": self.sources}


def read(rows: Rows, latest: datetime, usual_source: str, numeric: bool) -> Labels:
    """`usual_source`: of rows that name none. `numeric`: labels must be numbers. Raises Invalid."""
    column = rows.columns.get(ID)
    if column is None:
        raise Invalid(f"There is no column {ID!r}.", "It says which prediction a label is of.")
    no_nulls(column, ID)
    named = texts(column)
    bits = np.fromiter((digest(value) for value in named.values), np.uint64, len(named.values))[named.codes]
    said = texts(rows.columns[COMMENT]) if COMMENT in rows.columns else None
    labels, sources = _labels(rows, numeric), _sources(rows, usual_source)
    return Labels(bits, named, labels, times(rows, latest), sources, said, givers.read(rows))


def _labels(rows: Rows, numeric: bool) -> Texts:
    column = rows.columns.get(LABEL)
    if column is None:
        raise Invalid(f"There is no column {LABEL!r}.", "What the prediction should have been.")
    no_nulls(column, LABEL)
    if numeric and (wrong := ~np.isfinite(floats(column))).any():
        row = int(wrong.argmax())
        raise Invalid(f"The label of row {row + 1} is not a number: {str(column[row])[:60]!r}.", "Nothing was taken.")
    return texts(column)


def _sources(rows: Rows, usual: str) -> Texts:
    column = rows.columns.get(SOURCE)
    if column is None:
        return Texts([usual], np.zeros(rows.count, np.int32))
    found = texts(column)
    if (found.codes < 0).any():
        values = found.values if usual in found.values else [*found.values, usual]
        found = Texts(values, np.where(found.codes < 0, values.index(usual), found.codes).astype(np.int32))
    for value in found.values:
        if not value.strip() or not value.isprintable():
            raise Invalid(f"A source has 1 to 200 printable characters; this one is {value[:60]!r}.")
    if len(found.values) > SOURCES:
        raise Invalid(f"A body may have labels of {SOURCES} sources.", "A source is a team, a tool or a feed.")
    return found
