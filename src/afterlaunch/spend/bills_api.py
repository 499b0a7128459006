"""Providers' bills and their reconciliation, over the API. Money is decimal strings in USD."""

from __future__ import annotations

from typing import Any

from ninja import Router, Schema
from pydantic import Field

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.ground import clock
from afterlaunch.look.requests import Request
from afterlaunch.spend import held
from afterlaunch.spend.billing import as_document, import_bill, month_of
from afterlaunch.spend.reconcile import document
from afterlaunch.telemetry.views.grids import usd

router = Router(tags=["bills"])


class BillIn(Schema):
    """`form`: openai-usage, openai-costs, anthropic-usage, anthropic-costs, csv; `mapping`, for csv: our column (day,
    account, model, class, tokens, amount, currency, kind) to the file's."""

    provider: str
    form: str
    text: str
    mapping: dict[str, str] = Field(default_factory=dict)


@router.post("/clients/{slug}/bills")
def add_bill(request: Request, slug: str, body: BillIn) -> dict[str, Any]:
    """Import a provider's bill. The same file again is the same bill; a later one supersedes the days it tells."""
    client = client_by_slug(request.actor, slug)
    row = import_bill(request.actor, client, body.provider, body.form, body.text, body.mapping)
    return {"id": row.pk, "provider": row.provider, "from": row.first_day, "to": row.last_day, "lines": len(row.lines)}


@router.get("/clients/{slug}/reconciliation")
def reconciliation(request: Request, slug: str, month: str | None = None) -> dict[str, Any]:
    """What was reserved, what was settled and what was billed, by provider: tokens first, then money, explained and
    unexplained. Without a bill a provider is not_assessed. `month`: like 2026-11, by default this one."""
    client, wanted = client_by_slug(request.actor, slug), month or f"{clock.now():%Y-%m}"
    found = month_of(request.actor, client, wanted)
    return {"month": wanted, "rows": [as_document(client, one, document(one.outcome, usd)) for one in found]}


class DaysIn(Schema):
    """`days`: objects with day, client, provider, model, at and the sums of the ledger."""

    gateway: str
    days: list[Any]


@router.post("/gateway/days", tags=["gateway"])
def take_days(request: Request, body: DaysIn) -> dict[str, Any]:
    """What a gateway's ledger reserved and settled by UTC day, client, provider and model. The later telling of a day
    wins: telling again changes nothing. Good days are kept, bad ones named by their place. For gateways: role ingest
    for all clients."""
    taken, bad = held.take(request.actor, body.gateway, body.days)
    return {"taken": taken, "refused": [{"place": place, "reason": reason} for place, reason in bad]}
