"""Columns of vectors: no false alarms beyond what is promised, and what moves is found and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as parquet

from afterlaunch.drift.judging import Judged, Limits
from afterlaunch.drift.oneshot import Comparison, compare
from afterlaunch.drift.report import page
from afterlaunch.profiles.vectors import read

Array = np.ndarray[Any, Any]


def embedded(dice: np.random.Generator, rows: int, numbers: int = 24, moved: float = 0.0, wider: float = 1.0) -> Array:
    """Points round a few topics with heavy tails, of unit length, as embeddings are."""
    topics = np.random.default_rng(5).normal(size=(6, numbers))
    found = topics[dice.integers(0, 6, rows)] + wider * 0.7 * dice.standard_t(4, size=(rows, numbers))
    found += moved * np.random.default_rng(6).normal(size=numbers)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def written(path: Path, vectors: Any, **more: Any) -> Path:
    rows = vectors.tolist() if isinstance(vectors, np.ndarray) else vectors
    parquet.write_table(pa.table({"embedding": pa.array(rows, pa.list_(pa.float32())), **more}), path)
    return path


def judged(folder: Path, before: Any, now: Any) -> tuple[Judged, Comparison]:
    found = compare(written(folder / "a", before), written(folder / "b", now), Limits())
    return found.columns[0], found


def test_vectors_without_drift_raise_nothing_and_moved_ones_are_found(tmp_path: Path) -> None:
    dice = np.random.default_rng(1)
    alarms = 0
    for _ in range(60):
        calm, _ = judged(tmp_path, embedded(dice, 600), embedded(dice, 600))
        alarms += calm.verdict == "drift"
        assert calm.verdict in ("no_drift", "drift")
    assert alarms <= 7  # P(more than 7 of 60 at 5 %) is 0.9 %
    moved, found = judged(tmp_path, embedded(dice, 2_000), embedded(dice, 2_000, moved=0.4))
    assert (moved.verdict, moved.kind, moved.n_current) == ("drift", "vector", 2_000)
    assert moved.as_document()["method"] == "location_classifier" and "AUC" in moved.why
    assert found.verdict == "drift" and page(found, "then", "now").count("<svg") == 1
    wider, _ = judged(tmp_path, embedded(dice, 2_000), embedded(dice, 2_000, wider=1.6))
    assert wider.verdict == "drift" and wider.as_document()["method"] == "shape_classifier"


def test_too_few_and_constant_vectors_are_not_assessed(tmp_path: Path) -> None:
    dice = np.random.default_rng(2)
    few, _ = judged(tmp_path, embedded(dice, 150), embedded(dice, 150))
    assert (few.verdict, few.reason) == ("not_assessed", "too_few_rows")
    same, _ = judged(tmp_path, [[1.0, 2.0]] * 500, [[1.0, 2.0]] * 500)
    assert (same.verdict, same.reason) == ("not_assessed", "constant")


def test_vectors_of_another_length_are_incomparable_and_a_finding(tmp_path: Path) -> None:
    dice = np.random.default_rng(3)
    other, found = judged(tmp_path, embedded(dice, 500, 24), embedded(dice, 500, 32))
    assert (other.verdict, other.reason) == ("not_assessed", "incomparable")
    assert ("type_changed", "embedding") in {(one.type, one.column) for one in found.findings}
    assert found.verdict == "drift"


def test_vectors_stand_in_json_lines_too_and_what_is_none_is_told(tmp_path: Path) -> None:
    dice = np.random.default_rng(4)
    for name, moved in (("a", 0.0), ("b", 1.0)):
        rows = [{"embedding": one} for one in embedded(dice, 700, moved=moved).tolist()]
        rows[300:303] = [{"embedding": [1.0]}, {"embedding": None}, {"embedding": "none"}]
        (tmp_path / name).write_bytes(b"\n".join(map(orjson.dumps, rows)))
    found = compare(tmp_path / "a", tmp_path / "b", Limits())
    assert found.columns[0].verdict == "drift" and found.columns[0].n_reference == 697
    assert {(one.type, one.table) for one in found.findings} == {
        ("vectors_differ", "reference"),
        ("vectors_differ", "current"),
    }


def test_lists_are_read_as_they_lie(tmp_path: Path) -> None:
    rows = [[1.0, 2.0], None, [3.0], [4.0, float("nan")], [5.0, 6.0]]
    for kind in (pa.list_(pa.float64()), pa.large_list(pa.float32())):
        found = read(pa.array(rows, kind)[1:])
        assert (found.values.tolist(), found.places.tolist()) == ([[5.0, 6.0]], [3])
        assert (found.length, found.nulls, found.wrong) == (2, 1, 2)
    fixed = read(pa.array([[1, 2], None, [5, 6]], pa.list_(pa.int32(), 2))[1:])
    assert (fixed.values.tolist(), fixed.places.tolist(), fixed.nulls) == ([[5.0, 6.0]], [1], 1)
