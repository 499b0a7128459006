"""Anomalies on the Numenta Anomaly Benchmark, scored by its rules.

    python benchmarks/nab.py [--data FOLDER] [--series]

The folder holds series.parquet, labels.json and profiles.json; by default, the part that lies in the real input.
Prints, for each profile, the score at the best threshold of the corpus (as published scores are), at the shipped one,
at the one chosen on the other categories (leave one category out), and of the alerts themselves; then microseconds a
point, and how large the largest state is.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
from tests.real_input import shared

from afterlaunch.series.budget import AT_ONE_A_WEEK
from afterlaunch.series.detector import Detector
from afterlaunch.series.scoring import saved


def scorer() -> ModuleType:
    root = shared()
    if root is None:
        raise SystemExit("The scorer lies in the real input, which is not here; name its folder in AFTERLAUNCH_SHARED.")
    spec = importlib.util.spec_from_file_location("nab_score", root / "bench" / "drift" / "nab_score.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judged(times: Any, values: Any) -> tuple[Any, Any, int]:
    """Scores (0 while learning), alerts, bytes of the state."""
    detector = Detector()
    seconds = times.astype("datetime64[us]").astype(np.int64) / 1e6
    told = [detector.see(at, value) for at, value in zip(seconds.tolist(), values.tolist(), strict=True)]
    alerts = np.array([float(one.alert) for one in told])
    return np.array([one.score or 0.0 for one in told]), alerts, len(saved(detector))


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--data", default=None)
    asked.add_argument("--series", action="store_true", help="a line for each series")
    options = asked.parse_args()
    nab = scorer()
    root = shared()
    corpus, profiles = nab.load(options.data or root / "data" / "nab")
    began = time.process_time()
    told = {name: judged(times, values) for name, (times, values, _) in corpus.items()}
    took = time.process_time() - began
    scores, alerts = ({name: one[part] for name, one in told.items()} for part in (0, 1))
    best = nab.score(corpus, profiles, scores)
    shipped = nab.score(corpus, profiles, scores, AT_ONE_A_WEEK)
    told_alerts = nab.score(corpus, profiles, alerts, 0.5)
    print(f"{len(corpus)} series, {sum(len(one[2]) for one in corpus.values())} windows")
    for profile in profiles:
        print(
            f"{profile:20} best {best[profile]['score']:6.2f} at {best[profile]['threshold']:.4f}   "
            f"shipped {shipped[profile]['score']:6.2f} at {AT_ONE_A_WEEK}   alerts {told_alerts[profile]['score']:6.2f}"
        )
    held_out(nab, corpus, profiles, scores)
    if options.series:
        for name, one in told.items():
            print(f"{int(one[1].sum()):4} alerts, {len(corpus[name][2])} windows  {name}")
    rows = sum(len(one[0]) for one in corpus.values())
    print(f"{took / rows * 1e6:.1f} µs a point, state up to {max(one[2] for one in told.values()) / 1024:.0f} KiB")


def held_out(nab: ModuleType, corpus: Any, profiles: Any, scores: Any) -> None:
    standard = {"standard": profiles["standard"]}
    for category in sorted({name.split("/")[0] for name in corpus}):
        mine = {name: one for name, one in corpus.items() if name.startswith(category)}
        others = {name: one for name, one in corpus.items() if name not in mine}
        if not others or not any(len(one[2]) for one in mine.values()):
            continue
        threshold = nab.score(others, standard, scores)["standard"]["threshold"]
        alone = nab.score(mine, standard, scores, threshold)["standard"]["score"]
        print(f"  {category:24} {alone:6.2f} at {threshold:.4f}, chosen on the others")


if __name__ == "__main__":
    main()
