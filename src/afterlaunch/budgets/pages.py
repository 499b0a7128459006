"""Budgets as pages: how near each is to its limit, and one with its burn, counters, deeds and what it would refuse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.budgets import forms, sharing, words
from afterlaunch.budgets.actions import (
    Values,
    budget_by_id,
    budgets_seen_by,
    end_budget,
    put_budget,
    values_of,
)
from afterlaunch.budgets.counting import TELEMETRY
from afterlaunch.budgets.models import Mark
from afterlaunch.budgets.observing import extrapolated
from afterlaunch.budgets.preview import DAYS, Preview, preview
from afterlaunch.budgets.standing import Nearest, Standing, many, nearest, standings, window_now
from afterlaunch.budgets.units import bare, shown
from afterlaunch.contracts.budgets import MODES, NO_PRICE, UNITS, WINDOWS
from afterlaunch.contracts.budgets import Budget as Contract
from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.look import charts
from afterlaunch.look.requests import Request
from afterlaunch.routes.models import Budget

PER_PAGE = 25
TOLD = ("name", "mode", "window", "scope", "client__slug")
NEAR = 0.8
STATES = {"": "All", "near": "At 80% or more", "reached": "Reached"}
NANO = 1e9


@dataclass(frozen=True)
class Row:
    """One counter as a page shows it."""

    standing: Standing
    used: str
    reserved: str
    limit: str
    bar: float  # percent of the width
    held: float
    tone: str
    forecast: str


def _row(budget: Budget, one: Standing) -> Row:
    at = one.forecast.at
    local = f"{timezone.localtime(at):%a %-d %b %H:%M}" if at else ""
    bar = min(100.0, one.share * 100)
    return Row(
        one,
        bare(budget.unit, one.used),
        bare(budget.unit, one.reserved),
        shown(budget.unit, one.limit),
        bar,
        min(100.0, one.held * 100) - bar,
        "breach" if one.share >= 1 else "warning" if one.held >= NEAR or one.forecast.kind == "reaches" else "",
        words.expected(one.forecast, budget.unit, one.limit, local),
    )


def _may(actor: Actor, client: Client | None) -> bool:
    return actor.may(Role.OPERATOR, client.slug if client else None)


@require_http_methods(["GET", "HEAD", "POST"])
def budgets(request: Request) -> HttpResponse:
    """The nearest to its limit first. `limit`: what a budget of these values would have refused."""
    if request.method == "POST":
        slug = request.POST.get("client", "")
        client = client_by_slug(request.actor, slug) if slug else None
        made = put_budget(request.actor, client, request.POST.get("name", ""), forms.read(request.POST.dict()))
        messages.success(request, f"The budget {made.name} is in force.")
        return redirect(made)
    now = clock.now()
    running = budgets_seen_by(request.actor).filter(ended_at=None)
    near = nearest(running, now)
    rows = [_told(one, near.get(one[0])) for one in running.select_related(None).values_list("pk", *TOLD)]
    rows.sort(key=lambda row: (-row["share"], row["name"]))
    page = Paginator(_filtered(rows, request.GET), PER_PAGE).get_page(request.GET.get("page"))
    _fill(page, running, now)
    clients = [one for one in _clients(request.actor) if _may(request.actor, one)]
    asked = forms.read(request.GET.dict()) if request.GET.get("limit") else None
    context: dict[str, Any] = {
        "rows": rows,
        "page": page,
        "of_clients": sorted({row["client__slug"] for row in rows if row["client__slug"]}),
        "states": STATES,
        "near": sum(row["share"] >= NEAR for row in rows),
        "reached": sum(row["share"] >= 1 for row in rows),
        "refused": sum(row["refused"] for row in rows if row["mode"] == "hard"),
        "ended": budgets_seen_by(request.actor).exclude(ended_at=None).order_by("-ended_at")[:20],
        "clients": clients,
        "house": _may(request.actor, None),
        "form": forms.filled(asked),
        "asked": request.GET,
        "preview": _preview(request.actor, request.GET.get("client", ""), asked, now) if asked else None,
        **_choices(request.actor),
    }
    return render(request, "budgets/budgets.html", context)


def _told(told: tuple[Any, ...], near: Nearest | None) -> dict[str, Any]:
    """What is sorted and looked for, of every budget."""
    names = dict(zip(TOLD, told[1:], strict=True))
    seen = {"share": near.held, "refused": near.refused, "counter": near.counter} if near else {}
    return {"pk": told[0], "share": 0.0, "refused": 0, "counter": "", **names, **seen}


def _filtered(rows: list[dict[str, Any]], asked: QueryDict) -> list[dict[str, Any]]:
    """`of`: a client's; `state`: near or reached; `q`: words that name, scope or nearest counter hold."""
    of, least = asked.get("of", ""), {"near": NEAR, "reached": 1.0}.get(asked.get("state", ""), 0.0)
    words_ = asked.get("q", "").lower().split()
    return [
        row
        for row in rows
        if row["share"] >= least
        and (not of or row["client__slug"] == of)
        and (not words_ or all(word in _text(row) for word in words_))
    ]


