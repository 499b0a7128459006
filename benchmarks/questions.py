"""How long operators' questions take over 0.1, 1 and 10 million stored spans, beside an ingest that goes on.

    python benchmarks/questions.py [--harness FOLDER] [--spans 100000,1000000,10000000] [--data FOLDER]

Needs the span generator (`gen_spans.py`) in `<shared>/bench/telemetry` with its requirements. The generator's spans are
mapped once and stored again and again under new ids, in order of time over 30 days. Every question is asked 7 times
with a window that differs by a minute, so that no answer is a remembered one; the median counts. The floor printed
beside it is one look of DuckDB at a single column of the same table. At each size the server is started on that data
twice (first it makes its database); what counts is how long it then takes to answer. Exit 1 when a question takes
longer than its bar at the largest size, or the server more than two seconds.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tests.real_input import shared

from afterlaunch.ground import clock
from afterlaunch.telemetry import queries, records, store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.pieces import MAX_ROWS

END = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 30
ROWS, A_BODY = MAX_ROWS, 512  # spans of a full commit, and of a body
BESIDE = 2_048
START_SECONDS = 2.0
PORT = 9295


def bodies_of(harness: Path) -> list[bytes]:
    """OTLP bodies of 512 spans, whole traces."""
    with tempfile.TemporaryDirectory(prefix="al-bench-") as folder:
        file = Path(folder) / "bodies.bin"
        many = str(2 * ROWS // A_BODY)
        command = [sys.executable, str(harness / "gen_spans.py"), "--bodies", many, "--dialect", "both"]
        subprocess.run([*command, "--out", str(file)], check=True, stdout=subprocess.DEVNULL)
        data, bodies, at = file.read_bytes(), [], 0
        while at < len(data):
            (size,) = struct.unpack_from("<I", data, at)
            bodies.append(data[at + 4 : at + 4 + size])
            at += 4 + size
    return bodies


def templates(bodies: list[bytes]) -> list[Any]:
    """Mapped spans, a commit of them a table."""
    tables, many = [normalise(body, "application/x-protobuf", None, 0).table for body in bodies], ROWS // A_BODY
    return [pa.concat_tables(tables[n : n + many]).combine_chunks() for n in range(0, len(tables), many)]


def another(table: Any, begin_ns: int, length_ns: int, draw: np.random.Generator) -> Any:
    """The same spans under new ids, with starts in [begin, begin + length)."""
    count = table.num_rows

    def renewed(name: str, width: int, secret: int) -> Any:
        column = table[name].combine_chunks()
        words = np.frombuffer(column.buffers()[1], np.uint64)[: count * width // 8] ^ np.uint64(secret)
        raw = pa.py_buffer(np.ascontiguousarray(words))
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [column.buffers()[0], raw])

    secret = int(draw.integers(1, 2**62))
    out = table
    for name, width in (("trace_id", 16), ("span_id", 8), ("parent_span_id", 8)):
        out = out.set_column(out.schema.get_field_index(name), name, renewed(name, width, secret))
    starts = np.sort(draw.integers(begin_ns, begin_ns + length_ns, count))
    answers = pc.binary_join_element_wise(table["response_id"], f"{secret:x}", "-")
    out = out.set_column(out.schema.get_field_index("response_id"), "response_id", answers)
    return out.set_column(out.schema.get_field_index("start_ns"), "start_ns", pa.array(starts))


def fill(kept: store.Store, tables: list[Any], have: int, want: int, most: int) -> float:
    """Add spans until `want` are stored; returns the CPU seconds a span took."""
    draw = np.random.default_rng(have)
    whole = DAYS * 86_400 * 10**9
    began, stored = time.process_time(), 0
    for number in range(have // ROWS, want // ROWS):
        # Each size covers all of the 30 days: the later, the denser.
        begin = clock.to_ns(END) - whole + int(whole * (number * ROWS - have) / (want - have))
        length = max(10**9, int(whole * ROWS / (want - have)))
        stored += kept.commit([another(tables[number % len(tables)], begin, length, draw)])[0]
        if number % 30 == 29:
            kept.upkeep(clock.to_ns(END + timedelta(days=2)))
            print(f"  {have + stored:,} of {most:,}", file=sys.stderr)
    return (time.process_time() - began) / max(stored, 1)


class Ingest:
    """Commits 2,048 spans ten times a second, until it is left."""

    def __init__(self, kept: store.Store, tables: list[Any]) -> None:
        self._kept, self._tables, self._over = kept, tables, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.spans = 0

    def _run(self) -> None:
        draw, began = np.random.default_rng(), time.monotonic()
        while not self._over.wait(0.1):
            now = clock.to_ns(END) + int((time.monotonic() - began) * 10**9)
            table = another(random.choice(self._tables).slice(0, BESIDE), now, 10**8, draw)
            self.spans += self._kept.commit([table])[0]

    def __enter__(self) -> Ingest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def questions(kept: store.Store) -> list[tuple[str, float, Callable[[timedelta], Any]]]:
    """(name, bar in ms, what asks it with its window moved by so much)."""
    start = END - timedelta(days=DAYS)
    some = "cityHash64(span_id) % 1007 = 3" if kept.engine.shared else "seq % 10007 = 3"
    spread = kept.query(f"select trace_id from spans where {some} limit 64")
    traces = iter([row["trace_id"].hex() for row in spread] * 4)

    def by(*names: str) -> Callable[[timedelta], Any]:
        return lambda more: queries.windows(start + more, END, list(names))

    def every(minutes: int, days: int) -> Callable[[timedelta], Any]:
        """As charts ask: from a whole step on."""
        whole = int((END - timedelta(days=days)).timestamp()) // 60 // minutes * minutes
        first = datetime.fromtimestamp(whole * 60, UTC)
        return lambda more: queries.series(first - more * minutes, END, minutes)

    def page(**equals: str) -> Callable[[timedelta], Any]:
        return lambda more: records.calls(start, END - more, None, 51, None, None, **equals)

    return [
        ("month: totals and percentiles by model", 100, by("model")),
        ("month: by tenant", 100, by("tenant")),
        ("month: by agent, route and model", 100, by("agent", "route", "model")),
        (
            "month: one tenant by model",
            100,
            lambda more: queries.windows(start + more, END, ["model"], tenant="tenant-7"),
        ),
        ("month: every day", 100, every(1_440, DAYS)),
        ("week: every three hours", 500, every(180, 7)),
        ("day: by model", 100, lambda more: queries.windows(END - timedelta(days=1) + more, END, ["model"])),
        ("trace by id", 50, lambda more: records.trace(next(traces))),
        ("calls: newest 51", 200, page()),
        ("calls: newest 51 of a tenant and a model", 200, page(tenant="tenant-7", model="gpt-4o-2024-08-06")),
        (
            "calls: newest 51 of an agent, 20 days back",
            200,
            lambda more: page(agent="coder")(more + timedelta(days=20)),
        ),
    ]


def measured(ask: Callable[[timedelta], Any]) -> float:
    times = []
    for number in range(7):
        began = time.perf_counter()
        ask(timedelta(minutes=number))
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def one_look(kept: store.Store, more: timedelta) -> None:
    kept.query("select sum(duration_ns)::hugeint from spans where start_ns >= ?", [more.seconds])


def started_in(folder: Path) -> float:
    """Seconds from the command to the server's first answer."""
    command = [sys.executable, "-m", "afterlaunch", "up", "--no-gateway", f"--data={folder}", f"--port={PORT}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    for _ in range(2):
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        try:
            while not answers():
                if process.poll() is not None:
                    raise SystemExit(f"the server ended with {process.returncode}")
                time.sleep(0.01)
            took = time.perf_counter() - began
        finally:
            process.terminate()
            process.wait(60)
    return took


def answers() -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5).status == 200)
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness", type=Path, default=(shared() or Path()) / "bench" / "telemetry")
    parser.add_argument("--spans", default="100000,1000000,10000000")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    sizes = [int(size) for size in given.spans.split(",")]
    tables = templates(bodies_of(given.harness))
    late = []
    with tempfile.TemporaryDirectory(prefix="al-bench-") as name:
        file = (given.data or Path(name)) / "telemetry.duckdb"
        for size in sizes:
            kept = store.open_store(file)
            have = records.total_spans()
            spent = fill(kept, tables, have, size, sizes[-1])
            kept.upkeep(clock.to_ns(END + timedelta(days=2)))
            floor = measured(partial(one_look, kept))
            print(f"\n{records.total_spans():,} spans, each {spent * 1e6:.1f} µs of CPU; one look {floor:.0f} ms")
            asked = questions(kept)
            with Ingest(kept, tables) as beside:
                for what, bar, ask in asked:
                    took = measured(ask)
                    late += [what] if size == sizes[-1] and took > bar else []
                    print(f"  {what:45s} {took:8.1f} ms   {took / floor:6.2f} looks   bar {bar:.0f}")
            print(f"  beside them {beside.spans:,} spans came in")
            store.close_store()
            took = started_in(file.parent)
            late += ["start"] if size == sizes[-1] and took > START_SECONDS else []
            print(f"  started in {took:.2f} s; {file.stat().st_size / size:.0f} B a span")
    print("too slow: " + ", ".join(late) if late else "all within their bars")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
