"""What a span costs on each engine: CPU to take in, bytes on disk, time of operators' questions.

    python benchmarks/engines.py [--harness FOLDER] [--spans 65536] [--engine ENGINE] [--no-content] [--ask]

The same mapped spans (about 1.3 kB of OTLP each) go into DuckDB and into ClickHouse, in commits of 8,192, four hours of
them. `map`: CPU to read and map a span; `commit`: CPU of this process to store it; `server`: CPU of ClickHouse
meanwhile, its engine behind the HTTP interface of our tests; `merged`: and until all of its parts are merged to one.
Sizes are those after that; what ClickHouse's journal of commits holds for half an hour is told apart. Prints one JSON
line an engine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import numpy as np
import pyarrow as pa
from benchmarks.questions import END, another, bodies_of, measured, questions, templates
from tests.real_input import shared
from tests.tools import clickhouse

from afterlaunch.ground import clock
from afterlaunch.telemetry import store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.engines.clickhouse import ClickHouse
from afterlaunch.telemetry.keeping.retention import BY_NAME

ENGINES = ("duckdb", "clickhouse")
PROTOBUF = "application/x-protobuf"
COMMIT = 8_192
JOURNAL = ("commits", "claims", "ended")
SPAN = timedelta(hours=4)


def server_cpu() -> float:
    """Seconds, of the processes that this one has started."""
    total = 0
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        told = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        total += int(told[11]) + int(told[12])
    return total / os.sysconf("SC_CLK_TCK")


def mapping_cpu(bodies: list[bytes]) -> float:
    """Microseconds a span, once everything that repeats has been seen."""
    used = time.process_time()
    mapped = sum(normalise(body, PROTOBUF, None, 0).table.num_rows for body in bodies)
    return (time.process_time() - used) / mapped * 1e6


def fill(kept: store.Store, tables: list[Any], wanted: int) -> dict[str, float]:
    """The first commit, which reads what the process will know, is not counted."""
    draw, cpu, server, wall = np.random.default_rng(1), 0.0, 0.0, 0.0
    step = int(SPAN.total_seconds() * 1e9 * COMMIT / wanted)
    begin = clock.to_ns(END - SPAN)
    for number in range(wanted // COMMIT + 1):
        some = [another(tables[(number * 4 + n) % len(tables)], begin, step, draw) for n in range(COMMIT // 2048)]
        used, away, at = time.process_time(), server_cpu(), time.perf_counter()
        kept.commit([pa.concat_tables(some)])
        if number:
            cpu, wall = cpu + time.process_time() - used, wall + time.perf_counter() - at
            server += server_cpu() - away
        begin += step
    counted = number * COMMIT
    told = {"commit": cpu / counted * 1e6, "server": server / counted * 1e6, "spans_per_second": counted / wall}
    return {"spans": counted + COMMIT, **told}


def sizes(kept: store.Store, spans: float) -> dict[str, Any]:
    engine = kept.engine
    if isinstance(engine, ClickHouse):
        for name in engine.bytes_by_table():
            engine._command(f"optimize table {engine.site.database}.{name} final")
    else:
        kept.query("checkpoint")
    by_table = engine.bytes_by_table()
    journal = sum(by_table.pop(name, 0) for name in JOURNAL)
    used = engine.bytes_used() - engine.bytes_free() - journal
    by_size = sorted(by_table.items(), key=lambda one: -one[1])
    told = {"bytes_per_span": used / spans, "journal_bytes_per_span": journal / spans}
    return told | {"tables": {name: round(size / spans, 1) for name, size in by_size if size}}


def without_content(table: Any) -> Any:
    """What `capture: off` leaves."""
    columns = BY_NAME["content"].columns
    fields = {name: table.schema.field(name).type for name in columns}
    for name, kind in fields.items():
        empty = pa.nulls(table.num_rows, kind)
        table = table.set_column(table.schema.get_field_index(name), name, empty)
    return table


def main() -> int:
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("--harness", type=Path, default=(shared() or Path()) / "bench" / "telemetry")
    told.add_argument("--spans", type=int, default=65_536)
    told.add_argument("--engine", choices=ENGINES)
    told.add_argument("--no-content", action="store_true")
    told.add_argument("--ask", action="store_true", help="time operators' questions as well")
    given = told.parse_args()
    bodies = bodies_of(given.harness)
    tables = templates(bodies)
    tables = [without_content(one) for one in tables] if given.no_content else tables
    mapped = mapping_cpu(bodies)
    for name in ENGINES:
        if given.engine not in (None, name):
            continue
        with place_of(name) as where:
            kept = store.open_store(where)
            try:
                figures: dict[str, Any] = {"engine": name, "cores": os.cpu_count(), "map": mapped}
                figures |= fill(kept, tables, given.spans)
                kept.upkeep(clock.to_ns(END + timedelta(days=1)))
                began = server_cpu()
                figures |= sizes(kept, figures["spans"])
                figures["merged"] = figures["server"] + (server_cpu() - began) / figures["spans"] * 1e6
                if given.ask:
                    figures["ms"] = {what: round(measured(ask), 1) for what, _, ask in questions(kept)}
            finally:
                store.close_store()
        print(json.dumps({key: round(one, 1) if isinstance(one, float) else one for key, one in figures.items()}))
    return 0


@contextmanager
def place_of(engine: str) -> Iterator[Path | str]:
    if engine == "clickhouse":
        with clickhouse.running() as address:
            yield address
        return
    with tempfile.TemporaryDirectory(prefix="al-engines-") as folder:
        yield Path(folder) / "telemetry.duckdb"


if __name__ == "__main__":
    raise SystemExit(main())
