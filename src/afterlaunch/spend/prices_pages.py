"""Prices of a client as a page: what is in force, a form for an override, a table with its preview; repricings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.look.requests import Request
from afterlaunch.prices import witness
from afterlaunch.prices.bundled import SOURCE, provider_id
from afterlaunch.prices.rows import PER
from afterlaunch.pricing.actions import book_of, plan, put_entry, read_table, rows_in_force, take, version_of
from afterlaunch.pricing.actions import withdraw as withdraw_entry
from afterlaunch.pricing.models import PriceEntry
from afterlaunch.spend import repricing
from afterlaunch.telemetry.queries import stretches
from afterlaunch.telemetry.repricing import Effect

SHOWN = 100


@require_safe
def clients(request: Request) -> HttpResponse:
    """Whose prices one may see."""
    seen = request.actor.sees()
    found = list(Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen))
    if len(found) == 1:
        return redirect(f"/spend/prices/{found[0].slug}")
    rows = [{"client": one, "version": version_of(one), "own": len(rows_in_force(one))} for one in found]
    return render(request, "spend/clients.html", {"rows": rows, "bundled": SOURCE})


@require_safe
def prices(request: Request, slug: str) -> HttpResponse:
    return _page(request, client_by_slug(request.actor, slug))


def _page(request: Request, client: Client, **more: Any) -> HttpResponse:
    rows = rows_in_force(client)
    context = {
        "client": client,
        "version": version_of(client),
        "bundled": SOURCE,
        "overrides": [_shown(row) for row in rows if row.percent is None],
        "discounts": [_shown(row) for row in rows if row.percent is not None],
        "runs": repricing.seen_by(request.actor).filter(client=client)[:20],
        "units": list(PER),
        "may_edit": request.actor.may(Role.OPERATOR, client.slug),
        "given": {},
        **more,
    }
    return render(request, "spend/prices.html", context)


def _shown(row: PriceEntry) -> dict[str, Any]:
    entry = row.entry
    amounts = []
    for unit, told in entry.prices.items():
        base, above = (told["base"], told["above"]) if isinstance(told, dict) else (told, {})
        steps = [f"{price} above {int(tokens):,} tokens in" for tokens, price in above.items()]
        amounts.append({"unit": unit.replace("_", " "), "said": ", ".join([base, *steps])})
    return {"row": row, "entry": entry, "amounts": amounts, "percent": entry.document().get("percent")}


@require_POST
def save(request: Request, slug: str) -> HttpResponse:
    """One override from the form."""
    client, given = client_by_slug(request.actor, slug), request.POST
    names = ("name", "provider", "model", "percent", "from", "until", "daily", "owner", "reason")
    told: dict[str, Any] = {name: given[name].strip() for name in names if given.get(name, "").strip()}
    told["pattern"] = given.get("pattern") == "1"
    told["prices"] = pairs(given.get("prices", ""))
    told["conditions"] = pairs(given.get("conditions", ""))
    try:
        version = put_entry(request.actor, client, told)
    except Invalid as problem:
        messages.error(request, f"{problem.message} {problem.hint}")
        return _page(request, client, given=given)
    messages.success(request, f"{told['name']} is in force: version {version} of the table.")
    return redirect(f"/spend/prices/{client.slug}")


def pairs(text: str) -> dict[str, str]:
    """`input 2.5`, a line each."""
    out: dict[str, str] = {}
    for line in text.replace(",", "\n").splitlines():
        name, _, value = line.strip().replace(":", " ").replace("=", " ").partition(" ")
        if name:
            out[name] = value.strip()
    return out


@require_POST
def withdraw(request: Request, slug: str) -> HttpResponse:
    client = client_by_slug(request.actor, slug)
    name = request.POST.get("name", "")
    withdraw_entry(request.actor, client, name, request.POST.get("reason", ""))
    messages.success(request, f"{name} prices nothing any more.")
    return redirect(f"/spend/prices/{client.slug}")


@require_POST
def import_table(request: Request, slug: str) -> HttpResponse:
    """First what it would change; with `confirm`, the change."""
    client, given = client_by_slug(request.actor, slug), request.POST
    upload = request.FILES.get("file")
    try:
        text = upload.read().decode() if upload else given.get("text", "")
        table, reason = given.get("table", "").strip(), given.get("reason", "")
        planned = plan(request.actor, client, read_table(text, table, _owner(request), reason), table)
        if given.get("confirm") == "1":
            version = take(request.actor, planned)
            messages.success(request, f"{table} is in force: version {version} of the table.")
            return redirect(f"/spend/prices/{client.slug}")
        found = repricing.effect_of(planned)
    except UnicodeDecodeError:
        messages.error(request, "That file is no text.")
        return _page(request, client, imported=given)
    except AfterlaunchError as problem:
        if problem.status not in (400, 413):
            raise
        messages.error(request, f"{problem.message} {problem.hint}")
        return _page(request, client, imported=given)
    changes = [(one.name, one.what, _said(one.before), _said(one.after)) for one in planned.differences[:SHOWN]]
    imported = {"table": table, "owner": given.get("owner", ""), "reason": reason, "text": text}
    effect = _dearest_first(found)[:SHOWN]
    return _page(request, client, planned=planned, changes=changes, effect=effect, whole=found.whole, imported=imported)


@require_POST
def compare(request: Request, slug: str) -> HttpResponse:
    """A second table as a witness: nothing is kept of it."""
    client, upload = client_by_slug(request.actor, slug), request.FILES.get("file")
    try:
        if upload is None:
            raise Invalid("There is no file.", "Choose LiteLLM's model_prices JSON.")
        found = witness.compare(witness.read(upload.read(witness.LARGEST + 1)), clock.now(), book_of(client))
    except Invalid as problem:
        messages.error(request, f"{problem.message} {problem.hint}")
        return _page(request, client)
    used = _used(client)
    ours = sorted(found.disagreements, key=lambda one: ((one.provider, one.model) not in used, one.provider, one.model))
    shown = [(one, (one.provider, one.model) in used) for one in ours[:SHOWN]]
    left = max(0, len(ours) - SHOWN)
    return _page(request, client, witness=found, disagreements=shown, disagreements_left=left)


def _used(client: Client) -> set[tuple[str, str]]:
    """(provider, model) of the last 30 days: what these prices cost somebody."""
    now = clock.now()
    rows = stretches([now - timedelta(days=30), now], ("provider", "model"), frozenset([client.slug]))
    return {(provider_id(row.key["provider"] or ""), row.key["model"] or "") for row in rows}


def _said(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return ""
    if "percent" in entry:
        return f"{entry['percent']} % off"
    base = {unit: told["base"] if isinstance(told, dict) else told for unit, told in entry["prices"].items()}
    return ", ".join(f"{unit.replace('_', ' ')} {price}" for unit, price in base.items())


def _owner(request: Request) -> str:
    return request.POST.get("owner", "").strip() or request.actor.name


def _dearest_first(found: Effect) -> list[dict[str, Any]]:
    rows = sorted(found.by.items(), key=lambda one: -abs(one[1].new_nano - one[1].old_nano))
    return [{"month": month, "model": model, **vars(one)} for (month, model), one in rows]


@require_POST
def propose(request: Request, slug: str) -> HttpResponse:
    client, given = client_by_slug(request.actor, slug), request.POST
    try:
        since, until = (_day(given.get(name, "")) for name in ("since", "until"))
        row = repricing.propose(request.actor, client, since, until, given.get("reason", ""))
    except Invalid as problem:
        messages.error(request, f"{problem.message} {problem.hint}")
        return _page(request, client)
    return redirect(row.get_absolute_url())


def _day(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no time.", "Choose a day.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@require_safe
def run(request: Request, pk: int) -> HttpResponse:
    """One repricing, with the difference by month and model."""
    row = repricing.by_id(request.actor, pk)
    context = {
        "run": row,
        "rows": row.rows[:SHOWN],
        "more": max(0, len(row.totals) - SHOWN),
        "may_decide": row.state == row.PROPOSED and request.actor.may(Role.ADMIN, row.client.slug),
    }
    return render(request, "spend/repricing.html", context)


@require_POST
def decide(request: Request, pk: str, deed: str) -> HttpResponse:
    row = repricing.decide(request.actor, repricing.by_id(request.actor, int(pk)), deed == "approve")
    return redirect(row.get_absolute_url())
