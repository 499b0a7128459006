"""A server and a gateway as users start them, in front of a simulated provider that bills every call."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import orjson

from afterlaunch.demo.provider import Bill, Provider

_NOT_OURS = ("AFTERLAUNCH_", "OTEL_", "OPENAI_", "ANTHROPIC_")
ROOT = Path(__file__).resolve().parents[2]
SITE = """
apiVersion: afterlaunch/v1
kind: Client
metadata: {name: acme}
spec: {displayName: Acme Shops, timeZone: Europe/Berlin}
---
apiVersion: afterlaunch/v1
kind: System
metadata: {name: support, client: acme}
spec: {displayName: Support desk, tier: enterprise, timeZone: Europe/Berlin}
"""
ROUTE = """
---
apiVersion: afterlaunch/v1
kind: Upstream
metadata: {name: NAME}
spec: {baseUrl: "URL", provider: openai, credential: "env:PROVIDER_KEY"}
---
apiVersion: afterlaunch/v1
kind: Route
metadata: {name: NAME}
spec: {client: acme, system: support, environment: prod, unit: [user], baseline: {upstream: NAME, promptVersion: v1}}
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class House:
    """Runs until `stop`."""

    def __init__(self, folder: Path) -> None:
        """Raises AssertionError when it does not come up; nothing is left running then."""
        self.folder, self.provider = folder, Provider(seed=5, trouble=0.0)
        port, gateway_port = free_port(), free_port()
        self.url, self.gateway = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{gateway_port}"
        self.secret = "sk-of-the-house"  # what the gateway shows to upstreams
        ours = {"AFTERLAUNCH_DATA": str(folder / "data"), "PYTHONPATH": str(ROOT / "src")}
        ours |= dict.fromkeys(("PROVIDER_KEY", "LITELLM_MASTER_KEY"), self.secret)
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)} | ours
        (folder / "site.yaml").write_text(SITE)
        self.cli("apply", "-f", folder / "site.yaml")
        self.key = self.route("answers", self.provider.url)
        self.token = self.cli("token", "create", "--name", "support", "--role", "ingest", "--client", "acme")
        self._reader = self.cli("token", "create", "--name", "reader", "--role", "viewer")
        log = (folder / "server.log").open("wb")
        command = [sys.executable, "-m", "afterlaunch", "up", "--port", str(port), "--gateway-port", str(gateway_port)]
        self._server = subprocess.Popen(command, stdout=log, stderr=log, env=self._env)
        try:
            both = (f"{self.url}/readyz", f"{self.gateway}/readyz")
            self.wait(lambda: all(map(self.alive, both)), "server or gateway do not answer", seconds=90)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._server.terminate()
        try:
            self._server.wait(90)
        except subprocess.TimeoutExpired:
            self._server.kill()
            raise
        finally:
            self.provider.stop()

    def cli(self, *words: object) -> str:
        command = [sys.executable, "-m", "afterlaunch", *map(str, words)]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def route(self, name: str, upstream: str) -> str:
        """A route of this name to an OpenAI-like upstream; returns a caller key."""
        (self.folder / f"{name}.yaml").write_text(ROUTE.replace("NAME", name).replace("URL", upstream))
        self.cli("apply", "-f", self.folder / f"{name}.yaml")
        return self.cli("key", "create", "--name", name, "--route", name)

    def get(self, path: str, **query: str) -> Any:
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self._reader}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return orjson.loads(answer.read())

    def calls(self, begins: str, count: int) -> list[dict[str, Any]]:
        """The calls since an instant, once there are `count` and nothing moves any more; in order of time."""
        found: list[dict[str, Any]] = []

        def settled() -> bool:
            nonlocal found
            before, found = found, self.get("/api/v1/calls", limit="1000", **{"from": begins})["calls"]
            return len(found) >= count and before == found

        self.wait(settled, f"not all of {count} calls arrived")
        return sorted(found, key=lambda call: call["start_ns"])

    def bills(self, since: int) -> list[Bill]:
        return list(self.provider.bills)[since:]

    def wait(self, done: Any, why: str, seconds: float = 40.0) -> None:
        until = time.monotonic() + seconds
        while not done():
            assert self._server.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            assert time.monotonic() < until, why
            time.sleep(0.5)

    def alive(self, address: str) -> bool:
        try:
            with urllib.request.urlopen(address, timeout=3) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def takes(self, key: str, route: str) -> bool:
        """Whether the gateway knows a key by now."""
        address = f"{self.gateway}/afterlaunch/v1/assignment?route={route}&unit=u"
        request = urllib.request.Request(address, headers={"afterlaunch-key": key})
        try:
            with urllib.request.urlopen(request, timeout=3) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
