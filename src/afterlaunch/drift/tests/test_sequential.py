"""Windows one after the other: false alarms as stated, delays as specified, atoms and seams handled."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as parquet
import pytest
from tests.real_input import real

from afterlaunch.drift import run_lengths, sequential, thresholds
from afterlaunch.drift.sequential import Promise, Signals, State
from afterlaunch.profiles.hashing import Array
from afterlaunch.profiles.layouts import numeric_layout

STREAMS = 200


def counted(random: np.random.Generator, shares: Array, rows: int) -> Array:
    return random.multinomial(rows, shares, STREAMS)


def run(
    before: Array, after: Array, windows: int, shifted_from: int = 10**9, rows: int = 500, seed: int = 1
) -> list[Signals]:
    """Streams against references of 5,000 rows of `before`; windows are of `after` from `shifted_from` on."""
    random = np.random.default_rng(seed)
    known, state, seen = sequential.ranks(counted(random, before, 5_000)), State.fresh(STREAMS), []
    for at in range(windows):
        counts = counted(random, after if at >= shifted_from else before, rows)
        state, signals = sequential.step(known, state, counts, Promise())
        seen.append(signals)
    return seen


def normal_cells(shift: float = 0.0) -> Array:
    """Shares of 40 cells between the quantiles of a standard normal, after a shift."""
    random = np.random.default_rng(0)
    edges = np.quantile(random.normal(size=400_000), np.arange(1, 40) / 40)
    found: Array = np.bincount(np.searchsorted(edges, random.normal(size=400_000) + shift), minlength=40) / 400_000
    return found


@pytest.mark.parametrize(
    "shares",
    [np.full(40, 1 / 40), np.array([0.5, 0.5]), np.array([0.9, 0.06, 0.04]), np.append([0.7], np.full(30, 0.01))],
)
def test_without_drift_it_warns_as_often_as_it_says_and_pages_less(shares: Array) -> None:
    """One false warning in 1,000 windows, for continuous columns, a fair coin, rare values and a large atom."""
    seen = run(shares, shares, 150)
    windows = STREAMS * 150
    warnings = sum(int(one.warned.sum()) for one in seen)
    assert warnings <= windows / 1_000 + 3 * (windows / 1_000) ** 0.5
    assert sum(int(one.paged.sum()) for one in seen) <= windows / 1_000
    assert np.std([one.z for one in seen]) == pytest.approx(1.0, abs=0.12)
    assert np.std([one.spread_z for one in seen]) == pytest.approx(1.0, abs=0.15) or len(shares) == 2


def test_a_tenth_of_a_deviation_is_found_within_four_windows() -> None:
    seen = run(np.full(40, 1 / 40), normal_cells(0.1), 60, shifted_from=20)
    warned = np.array([one.warned for one in seen[20:]])
    first = np.where(warned.any(0), warned.argmax(0) + 1, 999)
    assert np.median(first) <= 4 and (first < 999).mean() >= 0.97


def test_a_change_of_spread_alone_is_found() -> None:
    wider = np.full(40, 1 / 40) + 0.015 * ((2 * np.linspace(0, 1, 40) - 1) ** 2 - 1 / 3)
    wider /= wider.sum()
    seen = run(np.full(40, 1 / 40), wider, 60, shifted_from=0)
    assert np.array([one.warned for one in seen[:12]]).any(0).mean() > 0.9


def test_a_large_shift_warns_and_pages_at_once() -> None:
    seen = run(np.full(40, 1 / 40), normal_cells(0.5), 3, shifted_from=0)
    assert seen[0].warned.all() and seen[0].paged.all()


def test_a_window_without_rows_or_a_thin_reference_moves_nothing() -> None:
    known = sequential.ranks(np.array([[50, 50], [500, 500], [2, 2]]))
    counts = np.array([[0, 0], [40, 60], [40, 60]])
    state, seen = sequential.step(known, State.fresh(3), counts, Promise())
    assert seen.assessed.tolist() == [False, True, False]
    assert state.windows.tolist() == [0, 1, 0] and state.fast[0] == state.fast[2] == 0.0
    assert not np.isfinite(state.log_r[0]).any()


def test_replaying_the_windows_gives_the_same_state() -> None:
    """Late data change a closed window: from there it is played again."""
    random = np.random.default_rng(3)
    known = sequential.ranks(counted(random, np.full(40, 1 / 40), 2_000))
    windows = [counted(random, np.full(40, 1 / 40), 300) for _ in range(8)]
    states = []
    for _ in range(2):
        state = State.fresh(STREAMS)
        for window in windows:
            state, _ = sequential.step(known, state, window, Promise())
        states.append(state)
    assert np.array_equal(states[0].fast, states[1].fast) and np.array_equal(states[0].log_r, states[1].log_r)


def test_cusum_gathers_what_single_windows_hide() -> None:
    up, down, alarmed = np.zeros(1), np.zeros(1), []
    for _ in range(6):
        up, down, now = sequential.cusum(up, down, np.array([2.0]), 1.0, np.array([4.0]))
        alarmed.append(bool(now[0]))
    assert alarmed == [False, False, False, False, True, False]
    assert down[0] == 0.0


def test_the_shipped_thresholds_are_what_is_computed() -> None:
    for table, computed in (
        (thresholds.EWMA_FAST, run_lengths.ewma(sequential.FAST, 0.1, 1_000.0)),
        (thresholds.EWMA_SLOW, run_lengths.ewma(sequential.SLOW, 0.1, 1_000.0)),
        (thresholds.CUSUM_COARSE, run_lengths.cusum(1.0, 0.1, 1_000.0)),
    ):
        assert thresholds.at(table, 0.1, 1_000.0) == pytest.approx(computed, rel=2e-3)
    # Roberts' EWMA and Page's CUSUM without a reference's error, as textbooks have them (ARL 370 at 3 sigma).
    assert run_lengths.single(370.4) == pytest.approx(3.0, abs=1e-3)
    assert run_lengths.ewma(0.1, 0.0, 500.0) / (0.1 / 1.9) ** 0.5 == pytest.approx(2.814, abs=0.02)
    assert run_lengths.cusum(0.5, 0.0, 465.0) == pytest.approx(5.0, abs=0.1)


def streamed(name: str, column: str, learned: int, rows: int = 480) -> tuple[list[bool], list[bool]]:
    """Warnings and pages of a real column's windows after its first `learned` rows."""
    values = parquet.read_table(real(f"data/drift-streams/{name}.parquet"), columns=[column]).column(0).to_numpy()
    values = values.astype(float)
    reference = values[:learned]
    layout = numeric_layout(reference, reference.min(), reference.max())

    def cells(part: Array) -> Array:
        return np.diff(np.searchsorted(np.sort(part), layout.edges), prepend=0, append=len(part))

    starts = sequential.starts_of(cells(reference))
    known, state = sequential.ranks(sequential.padded(cells(reference), starts)[None]), State.fresh(1)
    warned, paged = [], []
    for first in range(learned, len(values) - rows + 1, rows):
        counts = sequential.padded(cells(values[first : first + rows]), starts)[None]
        state, seen = sequential.step(known, state, counts, Promise())
        warned.append(bool(seen.warned[0]))
        paged.append(bool(seen.paged[0]))
    return warned, paged


@pytest.mark.parametrize("column", ["vicprice", "vicdemand", "transfer"])
def test_elec2_changes_at_row_17424_and_not_before(column: str) -> None:
    """Ten days a window; the change falls on the 18th window's start or within it."""
    warned, paged = streamed("elec", column, 8_736)
    change = (17_424 - 8_736) // 480
    assert not any(warned[:change]) and not any(paged[:change])
    assert any(warned[change : change + 2]) and any(paged[change : change + 2])


@pytest.mark.parametrize("column", ["attrib1", "attrib2", "attrib3"])
def test_sea_does_not_drift(column: str) -> None:
    warned, paged = streamed("sea_stream", column, 5_000, 500)
    assert not any(paged) and sum(warned) <= 2
