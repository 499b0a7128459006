"""A system's datasets as a page: how good each is, why, and its contract to read and to alter."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from afterlaunch.datasets import views
from afterlaunch.datasets.actions import dataset_by_name, end, put_contract
from afterlaunch.datasets.models import Version
from afterlaunch.estate.actions import system_by_id
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request

EXAMPLE = """\
apiVersion: afterlaunch/v1
kind: DataContract
metadata: {name: orders, owner: team-shop, version: 1.0.0}
spec:
  columns:
  - {name: id, type: integer, required: true, unique: true}
  - {name: state, values: [CA, OR], nulls: 0.05}
  - {name: price, type: number, range: {least: 0, most: 500}, unit: USD}
  - {name: placed_at, type: timestamp, required: true}
  freshness: {column: placed_at, most: 26h}
  delivery: {every: 24h, late: 2h}
"""


@require_http_methods(["GET", "HEAD", "POST"])
def data(request: Request, pk: int) -> HttpResponse:
    system = system_by_id(request.actor, pk)
    if request.method != "POST":
        return _shown(request, system, request.GET.get("dataset", ""))
    text = request.POST.get("contract", "")
    try:
        version = put_contract(request.actor, system, text)
    except Invalid as problem:
        return _shown(request, system, request.POST.get("dataset", ""), text, problem)
    messages.success(request, f"Version {version.number} of the contract of {version.dataset.name} is in force.")
    return redirect(version.dataset)


@require_POST
def end_dataset(request: Request, pk: int, name: str) -> HttpResponse:
    row = dataset_by_name(request.actor, pk, name)
    end(request.actor, row)
    messages.success(request, f"{name} is judged no more.")
    return redirect(f"/systems/{pk}/data")


def _shown(request: Request, system: System, name: str, text: str = "", problem: Invalid | None = None) -> HttpResponse:
    rows = views.lines(system, clock.now())
    environment = request.GET.get("environment", "")
    mine = [one for one in rows if one.dataset.name == name] if name else rows[:1]
    chosen = next((one for one in mine if not environment or one.environment == environment), None)
    if chosen is None and (name or environment) and problem is None:
        raise NotFound(f"{system.name} has no such dataset there.", "It may have ended, or be called otherwise.")
    context: dict[str, Any] = {
        "system": system,
        "rows": rows,
        "counts": {word: sum(1 for one in rows if one.status.value == word) for word in ("breach", "warning", "ok")},
        "unsure": sum(1 for one in rows if one.status.value == "not_assessed"),
        "chosen": chosen,
        "may": request.actor.may(Role.OPERATOR, system.client.slug),
        "problem": problem,
        "text": text,
        "example": EXAMPLE,
        "address": settings().public_url,
    }
    if chosen is not None:
        context |= _of(chosen, request.GET.get("version", ""), text)
    return render(request, "datasets/data.html", context, status=400 if problem else 200)


def _of(chosen: views.Line, number: str, text: str) -> dict[str, Any]:
    versions = list(Version.objects.filter(dataset=chosen.dataset))
    wanted = next((one for one in versions if str(one.number) == number), None) if number else versions[0]
    if wanted is None:
        raise NotFound(f"The contract of {chosen.dataset.name} has no version {number}.")
    checks = views.checks_of(chosen)
    newest = checks[0] if checks else None
    return {
        "said": list(chosen.said.items()),
        "versions": versions,
        "shown_version": wanted,
        "checks": checks[:20],
        "newest": newest,
        "document": newest.document if newest else None,
        "picture": views.picture(checks),
        "parts": views.parts_of(checks),
        "worst": views.worst(newest) if newest else [],
        "upstream": chosen.version.contract.upstream,
        "text": text or wanted.text,
    }
