"""Spend of a time beside the same length before it: what the rollups hold of both, and what drives the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from afterlaunch.prices.formula import KIND
from afterlaunch.prices.in_force import book_of
from afterlaunch.prices.table import rates
from afterlaunch.spend.drivers import Drivers, Key, Weights, explain, group_of
from afterlaunch.telemetry.queries import Clients, stretches
from afterlaunch.telemetry.windows import Window

GROUPED = ("client", "system", "route", "agent", "provider", "model")
"""What calls are told apart by when a difference is explained."""


def beside(
    start: datetime,
    end: datetime,
    group_by: Sequence[str],
    clients: Clients,
    equals: Mapping[str, str | None],
    before: datetime | None = None,
) -> tuple[list[Window], list[Window]]:
    """(the time from `before` to `start`, by default as long; the time itself), by one question."""
    earlier = start - (end - start) if before is None else before
    rows = stretches([earlier, start, end], group_by, clients, **equals)
    return [row for row in rows if row.start < start], [row for row in rows if row.start >= start]


def drivers(
    start: datetime,
    end: datetime,
    clients: Clients,
    equals: Mapping[str, str | None],
    before: datetime | None = None,
) -> Drivers:
    """What made the known cost of [start, end) differ from that of the time before."""
    names = told_apart(equals)
    past, now = beside(start, end, names, clients, equals, before)
    return explain([group_of(row, names) for row in past], [group_of(row, names) for row in now], weights(names, end))


def told_apart(equals: Mapping[str, str | None]) -> list[str]:
    """What is left to tell calls apart by; a price is looked up by client, provider and model."""
    return [name for name in GROUPED if name not in equals or name in ("client", "provider", "model")]


def weights(names: Sequence[str], at: datetime) -> Weights:
    """List prices in force at an instant, by the group's own provider and model."""
    places = [names.index(name) for name in ("client", "provider", "model")]

    def of(key: Key) -> Mapping[str, float] | None:
        client, provider, model = (key[place] for place in places)
        found = rates(provider, model, at, book=book_of(client or ""))
        if found is None:
            return None
        pico = found.tiers[0].pico
        told = {bucket: pico[kind] for bucket, kind in KIND.items()}
        known = {bucket: float(price) for bucket, price in told.items() if price is not None}
        return known if len(known) == len(told) else None

    return of
