"""Where two attributes of one span tell a field differently: the winner stands, and the span is marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from afterlaunch.telemetry.anyvalues import Bools, Ints
from afterlaunch.telemetry.conventions.attributes import Layer, floats, plainly, whole_numbers
from afterlaunch.telemetry.conventions.fields import FIELDS
from afterlaunch.telemetry.conventions.table import As

CONFLICTING = {one.name: one.read for one in FIELDS if one.conflicts}
FLAG = "field_conflict:"


def conflicts(layer: Layer, equal: Bools, folds: Mapping[str, Callable[[str], str | None]]) -> dict[str, Bools]:
    """Flags by name. `equal`: losers that are the same as their winner; `folds`: what a field's words mean; those
    that mean the same do not conflict."""
    flags: dict[str, Bools] = {}
    serious = np.array([not way.source.stands_in for way in layer.ways], bool)
    differ = np.flatnonzero(~equal & serious[layer.lost_way]) if len(equal) else np.zeros(0, np.int64)
    for row in np.unique(layer.lost_row[differ]).tolist():
        field = next(name for name, number in layer.rows.items() if number == row)
        if field in CONFLICTING:
            mine = differ[layer.lost_row[differ] == row]
            owners = layer.lost_owner[mine]
            apart = _apart(layer, CONFLICTING[field], layer.take[row, owners], layer.lost[mine], folds.get(field))
            if apart.any():
                flags[FLAG + field] = np.zeros(layer.count, bool)
                flags[FLAG + field][owners[apart]] = True
    return flags


def _apart(layer: Layer, read: As, one: Ints, other: Ints, fold: Callable[[str], str | None] | None) -> Bools:
    """Which pairs of unequal values mean different things."""
    if read is As.COUNT:
        values, known, _ = whole_numbers(layer.values, np.stack([one, other]))
        whole: Bools = known.all(axis=0) & (values[0] != values[1])
        return whole
    if read is As.NUMBER:
        near = np.isclose(floats(layer.values, one), floats(layer.values, other), rtol=1e-9, equal_nan=True)
        return ~near
    codes, words = layer.values.words(np.concatenate([one, other]))
    known_words: dict[str | None, int] = {}
    meant = np.array([known_words.setdefault((fold or plainly)(word), len(known_words)) for word in words] + [-1])
    mine, theirs = meant[codes].reshape(2, -1)
    found: Bools = (mine >= 0) & (theirs >= 0) & (mine != theirs)
    return found
