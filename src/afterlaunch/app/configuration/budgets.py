"""Documents of budgets. `client: "*"` is the house's own."""

from __future__ import annotations

from typing import Any

from afterlaunch.accounts.models import Client
from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, TEXT, ZONE, Field, list_of, one_of, texts, whole
from afterlaunch.app.configuration.people import client
from afterlaunch.budgets.actions import FED, Values, budget_by_name, put_budget, values_of
from afterlaunch.budgets.units import counted, price, price_written, written
from afterlaunch.contracts.budgets import MODES, NO_PRICE, UNITS, WINDOWS
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid
from afterlaunch.routes.models import Budget

ALL = "*"


def _amount(value: Any) -> str:
    """As it is exported: the plain number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(value)
    try:
        return written("usd", counted("usd", value))
    except Invalid as problem:
        raise ValueError(value) from problem


BUDGET_FIELDS = {
    "unit": one_of(UNITS, needed=True),
    "limit": Field("a number of dollars, tokens or requests", _amount, needed=True),
    "window": one_of(WINDOWS, needed=True),
    "scope": texts(),
    "zone": ZONE,
    "mode": one_of(MODES),
    "noPrice": one_of(NO_PRICE),
    "defaultPrice": Field("a number of dollars per million tokens", _amount),
    "fed": one_of(FED),
    "thresholds": list_of(whole(1, 1000)),
    "forecast": FLAG,
    "system": TEXT,
    "cheaper": TEXT,
}


def _spec(row: Budget) -> Spec:
    values = values_of(row)
    return {
        "unit": values.unit,
        "limit": written(values.unit, values.limit),
        "window": values.window,
        "scope": dict(values.scope),
        "zone": values.zone,
        "mode": values.mode,
        "noPrice": values.no_price,
        "defaultPrice": price_written(values.default_pico),
        "fed": values.fed,
        "thresholds": list(values.thresholds),
        "forecast": values.forecast,
        "system": values.system,
        "cheaper": values.cheaper,
    }


def read_budgets() -> list[tuple[Metadata, Spec]]:
    rows = Budget.objects.select_related("client", "system__client").filter(ended_at=None)
    return [
        ({"client": row.client.slug if row.client else ALL, "name": row.name}, _spec(row))
        for row in rows.order_by("client__slug", "name")
    ]


def put_budget_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """What a document leaves out stays as it is."""
    of: Client | None = None if metadata["client"] == ALL else client(metadata["client"])
    known = budget_by_name(of, metadata["name"])
    usual = Values(spec["unit"], counted(spec["unit"], spec["limit"]), spec["window"])
    before = values_of(known) if known else usual
    values = Values(
        unit=usual.unit,
        limit=usual.limit,
        window=usual.window,
        scope=spec.get("scope", before.scope),
        zone=spec.get("zone", before.zone),
        mode=spec.get("mode", before.mode),
        no_price=spec.get("noPrice", before.no_price),
        default_pico=price(spec["defaultPrice"]) if "defaultPrice" in spec else before.default_pico,
        fed=spec.get("fed", before.fed),
        thresholds=tuple(spec.get("thresholds", before.thresholds)),
        forecast=spec.get("forecast", before.forecast),
        system=spec.get("system", before.system),
        cheaper=spec.get("cheaper", before.cheaper),
    )
    put_budget(actor, of, metadata["name"], values)
