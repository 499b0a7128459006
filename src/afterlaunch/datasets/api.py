from __future__ import annotations

from typing import Any

from ninja import Router, Schema

from afterlaunch.datasets import views
from afterlaunch.datasets.actions import dataset_by_name, end, proposed, put_contract
from afterlaunch.datasets.models import Version
from afterlaunch.estate.actions import system_by_id
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import NotFound
from afterlaunch.look.requests import Request

router = Router(tags=["datasets"])


class Put(Schema):
    """`contract`: YAML as docs/data-contracts.md tells. `dry_run`: only say what it would change."""

    contract: str
    dry_run: bool = False


@router.get("/systems/{system_id}/datasets")
def datasets(request: Request, system_id: int) -> dict[str, Any]:
    """Every dataset and environment with what its judges say. `not_assessed` is an answer of its own, never ok."""
    system = system_by_id(request.actor, system_id)
    rows = views.lines(system, clock.now())
    return {"system": system.key, "client": system.client.slug, "datasets": [views.line_document(one) for one in rows]}


@router.get("/systems/{system_id}/datasets/{name}")
def dataset(request: Request, system_id: int, name: str, checks: int = 20) -> dict[str, Any]:
    """One dataset: its contract, all versions of it, and its last checks in every environment."""
    row = dataset_by_name(request.actor, system_id, name)
    versions = list(Version.objects.filter(dataset=row))
    places = [one for one in views.lines(row.system, clock.now()) if one.dataset.pk == row.pk]
    shown = max(1, min(checks, views.MOST))
    return {
        "system": row.system.key,
        "client": row.system.client.slug,
        "name": row.name,
        "ended_at": row.ended_at,
        "contract": views.version_document(versions[0]),
        "versions": [views.version_document(one, text=False) for one in versions],
        "environments": [
            views.line_document(one) | {"checks": [views.check_document(each) for each in views.checks_of(one, shown)]}
            for one in places
        ],
    }


@router.get("/systems/{system_id}/datasets/{name}/contract")
def contract(request: Request, system_id: int, name: str, number: int | None = None) -> dict[str, Any]:
    """A version of a contract; the one in force when no number is asked for."""
    row = dataset_by_name(request.actor, system_id, name)
    versions = Version.objects.filter(dataset=row)
    found = versions.filter(number=number).first() if number is not None else versions.first()
    if found is None:
        raise NotFound(f"The contract of {name} has no version {number}.")
    return views.version_document(found)


@router.post("/systems/{system_id}/datasets")
def put(request: Request, system_id: int, given: Put) -> dict[str, Any]:
    """Put a contract: a new version where it says something else than the one in force. The dataset's name is the
    contract's. With `dry_run` nothing changes: a pipeline asks so whether a change breaks who reads the table."""
    system = system_by_id(request.actor, system_id)
    request.actor.require(Role.OPERATOR, system.client.slug)
    if given.dry_run:
        asked, known, found = proposed(system, given.contract)
        told = [one.as_document() for one in found]
        breaking = any(one.breaking for one in found)
        return {"name": asked.name, "new": known is None, "breaking": breaking, "differences": told}
    return views.version_document(put_contract(request.actor, system, given.contract))


@router.post("/systems/{system_id}/datasets/{name}/end")
def end_dataset(request: Request, system_id: int, name: str) -> dict[str, Any]:
    """Judge a dataset no more. What was found stays."""
    row = dataset_by_name(request.actor, system_id, name)
    end(request.actor, row)
    return {"status": "ended"}
