"""How often the cause is ranked first, and among the first three, over cases whose cause is known.

    python benchmarks/root_causes.py [FOLDER]

FOLDER (default `<shared>/data/petshop-rca`) holds folders with `target.json` and metrics at any depth, in the form
that `afterlaunch rca rank` reads; `target.json` names the cause as `root_cause.node`. The floor is a ranking by how
much each component deviates from before, without the call graph. Exit 1 when the graph does not help, or without a
case.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import orjson
from tests.real_input import shared

from afterlaunch.diagnosis.blame import blame
from afterlaunch.diagnosis.cases import read


def main() -> int:
    default = (shared() or Path("shared")) / "data" / "petshop-rca"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    hits: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    began = time.process_time()
    for goal in sorted(folder.rglob("target.json")):
        cause = orjson.loads(goal.read_bytes()).get("root_cause", {}).get("node")
        if not cause:
            continue
        case, _ = read(goal.parent)
        assert case is not None
        rows = blame(case).rows
        names = [row.component for row in rows]
        plain = [row.component for row in sorted(rows, key=lambda row: -row.deviation)]
        row = hits[f"{goal.parent.parent.parent.name}, {case.measure}"]
        row[0] += 1
        row[1] += names[:1] == [cause]
        row[2] += cause in names[:3]
        row[3] += plain[:1] == [cause]
        if names[:1] != [cause]:
            place = names.index(cause) + 1 if cause in names else None
            print(f"{goal.parent}: {cause} is {f'number {place}' if place else 'not reached'}; first is {names[:1]}")
    took = time.process_time() - began
    whole = [sum(row[place] for row in hits.values()) for place in range(4)]
    print(f"{'cases of':<32}{'cases':>6}{'first':>7}{'in 3':>6}{'floor: first':>14}")
    for name, row in [*hits.items(), ("all", whole)]:
        print(f"{name:<32}{row[0]:>6}{row[1]:>7}{row[2]:>6}{row[3]:>14}")
    cases, first, _, floor = whole
    if not cases:
        print(f"no case with a known cause in {folder}")
        return 1
    print(
        f"{took / cases * 1000:.0f} ms CPU a case; first {first / cases:.0%}, {first / max(floor, 1):.2f} x the floor"
    )
    return int(first < floor)


if __name__ == "__main__":
    sys.exit(main())
