"""Events of PagerDuty's API v2. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import orjson

from afterlaunch.notify.kinds import Message

ACTIONS = {
    "incident.opened": "trigger",
    "incident.reopened": "trigger",
    "incident.severity_changed": "trigger",
    "incident.acknowledged": "acknowledge",
    "incident.resolved": "resolve",
    "test": "trigger",
}
SEVERITIES = {"P1": "critical", "P2": "error", "P3": "warning"}
SUMMARY, BODY = 1024, 512_000
LEFT_OUT = "The details were too long for PagerDuty; see the incident's page."


def dedup_key(topic: str, public_url: str) -> str:
    """Names the incident at PagerDuty; two installations on one service don't meet."""
    return f"afterlaunch/{urlsplit(public_url).netloc}/{topic}"[:255]


def topic_of(key: str, public_url: str) -> str | None:
    """The topic behind a key of ours; None for anybody else's."""
    begin = dedup_key("", public_url)
    return key[len(begin) :] if key.startswith(begin) and len(key) > len(begin) else None


def event(message: Message, public_url: str) -> dict[str, Any]:
    """The document of one event; its details give way when it gets too long."""
    action = ACTIONS[message.type if message.type in ACTIONS else "test"]
    document: dict[str, Any] = {
        "routing_key": message.options.get("routing_key", ""),
        "event_action": action,
        "dedup_key": dedup_key(message.topic, public_url),
    }
    if action != "trigger":
        return document
    data = message.data
    details: dict[str, Any] = {"lines": list(message.lines), "severity": message.severity}
    document["payload"] = {
        "summary": message.headline[:SUMMARY],
        "source": str(data.get("system") or "afterlaunch"),
        "severity": SEVERITIES.get(message.severity, "info"),
        "component": str(data.get("system") or ""),
        "group": str(data.get("environment") or ""),
        "custom_details": {**details, **{name: data[name] for name in ("incident", "phase") if name in data}},
    }
    document |= {"client": "Afterlaunch", "client_url": message.url or public_url}
    if message.url.startswith("https://"):
        document["links"] = [{"href": message.url, "text": "The incident"}]
    if len(orjson.dumps(document)) > BODY:
        document["payload"]["custom_details"] = {"notice": LEFT_OUT}
    return document
