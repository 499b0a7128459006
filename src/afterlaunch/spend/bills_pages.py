"""Reconciliation of a client's month as a page, with the form to import a bill."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.look.requests import Request
from afterlaunch.spend.billing import import_bill, month_of
from afterlaunch.spend.bills import COLUMNS, FORMATS
from afterlaunch.spend.prices_pages import pairs


@require_safe
def reconciliation(request: Request, slug: str) -> HttpResponse:
    client = client_by_slug(request.actor, slug)
    month = request.GET.get("month") or f"{clock.now():%Y-%m}"
    context = {
        "client": client,
        "month": month,
        "months": month_of(request.actor, client, month),
        "forms": list(FORMATS),
        "columns": COLUMNS,
        "may_edit": request.actor.may(Role.OPERATOR, client.slug),
    }
    return render(request, "spend/reconciliation.html", context)


@require_POST
def add(request: Request, slug: str) -> HttpResponse:
    client, given = client_by_slug(request.actor, slug), request.POST
    upload = request.FILES.get("file")
    address = f"/spend/reconciliation/{client.slug}"
    try:
        text = upload.read().decode() if upload else given.get("text", "")
        form, mapping = given.get("form", "csv"), pairs(given.get("mapping", ""))
        row = import_bill(request.actor, client, given.get("provider", ""), form, text, mapping)
    except UnicodeDecodeError:
        messages.error(request, "That file is no text.")
        return redirect(address)
    except AfterlaunchError as problem:
        if problem.status not in (400, 413):
            raise
        messages.error(request, f"{problem.message} {problem.hint}")
        return redirect(address)
    messages.success(request, f"{len(row.lines)} lines, {row.first_day} to {row.last_day}.")
    return redirect(f"{address}?month={row.last_day:%Y-%m}")
