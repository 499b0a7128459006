from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from afterlaunch.notify.tests.fakes import mail_server, provider

pytestmark = pytest.mark.process
DRIVER = Path(__file__).with_name("kill_everywhere.py")


def test_a_process_killed_before_any_statement_loses_no_page_no_news_and_no_answer(tmp_path: Path) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    source = str(Path(__file__).resolve().parents[3])
    with mail_server(port) as mail, provider(200) as slack:
        slack.body = '{"ok": true, "channel": "C1", "ts": "1.5"}'
        environment = {
            "KILL_STEP": "11",  # every so many statements; KILL_STEP=1 takes them all
            **os.environ,
            "PYTHONPATH": source,
            "AFTERLAUNCH_DATA": str(tmp_path),
            "AFTERLAUNCH_DATABASE_URL": "",
            "AFTERLAUNCH_SMTP_URL": mail.url,
            "AFTERLAUNCH_OUTBOUND_ALLOW": "127.0.0.0/8",
            "FAKE_SLACK": slack.url,
            "DJANGO_SETTINGS_MODULE": "afterlaunch.app.django_settings",
        }
        done = subprocess.run(
            [sys.executable, str(DRIVER)], env=environment, capture_output=True, text=True, timeout=570, check=False
        )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["rounds"] > 10 and told["waiting"] == 0
    text = " ".join(str(letter["Subject"]) + str(letter.get_payload()) for letter in mail.mails)
    for incident in told["incidents"]:
        (state,) = incident["pages"]
        grave = incident["title"].endswith("P1")
        assert incident["acknowledged"] == (1 if grave else 0), incident
        news = dict(incident["news"])
        assert news["incident.opened"] == "delivered" and set(news.values()) == {"delivered"}, incident
        if grave:
            assert news["incident.acknowledged"] == "delivered" and state in ("accepted", "read", "withdrawn")
        else:
            assert state == "accepted" and incident["title"] in text, incident
    print(f"pages, news and answers lost: 0 of {told['rounds']} rounds")
