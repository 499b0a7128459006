"""The server killed again and again while predictions and labels come in: what it acknowledged is there, once, and
every label finds its prediction."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from afterlaunch.telemetry.tests.test_survives_sigkill import Running

pytestmark = pytest.mark.process
BODIES, ROWS, KILLS = 60, 40, 3
AT = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
PLACE = "client=house&system=scoring&environment=prod"


def rows_of(number: int, what: str) -> bytes:
    told: list[dict[str, Any]] = []
    for at in range(ROWS):
        time_of = AT + timedelta(minutes=number, seconds=at)
        row: dict[str, Any] = {"prediction_id": f"{number}-{at}", "time": time_of.isoformat()}
        if what == "predictions":
            row |= {"x": float(at % 7), "output": at % 2, "probability": 0.25 + 0.5 * (at % 2)}
        else:
            row |= {"label": at % 2, "time": (time_of + timedelta(hours=1)).isoformat(), "source": "desk"}
        told.append(row)
    return b"\n".join(map(orjson.dumps, told))


TOKEN = """
import django; django.setup()
from afterlaunch.accounts.actions import create_token, house_client
from afterlaunch.ground.actors import automation
house_client()
print(create_token(automation("test"), "sender", "admin", None)[1])
"""


def token(data: Path) -> str:
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    paths |= {"AFTERLAUNCH_DATA": str(data), "DJANGO_SETTINGS_MODULE": "afterlaunch.app.django_settings"}
    command = [sys.executable, "-c", TOKEN]
    return subprocess.run(command, env=paths, capture_output=True, text=True, check=True).stdout.split()[-1]


def post(address: str, what: str, body: bytes, key: str) -> dict[str, Any]:
    kind = {"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{address}/api/v1/{what}?{PLACE}", body, kind)
    with urllib.request.urlopen(request, timeout=30) as response:
        found: dict[str, Any] = orjson.loads(response.read())
        return found


def told(address: str, key: str) -> dict[str, Any]:
    path, head = f"{address}/api/v1/systems/1/performance", {"Authorization": f"Bearer {key}"}
    request = urllib.request.Request(path, headers=head)
    with urllib.request.urlopen(request, timeout=30) as response:
        found: dict[str, Any] = orjson.loads(response.read())["environments"][0]
        return found


def test_labels_that_were_acknowledged_are_there_once_and_find_their_predictions(tmp_path: Path) -> None:
    chance = random.Random(5)
    todo = [(number, what) for number in range(BODIES) for what in ("labels", "predictions")]
    chance.shuffle(todo)  # labels before their predictions, and the other way round
    acknowledged: set[tuple[int, str]] = set()
    server = Running(tmp_path)
    try:
        key = token(tmp_path)
        reference = b"\n".join(rows_of(number, "predictions") for number in range(15))
        post(server.address, "references", reference, key)

        def send(mine: list[tuple[int, str]], address: str) -> None:
            for number, what in mine:
                try:
                    post(address, what, rows_of(number, what), key)
                except OSError:
                    return  # killed; who got no answer sends again
                acknowledged.add((number, what))

        for kill in range(1, KILLS + 1):
            rest = [one for one in todo if one not in acknowledged]
            senders = [threading.Thread(target=send, args=(rest[at::4], server.address)) for at in range(4)]
            for sender in senders:
                sender.start()
            until = kill * len(todo) // (KILLS + 1)
            while len(acknowledged) < until and any(sender.is_alive() for sender in senders):
                time.sleep(0.002)
            server.end(signal.SIGKILL)
            for sender in senders:
                sender.join()
            server = Running(tmp_path)
        assert KILLS * len(todo) // (KILLS + 1) <= len(acknowledged) < len(todo), "the load was over before the kill"
        for number, what in todo:
            answer = post(server.address, what, rows_of(number, what), key)
            if (number, what) in acknowledged:
                assert answer["duplicate"], (number, what)
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            found = told(server.address, key)
            if found.get("labelled") == BODIES * ROWS:
                break
            time.sleep(0.5)
        assert (found["rows"], found["labelled"]) == (BODIES * ROWS, BODIES * ROWS), found
        assert found["labels_waiting"] == 0 and found["sources"][0]["labels"] == BODIES * ROWS
    finally:
        server.end(signal.SIGTERM)
