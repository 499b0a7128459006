"""What somebody should know of alerts though it is no page: to whoever is on call and to the client's channels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from afterlaunch.accounts.models import Client
from afterlaunch.notify.channels import announce
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.oncall.schedule import administrators, who_is_on_call


def tell(
    client: Client, topic: str, occurrence: str, kind: str, title: str, lines: Sequence[str], path: str, now: datetime
) -> None:
    """In the transaction of the deed; repeating it makes no second message. Nobody on call: the administrators."""
    facts = {"type": kind, "title": title, "lines": list(lines), "path": path}
    notice = Notice(topic, occurrence, client.slug, facts, purpose="notice")
    person = who_is_on_call(client, now).person
    for one in [person] if person is not None else administrators(client):
        enqueue(one, notice, now)
    announce(client.slug, notice, now)
