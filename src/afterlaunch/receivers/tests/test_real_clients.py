"""Prometheus, Alertmanager and amtool as Debian packages them, against a whole server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.process
PACKAGES = "Debian's prometheus and prometheus-alertmanager"


def program(name: str) -> str:
    """Its path; AFTERLAUNCH_TEST_BIN names a further folder. Skips where it is absent."""
    found = shutil.which(name, path=f"{os.environ.get('AFTERLAUNCH_TEST_BIN', '')}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not here: install {PACKAGES}")
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(true: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)
    return found


@dataclass
class Running:
    folder: Path
    environ: dict[str, str]
    address: str
    keys: dict[str, str]
    token: str

    def get(self, path: str) -> Any:
        request = urllib.request.Request(self.address + path, headers={"Authorization": f"Bearer {self.token}"})
        return json.loads(urllib.request.urlopen(request, timeout=60).read())

    def firing(self) -> dict[str, Any]:
        return {one["name"]: one for one in self.get("/api/v1/alerts?firing=true")["alerts"]}


def afterlaunch(environ: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "afterlaunch", *words], env=environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def document(kind: str, metadata: dict[str, str], /, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "afterlaunch/v1", "kind": kind, "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    program("prometheus")
    folder = tmp_path_factory.mktemp("clients")
    port, gateway = free_port(), free_port()
    environ = {**os.environ, "AFTERLAUNCH_DATA": str(folder / "data"), "AFTERLAUNCH_ENGINE_PERIOD": "1"}
    where = {"system": "support", "environment": "prod", "groupWaitSeconds": 0}
    documents = [
        document("Client", {"name": "acme"}, displayName="Acme"),
        document("System", {"client": "acme", "name": "support"}),
        document("Integration", {"client": "acme", "name": "prometheus"}, kind="prometheus", maySilence=True, **where),
        document("Integration", {"client": "acme", "name": "alertmanager"}, kind="alertmanager", **where),
    ]
    (folder / "site.yaml").write_text(yaml.safe_dump_all(documents))
    # differences come in the order of export
    told = json.loads(afterlaunch(environ, "apply", "-f", str(folder / "site.yaml"), "--json"))
    keys = dict(zip(("alertmanager", "prometheus"), re.findall(r"ali_[0-9a-f]{28}", json.dumps(told)), strict=True))
    token = afterlaunch(environ, "token", "create", "--name", "t", "--role", "responder", "--client", "acme").strip()
    server = subprocess.Popen(
        [sys.executable, "-m", "afterlaunch", "up", "--port", str(port), "--gateway-port", str(gateway)],
        env=environ, stdout=subprocess.DEVNULL, stderr=(folder / "server.log").open("w"),
    )  # fmt: skip
    one = Running(folder, environ, f"http://127.0.0.1:{port}", keys, token)

    def ready() -> bool:
        try:
            return bool(urllib.request.urlopen(f"{one.address}/-/ready", timeout=2).status == 200)
        except OSError:
            return False

    try:
        until(ready)
        yield one
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def prometheus(running: Running, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Starts one with a rule that always fires, sending to the given Alertmanager."""
    started: list[subprocess.Popen[bytes]] = []

    def start(target: str, auth: dict[str, Any], name: str) -> None:
        rule = {"alert": name, "expr": "vector(1)", "labels": {"severity": "critical"}, "annotations": {"summary": "s"}}
        groups = {"groups": [{"name": "g", "interval": "1s", "rules": [rule]}]}
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump(groups))
        manager = {"static_configs": [{"targets": [target]}], **auth}
        config = {"rule_files": [str(tmp_path / "rules.yaml")], "alerting": {"alertmanagers": [manager]}}
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
        flags = [f"--config.file={tmp_path}/prometheus.yaml", f"--storage.tsdb.path={tmp_path}/tsdb"]
        flags += [f"--web.listen-address=127.0.0.1:{free_port()}", "--rules.alert.resend-delay=1s"]
        log = (tmp_path / "prometheus.log").open("w")
        started.append(subprocess.Popen([program("prometheus"), *flags], stdout=log, stderr=log))

    yield start
    for one in started:
        one.terminate()
        one.wait(20)


def test_prometheus_sends_here_as_to_an_alertmanager(running: Running, prometheus: Callable[..., None]) -> None:
    auth = {"basic_auth": {"username": "any", "password": running.keys["prometheus"]}}
    prometheus(running.address.removeprefix("http://"), auth, "AlwaysFires")
    alert = until(lambda: running.firing().get("AlwaysFires"))
    assert alert["severity"] == "P1" and alert["labels"]["severity"] == "critical"
    incident = until(lambda: running.firing()["AlwaysFires"]["incident"], 20)
    assert running.get(f"/api/v1/incidents/{incident}")["severity"] == "P1"
    told = until(lambda: (one := running.firing()["AlwaysFires"])["told"] > 1 and one)
    assert told["expires_at"] > told["told_at"]


def test_alertmanagers_webhook_brings_what_prometheus_told_it(
    running: Running, prometheus: Callable[..., None], tmp_path: Path
) -> None:
    hook = {
        "url": f"{running.address}/hooks/alertmanager",
        "http_config": {"authorization": {"credentials": running.keys["alertmanager"]}},
    }
    config = {
        "route": {"receiver": "house", "group_wait": "1s", "group_interval": "2s"},
        "receivers": [{"name": "house", "webhook_configs": [hook]}],
    }
    (tmp_path / "am.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    log = (tmp_path / "am.log").open("w")
    flags = [f"--config.file={tmp_path}/am.yaml", f"--storage.path={tmp_path}/am", "--cluster.listen-address="]
    flags.append(f"--web.listen-address=127.0.0.1:{port}")
    manager = subprocess.Popen([program("prometheus-alertmanager"), *flags], stdout=log, stderr=log)
    try:
        prometheus(f"127.0.0.1:{port}", {}, "ThroughAlertmanager")
        alert = until(lambda: running.firing().get("ThroughAlertmanager"))
        assert alert["integration"] == "alertmanager" and alert["source"] == "alertmanager"
    finally:
        manager.terminate()
        manager.wait(20)


def test_amtool_reads_adds_and_silences(running: Running, tmp_path: Path) -> None:
    http = tmp_path / "http.yaml"
    http.write_text(yaml.safe_dump({"basic_auth": {"username": "any", "password": running.keys["prometheus"]}}))

    def amtool(*words: str) -> str:
        done = subprocess.run(
            [program("amtool"), f"--alertmanager.url={running.address}", f"--http.config.file={http}", *words],
            capture_output=True, text=True, timeout=30, env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    amtool("alert", "add", "FromAmtool", "severity=warning", "--annotation=summary=tried")
    assert "FromAmtool" in amtool("alert", "query", "alertname=FromAmtool")
    made = amtool("silence", "add", "alertname=FromAmtool", "--comment=known", "--duration=1h", "--author=ada").strip()
    assert made in amtool("silence", "query")
    until(lambda: running.firing()["FromAmtool"]["suppressed_as"] == "silence", 20)
    assert "FromAmtool" in amtool("alert", "query", "--silenced", "alertname=FromAmtool")
    amtool("silence", "expire", made)
    assert made not in amtool("silence", "query")
    assert "Afterlaunch" in amtool("config", "show")
