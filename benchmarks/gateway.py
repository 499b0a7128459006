"""The gateway beside nginx in one run, with key, route, cohort, metering and telemetry switched on.

    python benchmarks/gateway.py [--harness FOLDER] [--rounds 3] [--seconds 2]

Wraps the side-by-side harness (`bench.py`, a fake provider, wrk, nginx) found in `<shared>/bench/gateway`. The gateway
runs with a signed snapshot and sends its spans to a receiver that is a process of its own, so that the CPU per request
is all that the gateway costs and nothing else. Prints the table and the ratio to nginx; exit 1 above ten.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
KEY, SHARED = "al_bench_secret", b"key of the benchmark"
PORTS = {"ours": 9390, "upstream": 9391, "sink": 9392}
BAR = 10.0


def serve(port: int, upstream: str) -> None:
    """One gateway over one upstream, half of the units on the candidate."""
    from afterlaunch.contracts.snapshot import Arm, Key, Route, Snapshot, Upstream, key_digest, seal
    from afterlaunch.gateway import serve as gateway
    from afterlaunch.ground.settings import reload

    folder = Path(tempfile.mkdtemp(prefix="al-bench-"))
    os.environ["BENCH_SECRET"] = "sk-test"
    arms = (Arm("baseline", "fake"), Arm("candidate", "fake", prompt_version="p2", change=1))
    route = Route("bench", "acme", "bench", "prod", arms, share=5_000, salt="s", unit=("session", "key"))
    key = Key("bench", key_digest("secret", SHARED), "acme", ("bench",))
    upstreams = (Upstream("fake", upstream, "openai", "env:BENCH_SECRET"),)
    made = Snapshot(1, "2026-01-01T00:00:00+00:00", upstreams, (route,), (key,))
    kept = folder / "gateway" / "snapshots"
    kept.mkdir(parents=True)
    (kept / "snapshot-000000000001.json").write_bytes(seal(made, SHARED))
    os.environ |= {
        "AFTERLAUNCH_DATA": str(folder),
        "AFTERLAUNCH_GATEWAY_KEY": SHARED.decode(),
        "AFTERLAUNCH_GATEWAY_TOKEN": "bench",
        "AFTERLAUNCH_GATEWAY_SERVER": f"http://127.0.0.1:{PORTS['sink']}",
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


def run(harness: Path, rounds: int, seconds: int) -> int:
    with tempfile.TemporaryDirectory(prefix="al-harness-") as copy:
        shutil.copytree(harness, copy, dirs_exist_ok=True)
        for folder, _, names in os.walk(copy):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                os.chmod(path, 0o755)
        sink = subprocess.Popen([sys.executable, __file__, "sink"])
        ours = f"{sys.executable} {Path(__file__).resolve()} serve {{port}} {{upstream}}"
        command = [sys.executable, "bench.py", "--targets", "direct,nginx,ours", "--ours", ours]
        command += ["--ours-header", f"authorization: Bearer {KEY}", "--rounds", str(rounds), "--seconds", str(seconds)]
        command += ["--port", str(PORTS["ours"]), "--upstream-port", str(PORTS["upstream"])]
        try:
            done = subprocess.run(command, cwd=copy, check=False)
            table = (Path(copy) / "run" / "table.md").read_text() if done.returncode == 0 else ""
        finally:
            sink.terminate()
            sink.wait(10)
    found = re.search(r"^\| ours (?:\|[^|]*){4}\| *([\d.]+) *\|", table, re.MULTILINE)
    if found is None:
        print("the harness gave no figure", file=sys.stderr)
        return 1
    ratio = float(found[1])
    print(json.dumps({"cpu_ratio_to_nginx": ratio, "bar": BAR, "reached": ratio <= BAR}))
    return 0 if ratio <= BAR else 1


def main() -> int:
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), sys.argv[3])
        return 0
    if sys.argv[1:2] == ["sink"]:
        ThreadingHTTPServer(("127.0.0.1", PORTS["sink"]), Sink).serve_forever()
    from tests.real_input import shared

    place = shared()
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--harness", type=Path, default=place / "bench" / "gateway" if place else None)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=2)
    asked = options.parse_args()
    missing = [tool for tool in ("wrk", "nginx", "taskset") if shutil.which(tool) is None]
    if asked.harness is None or not asked.harness.exists() or missing:
        print(f"not run: harness {asked.harness}, missing tools {missing}", file=sys.stderr)
        return 2
    return run(asked.harness, asked.rounds, asked.seconds)


if __name__ == "__main__":
    raise SystemExit(main())