def _text(row: dict[str, Any]) -> str:
    scope = row["scope"]
    return " ".join(
        (row["name"], row["mode"], row["window"], words.scope_of(scope), *scope.values(), row["counter"])
    ).lower()


def _fill(page: Page[dict[str, Any]], running: QuerySet[Budget], now: datetime) -> None:
    """What a page shows of its rows."""
    budgets = running.in_bulk([row["pk"] for row in page])
    found = many(list(budgets.values()), now)
    for row in page:
        budget = row["budget"] = budgets[row["pk"]]
        row |= {"scope": words.scope_of(budget.scope), "limit": shown(budget.unit, budget.limit)}
        row |= {"counters": len(found[budget.pk]), "renews": window_now(budget, now).end}
        row["nearest"] = next((_row(budget, one) for one in found[budget.pk]), None)


def _clients(actor: Actor) -> list[Client]:
    seen = actor.sees()
    return list(Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen))


def _choices(actor: Actor) -> dict[str, Any]:
    return {
        "units": UNITS,
        "windows": WINDOWS,
        "modes": MODES,
        "no_prices": NO_PRICE,
        "systems": sorted({row.key for row in systems_seen_by(actor)}),
        "days": DAYS,
    }


def _preview(actor: Actor, slug: str, values: Values, now: datetime) -> dict[str, Any]:
    """Of values that were not saved. Whoever may make it may see it."""
    client = client_by_slug(actor, slug) if slug else None
    actor.require(Role.OPERATOR, client.slug if client else None)
    scope = {**values.scope, "client": client.slug} if client else dict(values.scope)
    budget = Contract("", "", scope, values.unit, values.limit, values.window, values.zone)
    return _shown(preview(budget, now), values) if budget.check() is None else {"why": budget.check()}


def _shown(found: Preview, values: Values) -> dict[str, Any]:
    over = [(one.counter or "all", one.windows, one.calls, shown(values.unit, one.most)) for one in found.over]
    return {"found": found, "why": found.why, "over": over, "limit": shown(values.unit, values.limit)}


