"""How many wrong cells of dirty tables a contract finds that was inferred from the dirty table itself.

    python benchmarks/dirty_tables.py [FOLDER]

FOLDER (default `<shared>/data/dirty-tables`) holds NAME_dirty.csv and NAME_errors.csv (row from 0, column). Prints
precision, recall and F1 of the cells, the same by rule, and the seconds taken.
"""

from __future__ import annotations

import csv
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
from tests.real_input import shared

from afterlaunch.data_contracts.checking import Check
from afterlaunch.data_contracts.contract import read, write
from afterlaunch.data_contracts.inference import infer
from afterlaunch.data_contracts.tables import Text

Cells = set[tuple[int, str]]


def told(found: Cells, wrong: Cells) -> str:
    hits = len(found & wrong)
    precision = hits / len(found) if found else 0.0
    recall = hits / len(wrong) if wrong else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return f"{len(found):7,} found  precision {precision:.4f}  recall {recall:.4f}  F1 {f1:.4f}"


def main() -> int:
    default = (shared() or Path("shared")) / "data" / "dirty-tables"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    tables = sorted(folder.glob("*_dirty.csv"))
    for path in tables:
        name = path.name.removesuffix("_dirty.csv")
        with (folder / f"{name}_errors.csv").open(encoding="utf-8") as file:
            wrong = {(int(one["row"]), one["column"]) for one in csv.DictReader(file)}
        began = time.perf_counter()
        table = Text(path)
        contract = read(write(infer(table, name, "benchmark")))
        by_rule: defaultdict[str, Cells] = defaultdict(set)
        for cell in Check(table, contract, datetime.now(UTC)).cells():
            by_rule[cell.rule].add((cell.row, cell.column))
        took = time.perf_counter() - began
        found: Cells = set().union(*by_rule.values())
        print(f"{name:12} {told(found, wrong)}  of {len(wrong):,} wrong cells, {took:.1f} s")
        for rule, cells in sorted(by_rule.items()):
            print(f"  {rule:10} {told(cells, wrong)}")
    return 0 if tables else 1


if __name__ == "__main__":
    raise SystemExit(main())
