"""Ingest beside MLflow in one run, on the same bodies, in turns.

    python benchmarks/ingest.py --mlflow VENV [--harness FOLDER] [--rounds 2] [--per-round 128]

Needs the harness (`side_by_side.py`, `gen_spans.py`) in `<shared>/bench/telemetry` with its requirements installed in
the Python that runs this, the floor (`columnar_decode.py`: a bare program that decodes, maps 15 fields, inserts) in
`<shared>/reference`, and a virtual environment that holds mlflow. Both servers start on empty stores and come to rest;
the floor runs before and after them on the same bodies. Prints what the harness says and the ratios, each beside its
bar; exit 1 where one is missed. Two bars are absolute, for an idle machine of two cores on which the floor takes 43
microseconds a span and MLflow stores 851 spans/s: on another, the ratios tell.

The harness looks twice a second whether all rows are stored, so that a round should take some seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
PORTS = {"ours": 9290, "mlflow": 9291}
IDLE = 0.2  # CPU seconds a second, of both together
WARM = 8  # MLflow's workers each need a first request
FASTER, SPANS_A_SECOND, MICROSECONDS, MEBIBYTES = 30.0, 25_000.0, 50.0, 572.0  # 600 MB
FLOOR_MICROSECONDS, PEER_MICROSECONDS = 43.0, 960.0  # where the bars come from


def start(command: list[str], ready: str, log: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")} if "afterlaunch" in command else dict(os.environ)
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    for _ in range(600):
        try:
            urllib.request.urlopen(ready, timeout=2).read()
            return process
        except urllib.error.HTTPError:
            return process
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.2)
    process.kill()
    raise SystemExit(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")


def settled(processes: list[subprocess.Popen[bytes]]) -> None:
    """MLflow's workers load for ten seconds of both cores after it says that it is well: nobody is measured beside."""
    import psutil  # of the harness' requirements

    trees = [psutil.Process(one.pid) for one in processes]

    def spent() -> float:
        times = [one.cpu_times() for tree in trees for one in (tree, *tree.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))

    quiet, before = 0, spent()
    for _ in range(60):
        time.sleep(1)
        now = spent()
        quiet, before = (quiet + 1 if now - before < IDLE else 0), now
        if quiet == 5:
            return
    raise SystemExit("The servers did not come to rest within a minute.")


def targets(folder: Path, mlflow: Path) -> tuple[list[dict[str, object]], list[subprocess.Popen[bytes]]]:
    """Start both; the harness is told where they listen and how their rows are counted."""
    ours, peer = (f"http://127.0.0.1:{port}" for port in PORTS.values())
    database = folder / "mlflow.db"
    store = ["--backend-store-uri", f"sqlite:///{database}", "--default-artifact-root", str(folder / "artifacts")]
    commands = (
        [
            sys.executable,
            "-m",
            "afterlaunch",
            "up",
            "--no-gateway",
            f"--data={folder / 'ours'}",
            f"--port={PORTS['ours']}",
        ],
        [str(mlflow / "bin" / "mlflow"), "server", *store, "--host", "127.0.0.1", "--port", str(PORTS["mlflow"])],
    )
    processes = [
        start(command, address + ready, folder / f"{name}.log")
        for command, address, ready, name in zip(
            commands, (ours, peer), ("/healthz", "/health"), ("ours", "mlflow"), strict=True
        )
    ]
    rows: list[dict[str, object]] = [
        {"name": "ours", "url": f"{ours}/v1/traces", "pid": processes[0].pid, "count_path": "total"}
        | {"count_url": f"{ours}/api/v1/telemetry/counts"},
        {"name": "mlflow", "url": f"{peer}/v1/traces", "pid": processes[1].pid}
        | {"headers": {"x-mlflow-experiment-id": "0"}, "sqlite": str(database), "sql": "select count(*) from spans"},
    ]
    return rows, processes


def floor_of(program: Path, bodies: Path) -> float:
    """Microseconds of CPU a span."""
    said = subprocess.run(
        [sys.executable, str(program), str(bodies)], check=True, capture_output=True, text=True
    ).stdout
    print(said.strip())
    return sum(float(part) for part in re.findall(r"(?:decode|map|rollup) ([0-9.]+)", said))


def run(harness: Path, mlflow: Path, rounds: int, per_round: int) -> tuple[list[dict[str, float]], float]:
    """(what the harness says of both, the floor)."""
    with tempfile.TemporaryDirectory(prefix="al-bench-") as name:
        folder = Path(name)
        bodies, count = folder / "bodies.bin", WARM + rounds * per_round
        generate = [sys.executable, str(harness / "gen_spans.py"), "--bodies", str(count), "--dialect", "both"]
        subprocess.run([*generate, "--out", str(bodies)], check=True, stdout=subprocess.DEVNULL)
        program = harness.parents[1] / "reference" / "columnar_decode.py"
        floors = [floor_of(program, bodies)]
        rows, processes = targets(folder, mlflow)
        try:
            settled(processes)
            (folder / "targets.json").write_text(json.dumps(rows))
            compare = [sys.executable, str(harness / "side_by_side.py"), str(folder / "targets.json")]
            compare += ["--bodies", str(bodies), "--per-round", str(per_round), "--rounds", str(rounds)]
            compare += ["--warm", str(WARM), "--out", str(folder / "results.jsonl")]
            said = subprocess.run(compare, check=True, capture_output=True, text=True).stdout
        finally:
            for process in processes:
                process.terminate()
                process.wait(60)
        floors.append(floor_of(program, bodies))
    print(said)
    return [json.loads(line) for line in said.splitlines()], statistics.mean(floors)


def main() -> int:
    from tests.real_input import shared

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlflow", type=Path, required=True)
    parser.add_argument("--harness", type=Path, default=(shared() or Path()) / "bench" / "telemetry")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--per-round", type=int, default=128)
    given = parser.parse_args()
    (ours, peer), floor = run(given.harness, given.mlflow, given.rounds, given.per_round)
    spans, spent = ours["persisted_spans_per_s"], ours["server_cpu_s_per_1k_spans"] * 1000
    figures = [
        ("persisted spans/s", spans, SPANS_A_SECOND, True),
        ("times MLflow's", spans / peer["persisted_spans_per_s"], FASTER, True),
        ("µs of CPU a span", spent, MICROSECONDS, False),
        ("times the floor's CPU", spent / floor, MICROSECONDS / FLOOR_MICROSECONDS, False),
        (
            "MLflow's CPU in ours",
            peer["server_cpu_s_per_1k_spans"] * 1000 / spent,
            PEER_MICROSECONDS / MICROSECONDS,
            True,
        ),
        ("MiB of memory", ours["server_peak_rss_mib"], MEBIBYTES, False),
    ]
    for name, value, bar, least in figures:
        print(f"{name:22s} {value:10,.2f}   at {'least' if least else 'most'} {bar:,.2f}")
    return 0 if all(value >= bar if least else value <= bar for _, value, bar, least in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
