"""Price tables and the past priced anew, over the API. Money is decimal strings in USD."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema
from pydantic import Field

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.look.requests import Request
from afterlaunch.prices.bundled import SOURCE
from afterlaunch.pricing.actions import Planned, plan, put_entry, read_table, rows_in_force, take, version_of, withdraw
from afterlaunch.pricing.models import PriceEntry
from afterlaunch.spend import repricing
from afterlaunch.spend.models import Repricing
from afterlaunch.telemetry.repricing import Effect
from afterlaunch.telemetry.views.grids import usd

router = Router(tags=["prices"])


class EntryIn(Schema):
    """As in a file of kind Price; see docs/prices.md. `prices`: unit to amount, or to `base` and `above`."""

    name: str
    provider: str
    model: str = ""
    pattern: bool = False
    prices: dict[str, Any] = Field(default_factory=dict)
    percent: str | None = None
    starts: datetime | None = Field(None, alias="from")
    until: datetime | None = None
    daily: str = ""
    conditions: dict[str, str] = Field(default_factory=dict)
    currency: str = "USD"
    owner: str
    reason: str


class TableIn(Schema):
    """`table` names it; `text` is JSON, YAML or CSV. Without `confirm` nothing takes effect."""

    table: str
    text: str
    owner: str
    reason: str
    confirm: bool = False


class WithdrawIn(Schema):
    name: str
    reason: str


class RepricingIn(Schema):
    """The calls of [from, to) are priced by the client's table as it is now."""

    start: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    reason: str


def entry_document(row: PriceEntry) -> dict[str, Any]:
    return {
        **row.entry.document(),
        "source": row.source,
        "version": row.version,
        "created_at": row.created_at,
        "created_by": row.created_by,
    }


def effect_document(found: Effect) -> dict[str, Any]:
    rows = [{"month": month, "model": model or None, **_money(vars(one))} for (month, model), one in found.by.items()]
    return {**_money(vars(found.whole)), "rows": rows}


def _money(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "calls": told["calls"],
        "calls_changed": told["changed"],
        "old_usd": usd(told["old_nano"]),
        "new_usd": usd(told["new_nano"]),
        "difference_usd": usd(told["new_nano"] - told["old_nano"]),
        "old_calls_with_unknown_cost": told["old_unknown"],
        "new_calls_with_unknown_cost": told["new_unknown"],
    }


def repricing_document(row: Repricing) -> dict[str, Any]:
    return {
        "id": row.pk,
        "client": row.client.slug,
        "table_version": row.version,
        "from": row.since,
        "to": row.until,
        "reason": row.reason,
        "state": row.state,
        "calls": row.calls,
        "calls_changed": row.changed,
        "old_usd": usd(row.old_nano),
        "new_usd": usd(row.new_nano),
        "difference_usd": usd(row.difference_nano),
        "calls_done": row.done_calls,
        "rows": [{"month": one["month"], "model": one["model"] or None, **_money(one)} for one in row.rows],
        "proposed_at": row.proposed_at,
        "proposed_by": row.proposed_by,
        "decided_at": row.decided_at,
        "decided_by": row.decided_by or None,
        "finished_at": row.finished_at,
    }


def planned_document(planned: Planned) -> dict[str, Any]:
    return {
        "version": planned.version,
        "differences": [
            {"name": one.name, "what": one.what, "before": one.before, "after": one.after}
            for one in planned.differences
        ],
        "last_30_days": effect_document(repricing.effect_of(planned)),
    }


@router.get("/clients/{slug}/prices")
def prices(request: Request, slug: str, version: int | None = None) -> dict[str, Any]:
    """The client's own entries in force, now or as of a version of its table, before the bundled table."""
    client = client_by_slug(request.actor, slug)
    rows = rows_in_force(client, version)
    entries = [entry_document(row) for row in rows]
    return {"client": slug, "version": version_of(client), "bundled": str(SOURCE), "entries": entries}


@router.post("/clients/{slug}/prices")
def set_price(request: Request, slug: str, body: EntryIn) -> dict[str, Any]:
    """Set an override: own prices of a model, or a percentage of a contract. A name that exists is superseded. Calls
    from now on are priced by it; the past moves only by a repricing."""
    told = body.model_dump(by_alias=True)
    return {"version": put_entry(request.actor, client_by_slug(request.actor, slug), told)}


@router.post("/clients/{slug}/prices/withdraw")
def withdraw_price(request: Request, slug: str, body: WithdrawIn) -> dict[str, Any]:
    """An entry prices nothing from now on; it stays on record."""
    return {"version": withdraw(request.actor, client_by_slug(request.actor, slug), body.name, body.reason)}


@router.post("/clients/{slug}/prices/import")
def import_prices(request: Request, slug: str, body: TableIn) -> dict[str, Any]:
    """What a table of that name would change, and what the last 30 days would have cost by it; with `confirm` it takes
    effect."""
    client = client_by_slug(request.actor, slug)
    entries = read_table(body.text, body.table, body.owner, body.reason)
    planned = plan(request.actor, client, entries, body.table)
    shown = planned_document(planned)
    return {
        **shown,
        "taken": body.confirm,
        "version": take(request.actor, planned) if body.confirm else planned.version,
    }


@router.get("/repricings")
def repricings(request: Request, client: str | None = None) -> dict[str, Any]:
    """Runs that priced the past anew, or would, newest first; at most 100."""
    rows = repricing.seen_by(request.actor)
    rows = rows.filter(client__slug=client) if client else rows
    return {"rows": [repricing_document(row) for row in rows[:100]]}


@router.get("/repricings/{int:pk}")
def one_repricing(request: Request, pk: int) -> dict[str, Any]:
    """One run with old and new sums by month and model."""
    return repricing_document(repricing.by_id(request.actor, pk))


@router.post("/clients/{slug}/repricings")
def propose_repricing(request: Request, slug: str, body: RepricingIn) -> dict[str, Any]:
    """Count what the table in force now would change of the past. Nothing changes before it is approved."""
    client = client_by_slug(request.actor, slug)
    return repricing_document(repricing.propose(request.actor, client, body.start, body.end, body.reason))


@router.post("/repricings/{int:pk}/approve")
def approve_repricing(request: Request, pk: int) -> dict[str, Any]:
    """Let it run. Old costs stay with the spans, old sums with the run."""
    return repricing_document(repricing.decide(request.actor, repricing.by_id(request.actor, pk), True))


@router.post("/repricings/{int:pk}/refuse")
def refuse_repricing(request: Request, pk: int) -> dict[str, Any]:
    """Leave the past as it is."""
    return repricing_document(repricing.decide(request.actor, repricing.by_id(request.actor, pk), False))
