from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema

from afterlaunch.accounts.auth import actor_of
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.telemetry import records
from afterlaunch.telemetry import served as service
from afterlaunch.telemetry.attribution import Share, breakdown
from afterlaunch.telemetry.columns import BUCKETS
from afterlaunch.telemetry.intake import FORWARDED, LOOPBACK
from afterlaunch.telemetry.ranked import ranked
from afterlaunch.telemetry.views import exports
from afterlaunch.telemetry.views.finding import find
from afterlaunch.telemetry.views.grids import usd
from afterlaunch.telemetry.views.search import Search, of_dimensions, parse
from afterlaunch.telemetry.windows import Window

router = Router(tags=["telemetry"])
From = Annotated[datetime | None, Query(alias="from")]
To = Annotated[datetime | None, Query(alias="to")]


class Filters(Schema):
    """Only calls that tell exactly this."""

    client: str | None = None
    system: str | None = None
    environment: str | None = None
    service: str | None = None
    agent: str | None = None
    route: str | None = None
    tenant: str | None = None
    provider: str | None = None
    model: str | None = None
    version: str | None = None
    arm: str | None = None
    op_kind: str | None = None
    tool: str | None = None

    def equals(self) -> dict[str, str | None]:
        return {name: value for name, value in self.dict().items() if value is not None}


Narrow = Annotated[Filters, Query()]


