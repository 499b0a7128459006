"""Providers of messages, which note what they took. Their answer depends on seed, key and attempt alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from afterlaunch.simulation.plan import OutagePlan

BASE = (("fine", 86), ("slow", 6), ("refuses", 2), ("breaks", 2), ("hangs", 1), ("late", 2), ("gone", 1))


@dataclass
class Delivery:
    """One attempt. `took`: the provider has the message; `heard`: the product had its answer in time, and lived on
    until the end of what it was doing."""

    at: datetime
    kind: str
    to: str
    key: str
    topics: tuple[str, ...]
    links: dict[str, str]
    severity: str
    purpose: str
    how: str
    took: bool
    heard: bool


@dataclass
class Providers:
    seed: int
    outages: Sequence[OutagePlan]
    attempts: list[Delivery] = field(default_factory=list)
    _tried: Counter[str] = field(default_factory=Counter)
    by_key: dict[str, list[Delivery]] = field(default_factory=lambda: defaultdict(list))

    def answer(self, message: dict[str, Any], at: datetime) -> tuple[dict[str, Any], Delivery]:
        how = self._how(message, at)
        took = how in ("fine", "slow", "late")
        own = message["topic"].partition("/")[2]
        links = {own: message["link"]} | {one["topic"]: one["link"] for one in message["more"] if one["link"]}
        row = Delivery(
            at,
            message["kind"],
            message["to"],
            message["key"],
            (own, *(one["topic"] for one in message["more"])),
            links,
            message["severity"],
            message["purpose"],
            how,
            took,
            heard=how in ("fine", "slow"),
        )
        self.attempts.append(row)
        self.by_key[row.key].append(row)
        return self._said(how, message), row

    def _how(self, message: dict[str, Any], at: datetime) -> str:
        self._tried[message["key"]] += 1
        for outage in self.outages:
            if outage.kind == message["kind"] and outage.start <= at < outage.end:
                return outage.how
        rng = Random(f"{self.seed} {message['key']} {self._tried[message['key']]}")
        return rng.choices([name for name, _ in BASE], [share for _, share in BASE])[0]

    def _said(self, how: str, message: dict[str, Any]) -> dict[str, Any]:
        rng = Random(f"{self.seed} {message['key']} {how}")
        status, wait, after = STATUS[how]
        low, high = wait
        return {
            "status": status,
            "body": "" if status == 200 else how,
            "retry_after": after,
            "took": round(rng.uniform(low, high), 3),
        }


STATUS: dict[str, tuple[int | None, tuple[float, float], str | None]] = {
    "fine": (200, (0.05, 0.4), None),
    "slow": (200, (3.0, 9.5), None),
    "refuses": (429, (0.05, 0.1), "20"),
    "breaks": (500, (0.05, 2.0), None),
    "hangs": (None, (10.0, 10.0), None),
    "late": (None, (10.0, 10.0), None),
    "gone": (404, (0.05, 0.1), None),
}
