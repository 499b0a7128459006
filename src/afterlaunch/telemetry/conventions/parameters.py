"""What the model was asked for beside the question: temperature, limits, seeds, …, as one JSON text per call."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.conventions.attributes import Layer


def parameters(layer: Layer, whole: Any, gone: Bools) -> Any:
    """`whole`: texts that are such JSON already, where no single parameter is told. By distinct combination."""
    rows, names = [], []
    for code, member in layer.plan.families.get("parameter", ()):
        owners, places = layer.of_key(code)
        if len(owners):
            gone[places] = True
            row = np.full(layer.count, -1, np.int64)
            row[owners] = places
            rows.append(row)
            names.append(member.path)
    if not rows:
        return whole
    codes, values = layer.values.distinct(np.concatenate(rows))
    codes = codes.reshape(len(rows), layer.count)
    combination = np.zeros(layer.count, np.int64)
    for row in codes:
        # Numbered anew before the next factor: few combinations, whatever the number of parameters.
        if len(row) * int(combination.max() + 1) > 2**40:
            combination = np.unique(combination, return_inverse=True)[1]
        combination = combination * (len(values) + 1) + row + 1
    some = np.flatnonzero((codes >= 0).any(axis=0))
    _, first, number = np.unique(combination[some], return_index=True, return_inverse=True)
    sets = [
        {name: values[code] for name, code in zip(names, column, strict=True) if code >= 0}
        for column in codes[:, some[first]].T.tolist()
    ]
    of_row = np.full(layer.count, -1)
    of_row[some] = number
    texts = pa.array([orjson.dumps(one, option=orjson.OPT_SORT_KEYS).decode() for one in sets], pa.string())
    column = texts.take(pa.array(of_row, mask=of_row < 0))
    return column if whole.null_count == layer.count else pc.coalesce(column, whole)