@require_http_methods(["GET", "HEAD", "POST"])
def budget(request: Request, pk: int) -> HttpResponse:
    """`counter`: whose burn is drawn; `q`: counters that hold this text; `limit`: preview of other values."""
    row = budget_by_id(request.actor, pk)
    if request.method == "POST":
        put_budget(request.actor, row.client, row.name, forms.read(request.POST.dict(), values_of(row)))
        messages.success(request, f"{row.name} is altered; gateways hold to it within a second.")
        return redirect(row)
    now, window = clock.now(), window_now(row, clock.now())
    found = standings(row, now)
    asked = forms.read(request.GET.dict(), values_of(row)) if request.GET.get("limit") else None
    q = request.GET.get("q", "").strip()
    counters = [_row(row, one) for one in found if q.lower() in one.counter.lower()]
    wanted = request.GET.get("counter")
    chosen = next((one for one in found if one.counter == wanted), found[0] if found else None)
    shares = sharing.standing(row, int(window.start.timestamp()), chosen.counter if chosen else "")
    slug = row.client.slug if row.client else ""
    context: dict[str, Any] = {
        "budget": row,
        "shares": shares,
        "shared": shown(row.unit, shares[1]) if shares else "",
        "scope": words.scope_of(row.scope),
        "limit": shown(row.unit, row.limit),
        "window": window,
        "chosen": _row(row, chosen) if chosen else None,
        "picture": _burn(row, chosen, now) if chosen else None,
        "page": Paginator(counters, PER_PAGE).get_page(request.GET.get("page")),
        "counters": len(found),
        "q": q,
        "refused": sum(one.refused for one in found),
        "unconfirmed": shown(row.unit, sum(one.unconfirmed for one in found)),
        "overdraft": shown(row.unit, sum(one.overdraft for one in found)),
        "unpriced": sum(one.unpriced for one in found),
        "extrapolated": _extrapolated(row, chosen, now),
        "deeds": _deeds(row),
        "may": _may(request.actor, row.client) and row.ended_at is None,
        "form": forms.filled(asked or values_of(row)),
        "preview": _preview(request.actor, slug, asked, now) if asked else None,
        **_choices(request.actor),
    }
    return render(request, "budgets/budget.html", context)


def _extrapolated(budget: Budget, chosen: Standing | None, now: datetime) -> str:
    """Of a budget that telemetry feeds, where it tells of samples; else empty."""
    if chosen is None or budget.fed != TELEMETRY or budget.ended_at is not None:
        return ""
    meant = extrapolated(budget, chosen.counter, now)
    return "" if meant is None else shown(budget.unit, meant)


def _burn(budget: Budget, chosen: Standing, now: datetime) -> SafeString:
    window = window_now(budget, now)
    start = int(window.start.timestamp())
    scale = NANO if budget.unit == "usd" else 1
    marks = Mark.objects.filter(budget=budget, window_start=start, counter=chosen.counter).order_by("slot")
    points: list[tuple[datetime, dict[str, float | None]]] = []
    if window.end is not None:
        points.append((window.start, {"used": 0.0}))
    points += [(max(datetime.fromtimestamp(one.slot, UTC), window.start), {"used": one.used / scale}) for one in marks]
    points.append((now, {"used": chosen.used / scale}))
    seen = chosen.forecast
    if window.end is not None and seen.ends_at is not None and seen.kind in ("reaches", "holds"):
        points[-1][1]["at this rate"] = chosen.used / scale
        reached = seen.at is not None  # no further than the limit: what comes after it is another question
        points.append((seen.at or window.end, {"at this rate": (budget.limit if reached else seen.ends_at) / scale}))
    unit = "US dollars" if budget.unit == "usd" else budget.unit
    return charts.lines(points, unit, width=900, height=180, limits=[budget.limit / scale])


def _deeds(budget: Budget) -> list[dict[str, Any]]:
    """Who did what, the newest first."""
    found = []
    for one in Entry.objects.filter(subject=f"budget/{budget.pk}").order_by("-index")[:50]:
        details = orjson.loads(bytes(one.body))["details"]
        before, after = details.get("before", {}), details.get("after", {})
        changed = [(name, before[name], after[name]) for name in after if before and before.get(name) != after[name]]
        found.append(
            {"at": one.at, "who": one.actor, "deed": one.deed, "changed": changed, "why": details.get("reason")}
        )
    return found


@require_POST
def end(request: Request, pk: int) -> HttpResponse:
    row = end_budget(request.actor, budget_by_id(request.actor, pk), request.POST.get("reason", ""))
    messages.success(request, f"The budget {row.name} has ended: it limits nothing from now on.")
    return redirect("/budgets")
