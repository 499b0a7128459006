"""The gateway beside nginx in one run, with all that a paying installation switches on.

    python benchmarks/gateway.py [--with budgets] [--harness FOLDER] [--rounds 3] [--seconds 2] [--port 9390]

`--with` says what is on beside key, route, cohort, metering and telemetry: `nothing`; `budgets`, the default: a hard
and a soft budget, and callers that name tenant, user and session; `guard`: two policies on every request, too.

Wraps the side-by-side harness (`bench.py`, a fake provider, wrk, nginx) found in `<shared>/bench/gateway`. The gateway
runs with a signed snapshot and sends its spans to a receiver that is a process of its own, so that the CPU per request
is all that the gateway costs and nothing else. CPU is user and system time of the process as /proc tells it; the order
of the targets turns with every round, since nobody's minute is like another's. Prints the table, and as JSON the
medians: CPU per request of both, their ratio, and the latency added to a direct call, p50 and p99, at one caller and at
sixteen; exit 1 above the bar of eight. Uses three ports from `--port` on.

Measured with `budgets` on 2 idle cores: 114 to 158 microseconds a call, 5.2 to 8.1 times nginx (19 to 22); 37 to 40 an
event that comes alone (nginx 20), 13 where events of a stream come together; 242 to 272 microseconds added at one
caller (nginx 150 to 171); 63 MB. Instructions of a call without its sockets, which no neighbour moves: 453,000; of an
event of a stream 38,000. At sixteen callers a call takes two reads, two writes and 0.3 writes of pages: nothing of that
can go, but what one turn of the loop writes goes out together, and wakes each peer once. The profile is flat, some 165
frames of Python. The next factor is fewer of them; compiled modules bring a twentieth.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
KEY, SHARED = "al_bench_secret", b"key of the benchmark"
ON = ("nothing", "budgets", "guard")
ATTRIBUTION = {"afterlaunch-tenant": "t1", "afterlaunch-user": "u7", "afterlaunch-session": "s9"}
BAR = 8.0  # times nginx


def serve(port: int, upstream: str, sink: int, on: str) -> None:
    """One gateway over one upstream, half of the units on the candidate."""
    from afterlaunch.contracts.budgets import Budget
    from afterlaunch.contracts.guard import Policy
    from afterlaunch.contracts.guard_checks import Check
    from afterlaunch.contracts.snapshot import Arm, Key, Route, Snapshot, Upstream, key_digest, seal
    from afterlaunch.gateway import serve as gateway
    from afterlaunch.ground.settings import reload

    folder = Path(tempfile.mkdtemp(prefix="al-bench-"))
    os.environ["BENCH_SECRET"] = "sk-test"
    arms = (Arm("baseline", "fake"), Arm("candidate", "fake", prompt_version="p2", change=1))
    models, terms = Check("models", names=("fake",)), Check("terms", terms=("project blue", "project red"))
    checks = (models, terms)
    policies = tuple(Policy(one.kind, one.kind, "request", one, "deny", "closed") for one in checks)
    budgets = (
        Budget("hard", "All of it", {"client": "acme"}, "tokens", 1 << 50, "month"),
        Budget("soft", "Each tenant", {"tenant": "*"}, "tokens", 1 << 50, "day", mode="soft"),
    )
    route = Route(
        "bench",
        "acme",
        "bench",
        "prod",
        arms,
        share=5_000,
        salt="s",
        unit=("session", "key"),
        guard=policies if on == "guard" else (),
    )
    key = Key("bench", key_digest("secret", SHARED), "acme", ("bench",))
    upstreams = (Upstream("fake", upstream, "openai", "env:BENCH_SECRET"),)
    made = Snapshot(
        1, "2026-01-01T00:00:00+00:00", upstreams, (route,), (key,), budgets=() if on == "nothing" else budgets
    )
    kept = folder / "gateway" / "snapshots"
    kept.mkdir(parents=True)
    (kept / "snapshot-000000000001.json").write_bytes(seal(made, SHARED))
    os.environ |= {
        "AFTERLAUNCH_DATA": str(folder),
        "AFTERLAUNCH_GATEWAY_KEY": SHARED.decode(),
        "AFTERLAUNCH_GATEWAY_TOKEN": "bench",
        "AFTERLAUNCH_GATEWAY_SERVER": f"http://127.0.0.1:{sink}",
    }
    reload()
    gateway.main("127.0.0.1", port)


class Sink(BaseHTTPRequestHandler):
    """Takes spans, has no newer configuration, and says how many bytes of spans came."""

    protocol_version = "HTTP/1.1"
    taken = 0

    def do_POST(self) -> None:
        Sink.taken += len(self.rfile.read(int(self.headers["content-length"])))
        self._say(200, b"")

    def do_GET(self) -> None:
        taken = self.path == "/taken"
        self._say(200 if taken else 204, str(Sink.taken).encode() if taken else b"")

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


Row = dict[str, Any]


def run(harness: Path, rounds: int, seconds: int, port: int, on: str) -> int:
    with tempfile.TemporaryDirectory(prefix="al-harness-") as copy:
        shutil.copytree(harness, copy, dirs_exist_ok=True)
        for folder, _, names in os.walk(copy):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                os.chmod(path, 0o755)
        sink = subprocess.Popen([sys.executable, __file__, "sink", str(port + 2)])
        ours = f"{sys.executable} {Path(__file__).resolve()} serve {{port}} {{upstream}} {port + 2} {on}"
        told = {"authorization": f"Bearer {KEY}"} | ({} if on == "nothing" else ATTRIBUTION)
        command = [sys.executable, "bench.py", "--targets", "direct,nginx,ours", "--ours", ours]
        command += [word for name, value in told.items() for word in ("--ours-header", f"{name}: {value}")]
        command += ["--rounds", str(rounds), "--seconds", str(seconds)]
        command += ["--port", str(port), "--upstream-port", str(port + 1)]
        try:
            done = subprocess.run(command, cwd=copy, check=False)
            kept = Path(copy) / "run" / "results.jsonl"
            rows = [json.loads(line) for line in kept.read_text().splitlines()] if done.returncode == 0 else []
        finally:
            sink.terminate()
            sink.wait(10)
    failed = [row for row in rows if row.get("fail") or row.get("err") or row.get("err_status") or row.get("err_sock")]
    if not rows or failed:
        print(f"no figure: {len(failed)} cells failed, {failed[:1]}", file=sys.stderr)
        return 1
    told = {"on": on, **figures(rows)}
    print(json.dumps(told))
    return 0 if told["reached"] else 1


def figures(rows: list[Row]) -> Row:
    """CPU is the lower of sixteen and sixty-four callers, as the harness has it. Times in microseconds."""

    def middle(target: str, callers: int, what: str) -> float:
        return median(r[what] for r in rows if (r["target"], r["kind"], r["c"]) == (target, "json", callers))

    cpu = {name: min(middle(name, callers, "cpu_us_req") for callers in (16, 64)) for name in ("nginx", "ours")}
    ratio = cpu["ours"] / cpu["nginx"]
    added = {
        f"{name}_added_{what}_us_c{callers}": middle(name, callers, f"{what}_us")
        - middle("direct", callers, f"{what}_us")
        for name in cpu
        for callers in (1, 16)
        for what in ("p50", "p99")
    }
    rounds = len({row["round"] for row in rows})
    said = {"cpu_us_per_request": cpu["ours"], "nginx_cpu_us_per_request": cpu["nginx"], "rounds": rounds}
    return {"cpu_ratio_to_nginx": round(ratio, 1), **said, **added, "bar": BAR, "reached": ratio <= BAR}


def main() -> int:
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
        return 0
    if sys.argv[1:2] == ["sink"]:
        ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Sink).serve_forever()
    from tests.real_input import shared

    place = shared()
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--harness", type=Path, default=place / "bench" / "gateway" if place else None)
    options.add_argument("--with", dest="on", choices=ON, default="budgets")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=2)
    options.add_argument("--port", type=int, default=9390)
    asked = options.parse_args()
    missing = [tool for tool in ("wrk", "nginx", "taskset") if shutil.which(tool) is None]
    if asked.harness is None or not asked.harness.exists() or missing:
        print(f"not run: harness {asked.harness}, missing tools {missing}", file=sys.stderr)
        return 2
    return run(asked.harness, asked.rounds, asked.seconds, asked.port, asked.on)


if __name__ == "__main__":
    raise SystemExit(main())
