"""Drift: false alarms, delay and cost, of ours and, where their environments are given, of Evidently and NannyML.

    python benchmarks/drift.py null --sizes 500 1001 5000 --pairs 200
    python benchmarks/drift.py delay
    python benchmarks/drift.py speed --sizes 200000 1000000 --evidently VENV --nannyml VENV

Data are synthetic, 20 numeric columns (normal, lognormal, gamma, uniform, Student's t, Poisson) and 5 of categories (2
to 200 values, Zipf), the same for everybody in one run. `null`: share of pairs without drift in which any of 25 columns
alarms. `delay`: windows of 500 rows against 5,000; the mean moves after 20 windows. `speed`: whole processes, from
Parquet to the report, CPU seconds and peak memory; then one window of 500 rows, and 10,000 monitored features. Figures
of different runs on a shared machine do not compare; ratios within one do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from afterlaunch.drift import sequential
from afterlaunch.drift.judging import DRIFT, Limits, judge
from afterlaunch.profiles.layouts import category_layout, numeric_layout
from afterlaunch.profiles.reading import fold_array

NUMERIC = [f"n{at:02d}" for at in range(20)]
CATEGORIES = {"c0": 2, "c1": 5, "c2": 10, "c3": 50, "c4": 200}
SPREADS = {"normal": 1.0, "lognormal": ((np.e - 1) * np.e) ** 0.5, "gamma": 8**0.5}


def columns(count: int, seed: int, shifted: tuple[str, ...] = (), by: float = 0.0) -> dict[str, Any]:
    """`by`: in standard deviations."""
    random = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for at, name in enumerate(NUMERIC):
        if at < 8:
            values, spread = random.normal(10 * at, at + 1, count), at + 1.0
        elif at < 12:
            values, spread = random.lognormal(0, 1, count), SPREADS["lognormal"]
        elif at < 16:
            values, spread = random.gamma(at - 11, 2.0, count), 2 * (at - 11) ** 0.5
        elif at < 18:
            values, spread = random.random(count), 12**-0.5
        elif at == 18:
            values, spread = random.standard_t(3, count), 3**0.5
        else:
            values, spread = random.poisson(20, count).astype(float), 20**0.5
        found[name] = values + by * spread if name in shifted else values
    for name, values in CATEGORIES.items():
        weights = 1 / np.arange(1, values + 1)
        codes = random.choice(values, count, p=weights / weights.sum()).astype(np.int32)
        found[name] = pa.DictionaryArray.from_arrays(pa.array(codes), [f"v{one:03d}" for one in range(values)])
    return found


def pairs_of(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Profiles of both, on layouts that the first teaches."""
    found = {}
    for name, values in before.items():
        if name in CATEGORIES:
            counts = {one["values"]: one["counts"] for one in values.value_counts().to_pylist()}
            layout: Any = category_layout(counts)
        else:
            layout = numeric_layout(values, values.min(), values.max())
        found[name] = tuple(
            fold_array(layout, one if name in CATEGORIES else pa.array(one), 0) for one in (values, now[name])
        )
    return found


def null(sizes: list[int], pairs: int, evidently: str) -> None:
    for size in sizes:
        alarms, anywhere = np.zeros(25), 0
        began = time.process_time()
        for pair in range(pairs):
            judged = judge(pairs_of(columns(size, 2 * pair + 77_000), columns(size, 2 * pair + 77_001)), Limits())
            drifted = np.array([one.verdict == DRIFT for one in judged])
            alarms += drifted
            anywhere += bool(drifted.any())
        share = anywhere / pairs
        room = 2 * (0.05 * 0.95 / pairs) ** 0.5
        took = (time.process_time() - began) / pairs
        print(
            f"null n={size}: any column alarms in {share:.1%} (bar 5 % + 2 se = {0.05 + room:.1%}),"
            f" column-windows {alarms.sum() / pairs / 25:.3%}, {took:.3f} CPU s a pair",
            flush=True,
        )
        if evidently:
            print(f"  Evidently: any column alarms in {peer_alarms(size, min(pairs, 10), evidently)}", flush=True)


def written(folder: str, size: int, seed: int, shifted: tuple[str, ...] = (), by: float = 0.0) -> str:
    """A Parquet file of such a table."""
    found = columns(size, seed, shifted, by)
    arrays = {name: pa.array(one) if name in NUMERIC else one.cast(pa.string()) for name, one in found.items()}
    path = f"{folder}/{size}-{seed}.parquet"
    parquet.write_table(pa.table(arrays), path)
    return path


def peer_alarms(size: int, pairs: int, evidently: str) -> str:
    alarmed = 0
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(pairs):
            files = [written(folder, size, 2 * pair + 77_000 + side) for side in (0, 1)]
            told = measured([f"{evidently}/bin/python", "-c", EVIDENTLY_REPORT, *files])[3]
            if not told.startswith("done"):
                return told
            alarmed += float(told.split()[1]) > 0
    return f"{alarmed} of {pairs} of these pairs"


