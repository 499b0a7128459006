"""Columns of vectors (embeddings) among predictions. Fixed at the reference, its mean and 16 principal directions make
of every vector 16 numbers, and the length of what they leave of it: features like any other. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from afterlaunch.drift.vectors import principal_directions
from afterlaunch.predictions import columns
from afterlaunch.predictions.bodies import Rows
from afterlaunch.profiles import vectors
from afterlaunch.profiles.hashing import Array

FITTED = 4_000  # rows of the reference that the directions are found of
LEAST = 50


@dataclass(frozen=True)
class Projection:
    """`mean` (d,), `directions` (d, k)."""

    mean: Array
    directions: Array

    @property
    def length(self) -> int:
        return len(self.mean)

    def of(self, values: Array) -> Array:
        """(n, d) -> (n, k + 1): along the directions, and the length of the rest."""
        moved = values - self.mean
        along = moved @ self.directions
        rest = np.sqrt(np.maximum((moved**2).sum(1) - (along**2).sum(1), 0.0))
        return np.column_stack((along, rest)).astype(np.float64)


Projections = Mapping[str, Projection]


def names_of(name: str, projection: Projection) -> list[str]:
    return [*(f"{name}[{at}]" for at in range(1, projection.directions.shape[1] + 1)), f"{name}[rest]"]


def is_vectors(column: pa.Array) -> bool:
    return vectors.is_vector(column.type) or vectors.hold_vectors(column)


def learn(rows: Rows) -> dict[str, Projection]:
    """Of the columns that hold vectors."""
    found = {}
    for name, column in rows.features.items():
        if not is_vectors(column):
            continue
        read = vectors.read(column)
        if len(read.values) >= LEAST:
            values = read.values[np.linspace(0, len(read.values) - 1, min(FITTED, len(read.values))).astype(np.int64)]
            mean = values.mean(0)
            found[name] = Projection(mean, principal_directions(values - mean).astype(np.float32))
    return found


def expanded(rows: Rows, projections: Projections) -> Rows:
    """The rows with numbers in place of vectors. A vector of another length counts as invalid there."""
    if not projections:
        return rows
    found = {name: column for name, column in rows.columns.items() if name not in projections}
    for name, projection in projections.items():
        if name in rows.columns:
            found |= _numbers(name, rows.columns[name], projection)
    return Rows(found, rows.count)


def _numbers(name: str, column: pa.Array, projection: Projection) -> dict[str, pa.Array]:
    if not (vectors.is_vector(column.type) or pa.types.is_string(column.type)):
        column = column.cast(pa.string())
    read = vectors.read(column, projection.length)
    values = np.full((len(column), projection.directions.shape[1] + 1), np.nan)
    values[read.places] = projection.of(read.values)
    known = np.zeros(len(column), bool)
    known[read.places] = True
    wrong = ~known & np.array(column.is_valid())
    made = {}
    for at, called in enumerate(names_of(name, projection)):
        numbers = pa.array(values[:, at], mask=~known)
        if wrong.any():
            bad = f"no vector of {projection.length} numbers"
            told = numbers.cast(pa.string()).to_pylist()
            numbers = pa.array([bad if is_bad else one for is_bad, one in zip(wrong.tolist(), told, strict=True)])
        made[called] = numbers
    return made


def pack(projections: Projections) -> bytes:
    parts: dict[str, columns.Column] = {}
    for name, one in projections.items():
        parts[f"mean:{name}"] = one.mean.astype(np.float32)
        parts[f"directions:{name}"] = one.directions.astype(np.float32).ravel()
    return columns.pack(parts)


def unpack(body: bytes) -> dict[str, Projection]:
    parts = columns.unpack(body)
    found = {}
    for key, mean in parts.items():
        if key.startswith("mean:"):
            name = key.removeprefix("mean:")
            mean, flat = np.asarray(mean), np.asarray(parts[f"directions:{name}"])
            found[name] = Projection(mean, flat.reshape(len(mean), -1))
    return found
