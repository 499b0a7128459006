"""Predictions and labels as columns of codes, and what they add up to by the values of segments. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
VALUES = 50  # of a segment in one hour
OTHER, NONE = "(other)", "(none)"
SCORE_GROUPS = 20  # of cells of scores, in which each source's labels are counted


@dataclass(frozen=True)
class Coded:
    """`codes` (rows,) point into `values`; -1: none."""

    values: list[str]
    codes: Array


@dataclass(frozen=True)
class Said:
    """What one source says of some rows, which are ascending."""

    source: str
    rows: Array
    labels: Coded


def same(one: Coded, other: Coded) -> Array:
    """In which rows both have a value, and the same."""
    places = {value: at for at, value in enumerate(other.values)}
    turned = np.array([*(places.get(value, -2) for value in one.values), -2])
    return np.asarray(turned[one.codes] == other.codes)


def added(one: Any, other: Any) -> Any:
    if isinstance(one, dict):
        return {
            key: added(one[key], other[key]) if key in one and key in other else _copied(one.get(key, other.get(key)))
            for key in {**one, **other}
        }
    if isinstance(one, list):
        return [a + b for a, b in zip(one, other, strict=True)]
    return one + other


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return list(value) if isinstance(value, list) else value


def crossed(segments: Mapping[str, Coded], groups: Array, parts: tuple[Array, ...]) -> dict[str, dict[str, list[int]]]:
    """Values are named as `losses_by` names them."""
    found: dict[str, dict[str, list[int]]] = {}
    for key, coded in segments.items():
        names = [*coded.values, NONE]
        codes = np.where(coded.codes >= 0, coded.codes, len(coded.values))
        size = len(names) * SCORE_GROUPS
        counts = [np.bincount((codes * SCORE_GROUPS + groups)[one], minlength=size) for one in parts]
        table = np.stack(counts).reshape(len(parts), len(names), SCORE_GROUPS).transpose(1, 0, 2)
        order = np.argsort(-np.bincount(codes, minlength=len(names)), kind="stable")
        values: dict[str, list[int]] = {}
        for place, at in enumerate(order.tolist()):
            told = table[at].ravel().tolist()
            if any(told):
                name = names[at] if place < VALUES else OTHER
                values[name] = added(values[name], told) if name in values else told
        found[key] = values
    return found


def losses_by(
    segments: Mapping[str, Coded], rows: int, judged: Array, loss: Array
) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for key, coded in segments.items():
        width = len(coded.values)
        codes = np.where(coded.codes >= 0, coded.codes, width)
        weights = (np.ones(rows), loss, loss**2)
        columns: list[Array] = [np.bincount(codes[judged], one[judged], minlength=width + 1) for one in weights]
        table = np.stack([np.bincount(codes, minlength=width + 1).astype(np.float64), *columns], 1)
        names = [*coded.values, NONE]
        order = np.argsort(-table[:, 0], kind="stable")
        values: dict[str, list[float]] = {}
        for place, at in enumerate(order.tolist()):
            if table[at, 0]:
                name = names[at] if place < VALUES else OTHER
                values[name] = added(values[name], table[at].tolist()) if name in values else table[at].tolist()
        found[key] = values
    return found


def disagreements(
    segments: Mapping[str, Coded], outputs: Coded, said: Sequence[Said]
) -> dict[str, dict[str, dict[str, list[int]]]]:
    """Of each source, by segment and value: its labels, and how many of them are not the output."""
    found: dict[str, dict[str, dict[str, list[int]]]] = {}
    for one in said:
        there = (one.labels.codes >= 0) & (outputs.codes[one.rows] >= 0)
        other = there & ~same(Coded(outputs.values, outputs.codes[one.rows]), one.labels)
        for key, coded in segments.items():
            names = [*coded.values, NONE]
            codes = np.where(coded.codes >= 0, coded.codes, len(coded.values))
            often = np.argsort(-np.bincount(codes, minlength=len(names)), kind="stable")[:VALUES]
            kept = {names[at] for at in often.tolist()}
            counts = [np.bincount(codes[one.rows[rows]], minlength=len(names)) for rows in (there, other)]
            values = found.setdefault(one.source, {}).setdefault(key, {})
            for at in np.flatnonzero(counts[0]).tolist():
                name = names[at] if names[at] in kept else OTHER
                values[name] = added(values.get(name, [0, 0]), [int(counts[0][at]), int(counts[1][at])])
    return found
