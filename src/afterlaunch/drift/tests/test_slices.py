"""The slice that moved is named and comes first; without a change hardly any is."""

from __future__ import annotations

import numpy as np
import pytest

from afterlaunch.drift import slices
from afterlaunch.drift.evidence import Tolerance
from afterlaunch.drift.slices import Slice
from afterlaunch.profiles.hashing import Array

EDGES = np.quantile(np.random.default_rng(0).normal(size=100_000), np.arange(1, 10) / 10)
Column = tuple[str, tuple[str, ...], Array, Array]


def rows(random: np.random.Generator, n: int, shares: dict[str, list[float]], moved: dict[str, float]) -> list[Array]:
    """Of each column the counts (values, 12) of n rows; `moved`: by how many deviations rows of a value move."""
    codes = {key: random.choice(len(p), n, p=p) for key, p in shares.items()}
    x = random.normal(size=n)
    for name, shift in moved.items():
        key, _, value = name.partition("=")
        x = x + shift * (codes[key] == int(value))
    cells = np.searchsorted(EDGES, x)
    found = []
    for key, p in shares.items():
        table = np.zeros((len(p), 12), np.int64)
        np.add.at(table, (codes[key], cells), 1)
        found.append(table)
    return found


SHARES = {"region": [0.4, 0.3, 0.2, 0.1], "product": [0.25] * 4}


def ranked(
    seed: int, moved: dict[str, float], now: dict[str, list[float]] | None = None, n: int = 3_000
) -> list[Slice]:
    random = np.random.default_rng(seed)
    before, after = rows(random, 10_000, SHARES, {}), rows(random, n, now or SHARES, moved)
    columns: list[Column] = [
        (key, tuple("abcd"), then, here) for key, then, here in zip(SHARES, before, after, strict=True)
    ]
    return slices.ranked(columns, Tolerance())


def test_without_a_change_slices_are_rarely_named() -> None:
    named = sum(
        any(one.verdict in (slices.MOVED, slices.MORE, slices.LESS) for one in ranked(seed, {})) for seed in range(200)
    )
    assert named <= 0.05 * 200 + 3 * (0.05 * 0.95 * 200) ** 0.5


@pytest.mark.parametrize("value", [0, 2])
def test_the_slice_that_moved_is_named_first(value: int) -> None:
    first = 0
    for seed in range(20):
        found = ranked(seed, {f"region={value}": 0.5})
        assert found[0].verdict == slices.MOVED and found[0].q is not None and found[0].q < 0.001
        first += found[0].name == f"region = {'abcd'[value]}"
    assert first == 20
    said = slices.told(found)
    assert f"region = {'abcd'[value]} explains" in said and "moved inside it" in said


def test_a_slice_that_grew_is_told_by_its_share() -> None:
    random = np.random.default_rng(3)
    before = rows(random, 10_000, SHARES, {"region=3": 2.0})
    after = rows(random, 4_000, {**SHARES, "region": [0.3, 0.2, 0.1, 0.4]}, {"region=3": 2.0})
    columns: list[Column] = [
        (key, tuple("abcd"), *one) for key, one in zip(SHARES, zip(before, after, strict=True), strict=True)
    ]
    found = slices.ranked(columns, Tolerance())
    assert (found[0].name, found[0].verdict) == ("region = d", slices.MORE)
    assert "its share of the rows went from 10" in slices.told(found)


def test_a_drift_of_everything_is_no_slices() -> None:
    said = slices.told(ranked(4, {f"region={at}": 0.4 for at in range(4)}))
    assert said.startswith("No slice stands out")


def test_thin_slices_are_not_assessed() -> None:
    found = ranked(5, {}, n=300)
    thin = [one for one in found if one.verdict == slices.NOT_ASSESSED]
    assert thin and all(one.n_now < slices.LEAST for one in thin) and all(one.psi is None for one in thin)
    assert slices.ranked([("a", ("b",), np.zeros((1, 12)), np.zeros((1, 12)))], Tolerance()) == []
