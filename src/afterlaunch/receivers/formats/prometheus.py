"""`POST /api/v2/alerts`: what Prometheus sends to an Alertmanager, and what amtool does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.receivers.formats.shape import Parsed, Told, an_object, each, instant, said, text, texts

RESOLVE_TIMEOUT = timedelta(minutes=5)


def parse(body: Any, now: datetime) -> Parsed:
    """Senders tell the present state again and again, so any telling counts, whatever its start."""
    return each(body, "alerts", lambda item: _one(an_object(item, "An alert"), now))


def _one(item: dict[str, Any], now: datetime) -> Told:
    labels = {name: value for name, value in texts(item.get("labels"), "labels").items() if value}
    if not labels:
        raise Invalid("At least one label must remain once empty ones are removed.")
    annotations = texts(item.get("annotations"), "annotations")
    begins, ends = instant(item.get("startsAt"), "startsAt"), instant(item.get("endsAt"), "endsAt")
    begins = begins or (min(ends, now) if ends else now)
    if ends is not None and ends < begins:
        raise Invalid("It ends before it starts.")
    over = ends is not None and ends <= now
    name = labels.get("alertname") or "Alert without a name"
    return Told(
        status="resolved" if over else "firing",
        labels=labels,
        name=name,
        annotations=annotations,
        summary=said(annotations, name),
        starts_at=begins,
        ends_at=ends if over else None,
        expires_at=None if over else ends or now + RESOLVE_TIMEOUT,
        restarts=True,
        url=text(item.get("generatorURL"), "generatorURL", 2000),
    )
