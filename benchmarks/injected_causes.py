"""How often the cause is ranked first when a fault is put into the metrics of a healthy application, at every component
in turn: a test of the ranking on a real call graph with real noise, where the cause is not always the same service.

    python benchmarks/injected_causes.py [FOLDER]

FOLDER (default `<shared>/data/petshop-rca`) holds folders with `graph.csv` and `noissue/metrics.csv.gz`. Each component
that the target reaches, with at least 2 % of its calls, gets slower (or fails) for half an hour; all that call it,
directly or not, get its seconds (or failures) too, in proportion to their calls. Exit 1 below 90 % first, or without
data.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import numpy as np
from tests.real_input import shared

from afterlaunch.diagnosis.blame import Case, Floats, Measured, blame
from afterlaunch.diagnosis.cases import call_matrix, metrics_in

TARGET, STEP, BINS, BEFORE, TRIALS = "PetSite", 300.0, 6, 36, 4
SIZES = {"latency": (0.3, 1.0, 3.0), "availability": (0.02, 0.05, 0.2)}
"""Of the target's mean latency; of its calls."""


def reached(graph: Mapping[str, tuple[str, ...]], known: Mapping[str, Measured]) -> set[str]:
    found, todo = {TARGET}, [TARGET]
    while todo:
        for one in graph.get(todo.pop(), ()):
            if one in known and one not in found:
                found.add(one)
                todo.append(one)
    return found


def spread(
    cause: str, amount: Floats, callers: Mapping[str, list[str]], rate: Mapping[str, float]
) -> dict[str, Floats]:
    """Component -> what it has more of: its own, or what it waits for."""
    out: dict[str, Floats] = {}
    todo = [(cause, amount)]
    for _ in range(200):  # a circle of calls ends
        if not todo:
            break
        name, part = todo.pop()
        out[name] = out.get(name, 0) + part
        above = [one for one in callers[name] if one != name]
        whole = sum(rate[one] for one in above) or 1
        todo += [(one, part * rate[one] / whole) for one in above]
    return out


def tried(folder: Path, measure: str, chance: np.random.Generator) -> dict[float, list[int]]:
    """Size of the fault -> [faults, cause first, cause among the first three]."""
    graph = call_matrix(folder / "graph.csv")
    times, healthy = metrics_in(folder / "noissue", measure)
    inside = reached(graph, healthy)
    callers: dict[str, list[str]] = defaultdict(list)
    for name in inside:
        for callee in set(graph.get(name, ())) & inside:
            callers[callee].append(name)
    rate = {name: float(healthy[name].calls.sum()) for name in inside}
    usual = float(healthy[TARGET].amount.sum()) / rate[TARGET] if measure == "latency" else 1.0
    found: dict[float, list[int]] = {size: [0, 0, 0] for size in SIZES[measure]}
    for cause in sorted(name for name in inside if rate[name] >= 0.02 * rate[TARGET]):
        for size in SIZES[measure]:
            for _ in range(TRIALS):
                start = int(chance.integers(12, len(times) - 8))
                during = slice(start, start + BINS)
                calls = healthy[cause].calls[during]
                if not calls.any():
                    continue  # nobody called it: nothing became worse
                more = np.zeros(len(times))
                share = calls / calls.mean() * chance.normal(1, 0.1, len(calls))
                more[during] = usual * size * healthy[TARGET].calls[during].mean() * share
                if measure == "availability":
                    more = np.minimum(np.round(more), healthy[cause].calls)
                extra = spread(cause, more, callers, rate)
                cut = slice(max(0, start - BEFORE), start + BINS + 2)
                parts = {
                    name: Measured(one.calls[cut], (one.amount + extra.get(name, 0))[cut])
                    for name, one in healthy.items()
                }
                case = Case(TARGET, measure, times[cut], STEP, float(times[start]), graph, parts, healthy)
                names = [row.component for row in blame(case).rows]
                row = found[size]
                row[0] += 1
                row[1] += names[0] == cause
                row[2] += cause in names[:3]
    return found


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else (shared() or Path("shared")) / "data" / "petshop-rca"
    chance = np.random.default_rng(7)
    whole = np.zeros(3, int)
    print(f"{'faults in':<36}{'tried':>7}{'first':>7}{'in 3':>6}")
    for place in sorted(one.parent for one in folder.glob("*/noissue")):
        for measure in SIZES:
            for size, row in tried(place, measure, chance).items():
                print(f"{f'{place.name}, {measure}, {size:g}':<36}{row[0]:>7}{row[1]:>7}{row[2]:>6}")
                whole += row
    if not whole[0]:
        print(f"no healthy metrics in {folder}")
        return 1
    print(f"{'all':<36}{whole[0]:>7}{whole[1]:>7}{whole[2]:>6}  first {whole[1] / whole[0]:.1%}")
    return 0 if whole[1] >= 0.9 * whole[0] else 1


if __name__ == "__main__":
    raise SystemExit(main())
