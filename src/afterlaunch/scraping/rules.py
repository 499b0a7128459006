"""When a target is due, and what to do about one that does not answer. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

LEAST_INTERVAL, MOST_INTERVAL, INTERVAL = 5, 3_600, 30
SAMPLES, MOST_SAMPLES = 20_000, 200_000
TIMEOUT = 10.0
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
MOST_LABELS = 20

ADVICE = {
    "address_refused": "An administrator of the house must declare it, and its network must stand in"
    " AFTERLAUNCH_OUTBOUND_ALLOW; elsewhere use https.",
    "unreachable": "Is the exporter up, and does a firewall let this server reach it? Try curl from this machine.",
    "timed_out": "The exporter takes too long: scrape it less often, or let it tell less.",
    "credential": "Mend the reference, or set what it names where the server runs.",
    "not_let_in": "The exporter wants a credential, or another one: give the target a bearer token or a password.",
    "not_found": "Most exporters tell their metrics under /metrics; check the path.",
    "moved": "Redirects are not followed: give the address that it leads to.",
    "status": "See the exporter's own log.",
    "not_metrics": "This is no Prometheus text; check port and path, usually /metrics.",
    "too_large": "Let the exporter tell less, or split it into several targets.",
    "too_many_samples": "Raise the target's limit of samples, or let the exporter tell less.",
}


@dataclass(frozen=True)
class Trouble:
    """`reason` is a key of ADVICE."""

    reason: str
    said: str


def trouble_of_status(status: int, location: str = "") -> Trouble | None:
    """None: it is an answer to read."""
    if status == 200:
        return None
    if status in (401, 403):
        return Trouble("not_let_in", f"It answers {status}.")
    if status in (404, 410):
        return Trouble("not_found", f"It answers {status}.")
    if 300 <= status < 400:
        return Trouble("moved", f"It answers {status}{f' and leads to {location[:200]}' if location else ''}.")
    return Trouble("status", f"It answers {status}.")


def next_due(now: datetime, interval: int, number: int) -> datetime:
    """The next of the target's own instants, a whole number of intervals apart and spread by its number, so that
    targets of one interval are not all due at once."""
    offset = number * 7_919 % (interval * 1_000) / 1_000
    passed = (now.timestamp() - offset) % interval
    return now + timedelta(seconds=interval - passed)


def state_of(paused: bool, reason: str, last_at: datetime | None) -> str:
    if paused:
        return "paused"
    if last_at is None:
        return "waiting"
    return "down" if reason else "up"
