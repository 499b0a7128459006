"""Webhooks v3 of PagerDuty. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from afterlaunch.ground.errors import Invalid

TYPES = {"incident.acknowledged": "acknowledge", "incident.resolved": "resolve"}
ECHO = timedelta(minutes=10)
OLD = timedelta(days=1)  # they try for twenty minutes; what is older was recorded and sent again


@dataclass(frozen=True)
class Happened:
    """`key` is the dedup key under which we opened the incident there. `person`: who did it; empty for a machine."""

    event: str
    type: str
    key: str
    person: str
    person_id: str
    at: datetime | None

    @property
    def deed(self) -> str:
        return TYPES.get(self.type, "")


def _text(value: Any, most: int = 300) -> str:
    return value.replace("\0", "")[:most] if isinstance(value, str) else ""


def read(body: str) -> Happened:
    """Raises Invalid for what PagerDuty would not send."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Invalid("The body is no JSON.") from None
    event = document.get("event") if isinstance(document, dict) else None
    if not isinstance(event, dict):
        raise Invalid("There is no event in the body.", "Use a webhook subscription of version 3.")
    data, agent = event.get("data"), event.get("agent")
    data = data if isinstance(data, dict) else {}
    agent = agent if isinstance(agent, dict) else {}
    human = agent.get("type") in ("user_reference", "user")
    return Happened(
        event=_text(event.get("id"), 80),
        type=_text(event.get("event_type"), 60),
        key=_text(data.get("incident_key")),
        person=_text(agent.get("summary") or agent.get("id"), 100) if human else "",
        person_id=_text(agent.get("id"), 60) if human else "",
        at=_instant(_text(event.get("occurred_at"))),
    )


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def why_not(happened: Happened, last_told: tuple[str, datetime] | None, now: datetime) -> str | None:
    """A named reason to leave it: `last_told` is the newest event that we sent about the topic, and when."""
    if not happened.deed:
        return "nothing_to_do"
    if happened.at is not None and now - happened.at > OLD:
        return "too_old"
    if not happened.person:
        return "a_machine_did_it"
    if last_told is not None and last_told[0] == happened.type and now - last_told[1] <= ECHO:
        return "echo_of_ours"
    return None
