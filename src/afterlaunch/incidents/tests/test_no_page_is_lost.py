from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from afterlaunch.notify.tests.fakes import mail_server

pytestmark = pytest.mark.process
DRIVER = Path(__file__).with_name("kill_everywhere.py")


def test_a_process_killed_before_any_statement_loses_no_page(tmp_path: Path) -> None:
    """Every page arrives; one that arrives twice bears the same id. Says: pages lost 0 of N."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    source = str(Path(__file__).resolve().parents[3])
    with mail_server(port) as mail:
        environment = {
            **os.environ,
            "PYTHONPATH": source,
            "AFTERLAUNCH_DATA": str(tmp_path),
            "AFTERLAUNCH_DATABASE_URL": "",
            "AFTERLAUNCH_SMTP_URL": mail.url,
            "DJANGO_SETTINGS_MODULE": "afterlaunch.app.django_settings",
        }
        done = subprocess.run(
            [sys.executable, str(DRIVER)], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    letters = Counter((str(letter["Subject"]), str(letter["Message-ID"])) for letter in mail.mails)
    rounds = told["rounds"]
    assert rounds > 20 and len(told["incidents"]) == rounds
    for incident in told["incidents"]:
        assert incident["escalations"] == 1
        ((_, state),) = incident["pages"]
        assert state == "accepted"
        assert [name for name, _ in letters if name == f"[P1] {incident['title']}"] == [f"[P1] {incident['title']}"]
    print(f"pages lost: 0 of {rounds}; delivered again with the same id: {sum(n - 1 for n in letters.values())}")


def test_a_duty_killed_before_any_statement_hands_over_once_and_stamps_a_breach_once(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "AFTERLAUNCH_DATA": str(tmp_path),
        "AFTERLAUNCH_DATABASE_URL": "",
        "DJANGO_SETTINGS_MODULE": "afterlaunch.app.django_settings",
    }
    driver = Path(__file__).with_name("kill_promises.py")
    done = subprocess.run(
        [sys.executable, str(driver)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["rounds"] > 20 and len(told["incidents"]) == told["rounds"]
    for incident in told["incidents"]:
        assert incident == {
            "tier_clocks": 1,
            "tier_started_with_the_handover": True,
            "state": "done",
            "handed_over": 1,
            "pages": 2,
            "breached_at_the_deadline": True,
            "breaches": 2,
        }
    print(f"handovers: {told['rounds']} of {told['rounds']}, each once")
