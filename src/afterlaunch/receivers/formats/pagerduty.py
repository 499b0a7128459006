"""PagerDuty's Events API v2: alert events and change events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from afterlaunch.ground.errors import Invalid
from afterlaunch.receivers.formats.shape import Told, an_object, instant, text

SEVERITIES = ("critical", "error", "warning", "info")
ACTIONS = ("trigger", "acknowledge", "resolve")
_NAME = re.compile(r"[^a-zA-Z0-9_]+")


@dataclass(frozen=True)
class Event:
    """`told` None: an acknowledgement."""

    action: Literal["trigger", "acknowledge", "resolve"]
    dedup_key: str
    told: Told | None


@dataclass(frozen=True)
class ChangeEvent:
    """`kind`, `before` and `after` are read from custom_details where they are there."""

    summary: str
    source: str
    at: datetime | None
    kind: str
    before: str
    after: str
    url: str
    details: dict[str, Any]


def routing_key(body: Any) -> str:
    """Raises Invalid."""
    key = an_object(body, "The body").get("routing_key")
    if not isinstance(key, str) or not 1 <= len(key) <= 64:
        raise Invalid("routing_key must be text of 1 to 64 characters.")
    return key


def parse(body: Any, new_key: str) -> Event:
    """`new_key`: the dedup_key of a trigger that has none. Raises Invalid with every fault named."""
    event = an_object(body, "The body")
    action = event.get("event_action")
    if action not in ACTIONS:
        raise Invalid(f"event_action must be one of {', '.join(ACTIONS)}.")
    key = event.get("dedup_key")
    if key is not None and (not isinstance(key, str) or len(key) > 255):
        raise Invalid("dedup_key must be text of up to 255 characters.")
    if action != "trigger":
        if not key:
            raise Invalid(f"dedup_key is required for {action}.")
        return Event(action, key, None if action == "acknowledge" else Told("resolved", {}, "resolved", key=key))
    dedup = key or new_key
    return Event("trigger", dedup, _trigger(event, dedup))


def _trigger(event: dict[str, Any], key: str) -> Told:
    payload = an_object(event.get("payload"), "payload")
    faults = [
        f"payload.{name} is required"
        for name in ("summary", "source", "severity")
        if not isinstance(payload.get(name), str) or not payload[name].strip()
    ]
    severity = payload.get("severity")
    if isinstance(severity, str) and severity.strip() and severity.lower() not in SEVERITIES:
        faults.append(f"payload.severity must be one of {', '.join(SEVERITIES)}")
    if faults:
        raise Invalid("; ".join(faults) + ".")
    summary = text(payload["summary"], "payload.summary", 1024)
    named = {
        name: text(payload.get(name), f"payload.{name}", 1000) for name in ("source", "component", "group", "class")
    }
    known = {name: value for name, value in named.items() if value}
    details = payload.get("custom_details")
    extra = {_label(name): _flat(value) for name, value in details.items()} if isinstance(details, dict) else {}
    labels = {**{name: value for name, value in extra.items() if name and len(value) <= 200}, **known}
    labels |= {"severity": str(severity).lower()}
    labels["alertname"] = named["class"] or named["component"] or "PagerDuty event"
    annotations = {"summary": summary}
    if isinstance(details, dict):
        annotations |= {str(name)[:300]: _flat(value) for name, value in list(details.items())[:200]}
    elif details is not None:
        annotations["custom_details"] = _flat(details)
    annotations |= {"client": text(event.get("client"), "client", 300)} if event.get("client") else {}
    for kind in ("links", "images"):
        items = event.get(kind)
        for number, item in enumerate(items[:20] if isinstance(items, list) else []):
            address = item.get("href") or item.get("src") if isinstance(item, dict) else None
            if isinstance(address, str):
                annotations[f"{kind[:-1]} {number + 1}"] = address[:2000]
    return Told(
        "firing",
        labels,
        labels["alertname"],
        annotations,
        summary,
        str(severity).lower(),
        starts_at=instant(payload.get("timestamp"), "payload.timestamp"),
        restarts=True,
        key=key,
        url=text(event.get("client_url"), "client_url", 2000),
    )


def _label(name: str) -> str:
    return _NAME.sub("_", name).strip("_")[:200]


def _flat(value: Any) -> str:
    told = value if isinstance(value, str) else orjson.dumps(value).decode()
    return told.replace("\x00", "\ufffd")[:4096]


def parse_change(body: Any) -> ChangeEvent:
    """Raises Invalid."""
    event = an_object(body, "The body")
    payload = an_object(event.get("payload"), "payload")
    if not isinstance(payload.get("summary"), str) or not payload["summary"].strip():
        raise Invalid("payload.summary is required.")
    details = payload.get("custom_details")
    details = details if isinstance(details, dict) else {}
    links = event.get("links")
    first = links[0] if isinstance(links, list) and links and isinstance(links[0], dict) else {}

    def told(name: str) -> str:
        return _flat(details[name])[:200] if details.get(name) is not None else ""

    return ChangeEvent(
        text(payload["summary"], "payload.summary", 1024),
        text(payload.get("source"), "payload.source", 300),
        instant(payload.get("timestamp"), "payload.timestamp"),
        told("change_type"),
        told("version_before"),
        told("version_after"),
        text(first.get("href"), "links[0].href", 2000),
        {str(name)[:300]: _flat(value) for name, value in list(details.items())[:200]},
    )
