from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ninja import Router, Schema
from pydantic import Field

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.budgets import sharing
from afterlaunch.budgets.actions import (
    THRESHOLDS,
    Values,
    budget_by_id,
    budgets_seen_by,
    end_budget,
    put_budget,
    values_of,
)
from afterlaunch.budgets.cards import card
from afterlaunch.budgets.counting import take
from afterlaunch.budgets.units import counted, price, price_written, written
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.look.requests import Request
from afterlaunch.routes.models import Budget

router = Router(tags=["budgets"])


class BudgetIn(Schema):
    """`client` empty: of the house. `limit`: dollars, tokens or requests; `default_price`: dollars per million tokens.
    A scope's `*` counts each value by itself."""

    client: str = ""
    name: str
    unit: str
    limit: str | int | float
    window: str
    scope: dict[str, str] = Field(default_factory=dict)
    zone: str = "UTC"
    mode: str = "hard"
    no_price: str = "refuse"
    default_price: str | int | float = "0"
    fed: str = "gateway"
    thresholds: list[int] = Field(default_factory=lambda: list(THRESHOLDS))
    forecast: bool = True
    system: str = ""
    cheaper: str = ""

    def values(self) -> Values:
        return Values(
            unit=self.unit,
            limit=counted(self.unit, self.limit),
            window=self.window,
            scope=self.scope,
            zone=self.zone,
            mode=self.mode,
            no_price=self.no_price,
            default_pico=price(self.default_price),
            fed=self.fed,
            thresholds=tuple(self.thresholds),
            forecast=self.forecast,
            system=self.system,
            cheaper=self.cheaper,
        )


class End(Schema):
    reason: str = ""


def as_document(row: Budget) -> dict[str, Any]:
    values = values_of(row)
    return {
        "id": row.pk,
        "client": row.client.slug if row.client else None,
        "name": row.name,
        "unit": row.unit,
        "limit": written(row.unit, row.limit),
        "window": row.window,
        "scope": row.scope,
        "zone": row.zone,
        "mode": row.mode,
        "no_price": row.no_price,
        "default_price": price_written(row.default_pico),
        "fed": row.fed,
        "thresholds": row.thresholds,
        "forecast": row.forecast,
        "system": values.system or None,
        "cheaper": row.cheaper or None,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
    }


@router.get("/budgets")
def list_budgets(
    request: Request, client: str | None = None, ended: bool = False, limit: int = 100, cursor: int = 0
) -> dict[str, Any]:
    """Budgets in force, by id; with `ended`, those that have ended as well."""
    limit = max(1, min(limit, 500))
    rows = budgets_seen_by(request.actor).filter(pk__gt=cursor)
    rows = rows.filter(client__slug=client) if client else rows
    rows = rows if ended else rows.filter(ended_at=None)
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"budgets": [as_document(row) for row in found[:limit]], "cursor": more}


@router.get("/budgets/{budget_id}")
def show_budget(request: Request, budget_id: int) -> dict[str, Any]:
    return as_document(budget_by_id(request.actor, budget_id))


@router.post("/budgets")
def make_budget(request: Request, body: BudgetIn) -> dict[str, Any]:
    """Make a budget, or alter the one of this name: limit, mode, price rule and alerts may be altered; for another
    scope, unit or window end it and make another. In force within a second. For operators of the client; a budget of
    the house takes an operator for all clients."""
    client = client_by_slug(request.actor, body.client) if body.client else None
    return as_document(put_budget(request.actor, client, body.name, body.values()))


@router.post("/budgets/{budget_id}/end")
def end(request: Request, budget_id: int, body: End) -> dict[str, Any]:
    """It limits nothing from now on; what was counted stays."""
    return as_document(end_budget(request.actor, budget_by_id(request.actor, budget_id), body.reason))


class Counters(Schema):
    """`counters`: objects with budget, counter, window_start, used, reserved, refused, overdraft, unconfirmed, at."""

    gateway: str
    counters: list[Any]


@router.get("/gateway/prices", tags=["gateway"])
def price_card(request: Request, provider: str, model: str, client: str) -> dict[str, Any]:
    """What tokens of a model cost a client now, in pico-USD, and until when; 404 `price_missing` where nobody has
    priced it. For gateways: role ingest for all clients."""
    request.actor.require(Role.INGEST, None)
    return asdict(card(provider, model, client, clock.now()))


@router.post("/gateway/budgets", tags=["gateway"])
def take_counters(request: Request, body: Counters) -> dict[str, Any]:
    """What a gateway counted. The later telling of a counter and window wins: telling again changes nothing. Good
    counters are kept, bad ones named by their place. For gateways: role ingest for all clients."""
    taken = take(request.actor, body.gateway, body.counters)
    refused = [{"place": place, "reason": reason} for place, reason in taken.refused]
    return {"taken": taken.taken, "older": taken.older, "refused": refused}


class Wants(Schema):
    """`wants`: objects with budget, counter, window_start, held (the share that the gateway knows) and tries."""

    gateway: str
    wants: list[Any]


@router.post("/gateway/shares", tags=["gateway"])
def draw_shares(request: Request, body: Wants) -> dict[str, Any]:
    """More of limits that all gateways share: each share as it is now. A share that is larger than what the gateway
    knows is told again, so that asking twice gives it once. For gateways: role ingest for all clients."""
    return {"shares": sharing.draw(request.actor, body.gateway, body.wants)}