def period(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """[start, end), by default the last 24 hours. Times without a zone are refused."""
    for instant in (start, end):
        if instant is not None and instant.tzinfo is None:
            raise Invalid("Times need a zone.", "For example 2026-03-01T00:00:00Z")
    until = (end or clock.now() + timedelta(minutes=1)).astimezone(UTC)
    since = (start or until - timedelta(days=1)).astimezone(UTC)
    if since >= until:
        raise Invalid("`from` must lie before `to`.")
    return since, until


def _groups(group_by: str) -> list[str]:
    return [name.strip() for name in group_by.split(",") if name.strip()]


@router.get("/spans")
def list_spans(
    request: Request,
    system: str | None = None,
    trace_id: str | None = None,
    q: str = "",
    start: From = None,
    end: To = None,
    limit: int = 100,
    cursor: str | None = None,
    format: str = "json",
    content: bool = False,
) -> Any:
    """Spans, newest first; `cursor` of one answer is the next one's. `q` as for calls; `format` csv or parquet gives a
    file of up to 100,000 rows, with `content` what was said too."""
    limit = max(1, min(limit, 1000))
    if not q and format == "json":
        rows = records.spans(request.actor.sees(), system, trace_id, start, end, limit + 1, cursor)
        more = rows[limit - 1]["cursor"] if len(rows) > limit else None
        return {"spans": rows[:limit], "cursor": more}
    search = parse(q)
    for name, value in (("system", system), ("trace", trace_id)):
        search = search.also(name, value) if value else search
    return _searched(request, "spans", search, start, end, limit, cursor, format, content)


@router.get("/calls")
def list_calls(
    request: Request,
    filters: Narrow,
    q: str = "",
    start: From = None,
    end: To = None,
    failed: bool | None = None,
    limit: int = 100,
    cursor: str | None = None,
    format: str = "json",
) -> Any:
    """Model calls, each once, newest first. `q` searches as the page of calls does: `model:gpt-4o cost>0.01
    duration>2s attribute:plan=pro "refund policy"`. A search through content stops after a while: `searched_to` then
    says how far it came, and `cursor` goes on. `format` csv or parquet gives a file of up to 100,000 rows."""
    search = parse(q)
    for term in of_dimensions(filters.equals()).terms:
        search = search.also(term.field, term.values[0])
    if failed is not None:
        search = search.also("failed", "yes" if failed else "no")
    return _searched(request, "calls", search, start, end, max(1, min(limit, 1000)), cursor, format, False)


def _searched(
    request: Request,
    table: str,
    search: Search,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
    kind: str,
    content: bool,
) -> Any:
    since, until = period(start, end)
    seen = request.actor.sees()
    if kind != "json":
        return exports.of_search(kind, search, since, until, seen, table, content)
    found = find(search, since, until, seen, limit, cursor, table)
    return {table: found.rows, "cursor": found.cursor, "searched_to": found.searched_to}


@router.get("/spend")
def spend(
    request: Request,
    filters: Narrow,
    group_by: str = "model",
    start: From = None,
    end: To = None,
    limit: int = 1_000,
    cursor: int = 0,
) -> dict[str, Any]:
    """Tokens and cost by any dimensions, the dearest first. A sum holds what is known; `calls_with_unknown_cost` counts
    the rest. `limit`: rows of an answer, at most 10,000; the next ones are got by `cursor`, with the same `from` and
    `to`."""
    since, until = period(start, end)
    limit, cursor = max(1, min(limit, 10_000)), max(0, cursor)
    names = _groups(group_by)
    found = ranked(since, until, names, request.actor.sees(), filters.equals(), most=limit, skip=cursor)
    last = cursor + limit
    return {
        "from": since,
        "to": until,
        "rows": [{**dict(zip(names, row.key, strict=True)), **_sums(row.now)} for row in found.rows],
        "row_count": found.count,
        "cursor": last if last < found.count else None,
    }


def spend_row(row: Window) -> dict[str, Any]:
    """The groups, and what they sum to."""
    return {**row.key, **_sums(row)}


def _sums(row: Window | Share) -> dict[str, Any]:
    """Calls, token buckets, known cost, how many calls' cost is not known, and what is estimated."""
    return {
        "calls": row.calls,
        **{name: row.buckets.get(name, 0) for name in BUCKETS},
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": usd(row.cost_nano),
        "calls_with_unknown_cost": row.calls_unknown_cost,
        **_estimated(row),
        **_extrapolated(row),
    }


def _estimated(row: Window | Share) -> dict[str, Any]:
    """What of the sums rests on tokens that nobody told, so that the gateway estimated them."""
    return {
        "calls_estimated": row.calls_estimated,
        "tokens_estimated": row.tokens_estimated,
        "cost_estimated_usd": usd(row.cost_estimated_nano),
    }


def _extrapolated(row: Window | Share) -> dict[str, Any]:
    """What samplers left out is in no other figure; these hold it."""
    return {
        "calls_sampled": row.calls_sampled,
        "calls_extrapolated": row.calls_extrapolated,
        "cost_extrapolated_usd": usd(row.cost_extrapolated_nano),
    }


@router.get("/spend/attribution")
def spend_attribution(
    request: Request,
    filters: Narrow,
    by: str = "model",
    start: From = None,
    end: To = None,
    limit: int = 1_000,
) -> dict[str, Any]:
    """Tokens and cost by one dimension: client, system, environment, tenant, agent, route, model, provider, version,
    user, session, transaction, arm or purpose. Whatever the dimension, the rows sum to `total`: what nobody told is a
    row whose value is null, and what comes after the dearest `limit` is one row with `other` true."""
    since, until = period(start, end)
    found = breakdown(since, until, by, request.actor.sees(), max(1, min(limit, 10_000)), **filters.equals())
    total, untold = found.total, found.unattributed
    return {
        "from": since,
        "to": until,
        "by": by,
        "rows": [{by: row.value, "other": row.other, **_share(row)} for row in found.rows],
        "total": _share(total),
        "unattributed": {
            **_share(untold),
            "share_of_cost": untold.cost_nano / total.cost_nano if total.cost_nano else None,
        },
    }


def _share(row: Share) -> dict[str, Any]:
    return {
        "calls": row.calls,
        **row.buckets,
        "cost_usd": usd(row.cost_nano),
        "calls_with_unknown_cost": row.calls_unknown_cost,
        **_estimated(row),
        **_extrapolated(row),
    }


@router.get("/availability")
def availability(request: Request, filters: Narrow, start: From = None, end: To = None) -> dict[str, Any]:
    """Calls served by place. `unserved` failed, but for those that the user cancelled; `minutes_down` are minutes with
    calls in which none was served. Minutes without a call are in no figure."""
    since, until = period(start, end)
    rows = service.served([since, until], request.actor.sees(), **filters.equals())
    whose = service.faults(since, until, request.actor.sees(), **filters.equals())
    return {
        "from": since,
        "to": until,
        "rows": [
            {
                **dict(zip(("client", "system", "environment"), row.place, strict=True)),
                "calls": row.calls,
                "served": row.calls - row.unserved,
                "unserved": row.unserved,
                "cancelled": row.cancelled,
                "minutes_with_calls": row.minutes,
                "minutes_down": row.minutes_down,
                "failed_by_fault": dict(whose.get(row.place, {})),
            }
            for row in rows
        ],
    }


@router.get("/telemetry/counts")
def counts(request: HttpRequest) -> dict[str, Any]:
    """How many spans are stored in all; for the whole installation, so it takes sight of all clients.
    Whoever may send telemetry without a token (loopback) may ask without one."""
    if "Authorization" in request.headers or not _at_the_open_door(request):
        actor_of(request).require("viewer", None)
    return {"total": records.total_spans()}


def _at_the_open_door(request: HttpRequest) -> bool:
    forwarded = any(name in request.headers for name in FORWARDED)
    loopback_only = settings().text("HOST") in (*LOOPBACK, "localhost")
    return loopback_only and request.META.get("REMOTE_ADDR") in LOOPBACK and not forwarded
