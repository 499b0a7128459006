"""Run by the test beside it in a process of its own: kills a child before its 1st, 2nd, … statement, until one lives.

Each round opens an incident and sends its page in a forked child that is killed at one statement; then a second
child, a minute later, does what the engine does after a restart. Prints one JSON line with what the store then holds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from afterlaunch.accounts.models import Client, Grant, User  # noqa: E402
from afterlaunch.estate.models import System  # noqa: E402
from afterlaunch.ground import clock  # noqa: E402
from afterlaunch.ground.actors import automation  # noqa: E402
from afterlaunch.incidents.actions import open_incident  # noqa: E402
from afterlaunch.incidents.audit import audit_paging  # noqa: E402
from afterlaunch.incidents.models import Incident  # noqa: E402
from afterlaunch.notify.duties import send_pages  # noqa: E402
from afterlaunch.notify.models import ContactMethod, Page  # noqa: E402
from afterlaunch.oncall.models import Escalation  # noqa: E402

AT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)


def prepare() -> None:
    call_command("migrate", verbosity=0)
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    System.objects.create(client=client, key="helpdesk", name="Helpdesk")
    user = User.objects.create_user("ada@example.test", "Ada")
    Grant.objects.create(user=user, role="admin", client=None)
    ContactMethod.objects.create(user=user, kind="email", address=user.email, created_at=AT, verified_at=AT)


def deed(number: int, at: datetime) -> None:
    """What the alerting and the sending duty do, in their order."""
    clock.use(clock.FixedClock(at))
    open_incident(
        automation("engine"),
        system=System.objects.get(key="helpdesk"),
        environment="prod",
        title=f"round {number}",
        severity="P1",
        summary="",
        fingerprint=f"round-{number}",
        detected_at=at,
        occurred_at=None,
    )
    send_pages(at)
    audit_paging(at)


def in_child(number: int, at: datetime, kill_at: int | None, act: Callable[[int, datetime], None] = deed) -> bool:
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
            act(number, at)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if status != 0:
        sys.exit(f"round {number}: the child failed with {status}")
    return True


def taken(at: datetime) -> None:
    """Somebody takes it before the next round, or the auditor would rightly page again."""
    for incident in Incident.objects.filter(acknowledged_at=None):
        Incident.objects.filter(pk=incident.pk).update(acknowledged_at=at, acknowledged_by="Ada")
        Escalation.objects.filter(topic=incident.topic).update(state="acknowledged", next_at=None, ended_at=at)


def main() -> None:
    prepare()
    number, lived = 0, False
    while not lived:
        number += 1
        at = AT + timedelta(hours=number)
        lived = in_child(number, at, number)
        in_child(number, at + timedelta(minutes=1), None)
        taken(at + timedelta(minutes=2))
    rounds = [
        {
            "title": incident.title,
            "pages": list(Page.objects.filter(topic=incident.topic).values_list("key", "state")),
            "escalations": Escalation.objects.filter(topic=incident.topic).count(),
        }
        for incident in Incident.objects.filter(system__key="helpdesk").order_by("pk")
    ]
    print(json.dumps({"rounds": number, "incidents": rounds}))


if __name__ == "__main__":
    main()
