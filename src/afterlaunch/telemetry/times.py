"""Conditions on instants that leave out what lies between. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST = 8


def stretches(instants: Any, margin: int) -> list[tuple[int, int]]:
    """The instants (an array that holds one at least), each with its margin, as few stretches (first, last), in order:
    cut at the widest gaps, so that one late span does not make a question about all times."""
    order = np.sort(instants)
    gaps = np.diff(order)
    wide = np.flatnonzero(gaps > 4 * margin + 60_000_000_000)
    cuts = np.sort(wide[np.argsort(gaps[wide])[::-1][: MOST - 1]])
    firsts = order[np.concatenate([[0], cuts + 1])]
    lasts = order[np.concatenate([cuts, [len(order) - 1]])]
    return [(int(first) - margin, int(last) + margin) for first, last in zip(firsts, lasts, strict=True)]


def within(column: str, instants: Any, margin: int = 0) -> tuple[str, list[Any]]:
    """SQL with parameters: the column lies in one of the stretches."""
    found = stretches(instants, margin)
    sql = " or ".join(f"{column} between ? and ?" for _ in found)
    return f"({sql})", [bound for stretch in found for bound in stretch]
