"""Documents of prices: overrides and discounts of a client. What an import brought is not exported: it has a file."""

from __future__ import annotations

from typing import Any

from afterlaunch.accounts.models import Client
from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, NEEDED_TEXT, TEXT, Field
from afterlaunch.app.configuration.people import client
from afterlaunch.ground.actors import Actor
from afterlaunch.pricing.actions import put_entry, rows_in_force
from afterlaunch.pricing.rules import OVERRIDE


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(value)
    return {str(name): told if isinstance(told, dict) else str(told) for name, told in value.items()}


def _any_text(value: Any) -> str:
    if isinstance(value, bool | dict | list):
        raise ValueError(value)
    return "" if value is None else str(value)


FIELDS = {
    "provider": NEEDED_TEXT,
    "model": TEXT,
    "pattern": FLAG,
    "prices": Field("an object of units and amounts", _mapping),
    "percent": Field("a percentage", _any_text),
    "from": Field("an instant", _any_text),
    "until": Field("an instant", _any_text),
    "daily": Field('two times of a UTC day, like "00:30-16:30"', _any_text),
    "conditions": Field("an object of facts and values", _mapping),
    "owner": NEEDED_TEXT,
    "reason": NEEDED_TEXT,
}


def read() -> list[tuple[Metadata, Spec]]:
    out: list[tuple[Metadata, Spec]] = []
    for of in Client.objects.filter(price_entries__isnull=False).distinct().order_by("slug"):
        for row in rows_in_force(of):
            if row.source == OVERRIDE:
                spec = row.entry.document()
                out.append(({"client": of.slug, "name": spec.pop("name")}, spec))
    return out


def put(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    put_entry(actor, client(metadata["client"]), {**spec, "name": metadata["name"]})