def draw(random: np.random.Generator, shape: str, size: tuple[int, ...]) -> Any:
    if shape == "lognormal":
        return random.lognormal(0, 1, size)
    return random.gamma(2, 2.0, size) if shape == "gamma" else random.normal(0, 1, size)


def streams_of(random: np.random.Generator, shape: str, streams: int, size: int) -> tuple[list[Any], Any]:
    """Layouts of many references, and what the detectors know of them."""
    layouts, counted = [], []
    for _ in range(streams):
        values = draw(random, shape, (size,))
        layout = numeric_layout(values, values.min(), values.max())
        cells = np.diff(np.searchsorted(np.sort(values), layout.edges), prepend=0, append=size)
        starts = sequential.starts_of(cells)
        layouts.append((layout.edges, starts))
        counted.append(sequential.padded(cells, starts))
    return layouts, sequential.ranks(np.stack(counted))


def window(layouts: list[Any], values: Any) -> Any:
    """`values` (streams, n): counts of the coarse cells."""
    found = []
    for (edges, starts), row in zip(layouts, np.sort(values, axis=1), strict=True):
        cells = np.diff(np.searchsorted(row, edges), prepend=0, append=len(row))
        found.append(sequential.padded(cells, starts))
    return np.stack(found)


def delay(streams: int, windows: int) -> None:
    """False alarms first (a stream looked at 40 times too), then delays of shifts."""
    promise = sequential.Promise(1_000.0, 1_000.0)
    for shape in SPREADS:
        random = np.random.default_rng(5)
        layouts, known = streams_of(random, shape, streams, 5_000)
        state, warned, paged, early = sequential.State.fresh(streams), 0, 0, np.zeros(streams, bool)
        for at in range(windows):
            state, seen = sequential.step(known, state, window(layouts, draw(random, shape, (streams, 500))), promise)
            warned, paged = warned + int(seen.warned.sum()), paged + int(seen.paged.sum())
            early |= seen.warned if at < 40 else False
        total = streams * windows
        print(
            f"{shape}: {total} null windows, {warned} warnings (stated {total / 1000:.0f}), {paged} pages (at most"
            f" {total / 1000:.0f}); warned within 40 looks {early.mean():.1%} (stated at most {40 / 1000:.1%})",
            flush=True,
        )
        for by in (0.05, 0.1, 0.2, 0.5):
            state = sequential.State.fresh(streams)
            for _ in range(20):
                state, _ = sequential.step(known, state, window(layouts, draw(random, shape, (streams, 500))), promise)
            first = {"warned": np.full(streams, 999), "paged": np.full(streams, 999)}
            for at in range(1, 41):
                moved = draw(random, shape, (streams, 500)) + by * SPREADS[shape]
                state, seen = sequential.step(known, state, window(layouts, moved), promise)
                for name, when in first.items():
                    when[(when == 999) & getattr(seen, name)] = at
            told = {name: f"{np.median(when):g} ({(when < 999).mean():.0%})" for name, when in first.items()}
            print(f"  {by} sd: median windows to a warning {told['warned']}, to a page {told['paged']}", flush=True)


def measured(command: list[str]) -> tuple[float, float, float, str]:
    """CPU seconds, wall seconds, peak MB, stdout. A small process starts the command: the peak of a process begins at
    that of its parent."""
    env = {**os.environ, "DO_NOT_TRACK": "1"}
    done = subprocess.run([sys.executable, "-S", "-c", LAUNCH, *command], capture_output=True, text=True, env=env)
    figures = json.loads(done.stderr.splitlines()[-1])
    out = done.stdout if figures["code"] in (0, 1) else done.stderr[-500:]
    return figures["cpu"], figures["wall"], figures["mb"], out


LAUNCH = """
import json, os, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu, wall = used.ru_utime + used.ru_stime, time.perf_counter() - began
figures = {"code": code, "cpu": cpu, "wall": wall, "mb": used.ru_maxrss / 1024}
print("\\n" + json.dumps(figures), file=sys.stderr)
"""


