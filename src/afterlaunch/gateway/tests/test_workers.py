"""Several workers behind one port, as their process runs them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from afterlaunch.contracts.budgets import Budget
from afterlaunch.contracts.handling import Limits
from afterlaunch.contracts.snapshot import Snapshot, seal
from afterlaunch.gateway.spending.store import Store
from afterlaunch.gateway.tests.house import SHARED, Canned, House, Provider, running, snapshot_of, until
from afterlaunch.gateway.tests.test_forwarding import ANSWER, call

pytestmark = pytest.mark.process


@contextmanager
def workers(folder: Path, snapshot: Snapshot, count: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    kept = folder / "gateway" / "snapshots"
    kept.mkdir(parents=True)
    (kept / "snapshot-000000000001.json").write_bytes(seal(snapshot, SHARED))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "AFTERLAUNCH_DATA": str(folder),
        "AFTERLAUNCH_GATEWAY_KEY": SHARED.decode(),
        "AFTERLAUNCH_GATEWAY_TOKEN": "t",
        "AFTERLAUNCH_GATEWAY_SERVER": "http://127.0.0.1:1",
        "AFTERLAUNCH_GATEWAY_DRAIN_SECONDS": "2",
        "PROVIDER_SECRET": "sk-of-the-house",
    }
    command = [sys.executable, "-m", "afterlaunch", "serve", "gateway", "--port", str(port), "--workers", str(count)]
    process = subprocess.Popen(command, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _ready(url), 60)
        yield process, url
    finally:
        process.terminate()
        assert process.wait(20) == 0


def _ready(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(f"{url}/readyz", timeout=2).status == 200)
    except OSError:
        return False


def _count(url: str, name: str) -> int:
    text = urllib.request.urlopen(f"{url}/metrics", timeout=5).read().decode()
    return sum(int(found) for found in re.findall(rf"^afterlaunch_gateway_{name}{{.*}} (\d+)$", text, re.MULTILINE))


def test_they_share_port_limits_budgets_and_counts_and_are_replaced(tmp_path: Path) -> None:
    provider = Provider()
    provider.answer = lambda _: Canned([ANSWER])
    with running(provider) as upstream:
        made = snapshot_of(upstream)
        keys = tuple(replace(key, limits=Limits(requests=40)) for key in made.keys)
        budget = Budget("b1", "All", {}, "requests", 25, "month")
        with workers(tmp_path, replace(made, keys=keys, budgets=(budget,)), 3) as (process, url):
            house = House(url, provider, upstream, None, None)  # type: ignore[arg-type]
            found = [call(house)[0] for _ in range(30)]
            assert (found.count(200), found.count(429)) == (25, 5)
            assert [call(house)[1]["afterlaunch-reason"] for _ in range(12)].count("key-requests-limit") == 2
            with closing(Store(tmp_path / "gateway" / "budgets.sqlite3")) as store:
                until(lambda: store.changed(0)[0]["used"] == 25)
                assert store.check() == []
            until(lambda: _count(url, "calls_total") == 25, 5)
            children = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
            ).stdout.split()
            assert len(children) == 3
            time.sleep(1.5)  # counts are shared once a second
            for child in children:
                os.kill(int(child), signal.SIGKILL)
            until(lambda: _ready(url), 20)
            until(lambda: _count(url, "calls_total") == 25, 10)
