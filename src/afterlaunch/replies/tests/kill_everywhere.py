"""Run by the test beside it in a process of its own: kills a child before its 1st, 2nd, … statement, until one lives.

Each round opens two incidents that page one person, sends, takes a button from Slack, acts on it and sends again; then
a second child, two minutes later, does what the engine does after a restart, and Slack sends the button once more.
Prints one JSON line with what the store then holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client as Browser  # noqa: E402

from afterlaunch.accounts.actions import actor_of_user  # noqa: E402
from afterlaunch.accounts.models import Client, Grant, User  # noqa: E402
from afterlaunch.estate.models import System  # noqa: E402
from afterlaunch.ground import clock  # noqa: E402
from afterlaunch.ground.actors import automation  # noqa: E402
from afterlaunch.incidents.actions import open_incident, resolve  # noqa: E402
from afterlaunch.incidents.audit import audit_paging  # noqa: E402
from afterlaunch.incidents.models import Incident  # noqa: E402
from afterlaunch.notify.duties import send_pages  # noqa: E402
from afterlaunch.notify.models import Channel, ContactMethod, Page, Thread  # noqa: E402
from afterlaunch.notify.sealed import seal  # noqa: E402
from afterlaunch.replies.duties import act_on_replies  # noqa: E402
from afterlaunch.replies.models import LinkedAccount, Reply  # noqa: E402

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
SECRET, API = "secret", os.environ["FAKE_SLACK"]


def prepare() -> None:
    call_command("migrate", verbosity=0)
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    System.objects.create(client=client, key="helpdesk", name="Helpdesk")
    user = User.objects.create_user("ada@example.test", "Ada")
    Grant.objects.create(user=user, role="admin", client=None)
    ContactMethod.objects.create(user=user, kind="email", address=user.email, created_at=AT, verified_at=AT)
    LinkedAccount.objects.create(client=client, kind="slack", team="T", external="U", user=user, linked_at=AT)
    Channel.objects.create(
        client=client, name="slack", kind="slack_bot", address="C1", config={"api": API}, created_at=AT,
        secrets=seal({"token": "x", "signing_secret": SECRET}),
    )  # fmt: skip


def warm_up() -> None:
    """What every child would load anew: the pages' addresses take seconds."""
    Browser(SERVER_NAME="127.0.0.1").get("/healthz")
    clock.use(clock.FixedClock(AT))


def trouble(number: int, severity: str, at: datetime) -> Incident:
    return open_incident(
        automation("engine"), system=System.objects.get(key="helpdesk"), environment="prod",
        title=f"round {number} {severity}", severity=severity, summary="", fingerprint=f"round-{number}-{severity}",
        detected_at=at, occurred_at=None,
    )  # fmt: skip


def press(incident: Incident) -> int:
    """The same button each time: Slack repeats what was not answered."""
    thread = Thread.objects.get(topic=incident.topic)
    payload = {
        "type": "block_actions", "team": {"id": "T"}, "user": {"id": "U"},
        "actions": [{"action_id": "acknowledge", "value": thread.callback}],
    }  # fmt: skip
    body, stamp = urlencode({"payload": json.dumps(payload)}).encode(), str(int(clock.real()))
    mac = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={mac}"}
    form = "application/x-www-form-urlencoded"
    return int(
        Browser(SERVER_NAME="127.0.0.1").post("/hooks/slack", body, content_type=form, headers=headers).status_code
    )


def deed(number: int, at: datetime) -> None:
    clock.use(clock.FixedClock(at))
    grave = trouble(number, "P1", at)
    trouble(number, "P2", at)
    send_pages(at)
    if press(grave) != 200:
        sys.exit("the hook did not take it")
    act_on_replies(at)
    send_pages(at)
    audit_paging(at)


def end_all() -> None:
    """Nothing of this round is left for the next: else each would have more statements than the one before."""
    person = actor_of_user(User.objects.get())
    for incident in Incident.objects.filter(status="open"):
        resolve(person, incident, "over")
    send_pages(clock.now())


def in_child(number: int, at: datetime, kill_at: int | None) -> bool:
    """Whether the child lived to its end."""
    connection.close()
    pid = os.fork()
    if pid == 0:
        seen = 0

        def killer(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(killer):
            deed(number, at)
            if kill_at is None:
                end_all()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if status != 0:
        sys.exit(f"round {number}: the child failed with {status}")
    return True


def main() -> None:
    prepare()
    warm_up()
    step = int(os.environ.get("KILL_STEP", "1"))
    number, lived = 0, False
    while not lived:
        number += 1
        at = AT + timedelta(hours=number)
        lived = in_child(number, at, number * step)
        in_child(number, at + timedelta(minutes=2), None)
    incidents = [
        {
            "title": incident.title,
            "acknowledged": incident.timeline.filter(kind="acknowledged").count(),
            "pages": list(
                Page.objects.filter(topic=incident.topic, person__isnull=False).values_list("state", flat=True)
            ),
            "news": list(Page.objects.filter(topic=incident.topic, person=None).values_list("type", "state")),
        }
        for incident in Incident.objects.filter(title__startswith="round").order_by("pk")
    ]
    waiting = Reply.objects.filter(state="waiting").count()
    print(json.dumps({"rounds": number, "incidents": incidents, "waiting": waiting}))


if __name__ == "__main__":
    main()