def speed(sizes: list[int], repeat: int, evidently: str, nannyml: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            files = [written(folder, size, 1), written(folder, size, 2, ("n00", "n13"), 0.1)]
            command = [sys.executable, "-m", "afterlaunch", "drift", "compare", *files]
            runs = {"ours": [*command, "--html", f"{folder}/report.html", "--json"]}
            if evidently:
                runs["Evidently"] = [
                    f"{evidently}/bin/python",
                    "-c",
                    EVIDENTLY_REPORT,
                    *files,
                    f"{folder}/evidently.html",
                ]
            if nannyml:
                runs["NannyML"] = [f"{nannyml}/bin/python", "-c", NANNYML_REPORT, *files]
            for name, command in runs.items():
                found = [measured(command) for _ in range(repeat if name == "ours" else 1)]
                cpu, wall, memory = (float(np.median([run[at] for run in found])) for at in range(3))
                print(f"speed {size} x 25, {name}: {cpu:.2f} CPU s, {wall:.2f} s, {memory:.0f} MB", flush=True)
                if name == "ours":
                    named = [one["name"] for one in json.loads(found[0][3])["columns"] if one["verdict"] == DRIFT]
                    print(f"  drifted: {named}", flush=True)
                elif not found[0][3].startswith("done"):
                    print(f"  {found[0][3]}", flush=True)
    features()


def features() -> None:
    before, now = columns(5_000, 1), columns(500, 2)
    pairs = pairs_of(before, now)
    arrays = {name: one if name in CATEGORIES else pa.array(one) for name, one in now.items()}
    took = []
    for _ in range(20):
        began = time.process_time()
        for name, (had, _) in pairs.items():
            fold_array(had.layout, arrays[name], 0)
        took.append(time.process_time() - began)
    print(f"window of 500 rows x 25 columns folded in {1000 * float(np.median(took)):.2f} ms")
    count = 10_000
    random = np.random.default_rng(3)
    known = sequential.ranks(random.multinomial(5_000, np.full(40, 1 / 40), count))
    state, counts = sequential.State.fresh(count), random.multinomial(500, np.full(40, 1 / 40), count)
    sequential.step(known, state, counts, sequential.Promise())
    began = time.process_time()
    for _ in range(3):
        state, _ = sequential.step(known, state, counts, sequential.Promise())
    print(f"{count} monitored features followed in {(time.process_time() - began) / 3:.3f} CPU s a window")
    verdicts()


FEATURES_A_SECOND = 10_000  # the bar


def verdicts(count: int = 1_000, repeat: int = 5) -> None:
    """Each with its tests, q-value, interval where it drifted, and sentence; every judging with profiles of its own, as
    they come from the database. One feature in ten drifted."""
    random = np.random.default_rng(1)
    taken = []
    for _ in range(repeat):
        pairs = {}
        for at in range(count):
            had, has = random.normal(size=5_000), random.normal(size=500) + 0.3 * (at % 10 == 0)
            layout = numeric_layout(had, had.min(), had.max())
            pairs[f"f{at}"] = fold_array(layout, pa.array(had), 0), fold_array(layout, pa.array(has), 0)
        began = time.process_time()
        judged = judge(pairs, Limits())
        taken.append(time.process_time() - began)
        assert len(judged) == count
    each = np.array(taken) / count
    print(
        f"{count} whole verdicts, one in ten of drift: {1 / np.median(each):,.0f} features judged a second and core,"
        f" {1e6 * np.median(each):.0f} us each, {1e6 * each.min():.0f} to {1e6 * each.max():.0f} in {repeat} runs"
        f" (bar: {FEATURES_A_SECOND:,}, {1e6 / FEATURES_A_SECOND:.0f} us)"
    )


TABLES = """
import json, sys
import warnings
warnings.filterwarnings("ignore")
import pandas as pd
files = sys.argv[1:]
before, now = pd.read_parquet(files[0]), pd.read_parquet(files[1])
numbers = [name for name in before if name[0] == "n"]
words = [name for name in before if name[0] == "c"]
"""
EVIDENTLY_REPORT = (
    TABLES
    + """
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
kinds = DataDefinition(numerical_columns=numbers, categorical_columns=words)
done = Report([DataDriftPreset()]).run(*(Dataset.from_pandas(one, data_definition=kinds) for one in (now, before)))
if files[2:]:
    done.save_html(files[2])
print("done", done.dict()["metrics"][0]["value"]["count"])
"""
)
NANNYML_REPORT = (
    TABLES
    + """
import nannyml
methods = dict(
    continuous_methods=["kolmogorov_smirnov", "jensen_shannon"], categorical_methods=["chi2", "jensen_shannon"]
)
calculator = nannyml.UnivariateDriftCalculator(column_names=list(before), chunk_number=10, **methods)
calculator.fit(before)
calculator.calculate(now).to_df()
print("done")
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("null", "delay", "speed", "features"))
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--windows", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--evidently", default="", help="a virtual environment that has it")
    parser.add_argument("--nannyml", default="", help="a virtual environment that has it")
    asked = parser.parse_args()
    if asked.what == "null":
        null(asked.sizes or [500, 1001, 5000, 50_000], asked.pairs, asked.evidently)
    elif asked.what == "delay":
        delay(asked.streams, asked.windows)
    elif asked.what == "features":
        features()
    else:
        speed(asked.sizes or [200_000], asked.repeat, asked.evidently, asked.nannyml)


if __name__ == "__main__":
    main()
