from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from ninja import Router, Schema

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Conflict
from afterlaunch.look.requests import Request
from afterlaunch.slo import actions, asked, history
from afterlaunch.slo.durations import written
from afterlaunch.slo.models import Burn, Slo, SloVersion
from afterlaunch.slo.openslo import exporting, importing
from afterlaunch.slo.preview import as_document as previewed
from afterlaunch.slo.preview import preview

router = Router(tags=["slos"])


class SloIn(Schema):
    """`objective`: 0.999 or "99.9 %". `period`: "30d", or {duration, start, time_zone} of a calendar. `measure`: see
    `docs/slo.md`. `pairs`: standard, usable, alive, or a list of {severity, long, short, factor}."""

    client: str
    name: str
    objective: str | float
    measure: dict[str, Any]
    period: str | dict[str, str] = "30d"
    title: str = ""
    description: str = ""
    service: str = ""
    critical: bool = False
    always_busy: bool = False
    paused: bool = False
    method: str = "Occurrences"
    slice_window: str | None = None
    slice_target: str | float | None = None
    pairs: str | list[dict[str, Any]] = "standard"
    least_bad: int | None = None


class ImportIn(Schema):
    """`text`: OpenSLO v1, several documents. `join_windows`: two conditions that look like one pair of windows are."""

    text: str
    client: str = ""
    join_windows: bool = False
    dry_run: bool = False


def as_document(row: Slo, version: SloVersion | None) -> dict[str, Any]:
    standing = getattr(row, "standing", None)
    definition = version.definition if version else None
    return {
        "id": row.pk,
        "client": row.client.slug,
        "name": row.name,
        "title": row.title or None,
        "service": row.service or None,
        "critical": row.critical,
        "always_busy": row.busy,
        "state": state_of(row),
        "version": version.number if version else None,
        "objective": written(definition.target) if definition else None,
        "period": str(definition.period.duration) if definition else None,
        "method": definition.method if definition else None,
        "measure": definition.measure.as_spec() if definition else None,
        "query": definition.measure.query() if definition else None,
        "budget_left": standing.left if standing else None,
        "burn_rate": standing.burn if standing else None,
        "exhausted_in_seconds": standing.exhausted_in if standing else None,
        "total": standing.total if standing else None,
        "bad": standing.bad if standing else None,
        "partial": standing.partial if standing else None,
        "provisional": standing.provisional if standing else None,
        "coverage": standing.coverage if standing else None,
        "assessed_at": standing.assessed_at if standing else None,
        "windows": standing.facts.get("pairs", []) if standing else [],
        "count_rules": standing.facts.get("counts", []) if standing else [],
        "expected": standing.facts.get("expected") if standing else None,
    }


def state_of(row: Slo) -> str:
    """Not judged yet is unknown, never ok."""
    if row.draft or row.paused:
        return "draft" if row.draft else "paused"
    standing = getattr(row, "standing", None)
    return str(standing.state) if standing else "unknown"


def versions_of(rows: list[Slo]) -> dict[int, SloVersion]:
    return {one.slo_id: one for one in SloVersion.objects.filter(slo__in=[row.pk for row in rows], until=None)}


def burn_document(row: Burn) -> dict[str, Any]:
    return {
        "id": row.pk,
        "slo": row.slo_id,
        "version": row.version.number,
        "kind": row.kind,
        "severity": row.severity,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "no_data_since": row.silent_since,
        "facts": row.facts,
    }


@router.get("/slos")
def list_slos(
    request: Request, client: str | None = None, system: str | None = None, limit: int = 100, cursor: int = 0
) -> dict[str, Any]:
    """SLOs, by id, as they stand. `state`: ok, burning, exhausted, no_data, no_telemetry, unknown, paused, draft."""
    limit = max(1, min(limit, 500))
    rows = actions.slos_seen_by(request.actor).filter(pk__gt=cursor)
    rows = rows.filter(client__slug=client) if client else rows
    rows = rows.filter(versions__until=None, versions__document__measure__system=system) if system else rows
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    versions = versions_of(found[:limit])
    return {"slos": [as_document(row, versions.get(row.pk)) for row in found[:limit]], "cursor": more}


@router.post("/slos")
def declare_slo(request: Request, body: SloIn) -> dict[str, Any]:
    """Make an SLO, or alter the one of this name: a change of what it says is a new version. A pair that can never
    fire is refused."""
    row = put(request.actor, body.dict(exclude_none=True))
    return as_document(actions.slo_by_id(request.actor, row.pk), actions.in_force(row))


def put(actor: Actor, raw: dict[str, Any]) -> Slo:
    wanted = asked.read(raw)
    client = client_by_slug(actor, wanted.client)
    known = actions.slos_seen_by(actor).filter(client=client, name=wanted.name).first()
    if known is not None and known.of and known.of != known.name:
        raise Conflict(
            f"{wanted.name} is one of several objectives of the document {known.of}.", "Alter it there and import it."
        )
    return actions.put_slo(actor, client, wanted.name, wanted.about, wanted.definition)


@router.post("/slos/preview")
def preview_slo(request: Request, body: SloIn) -> dict[str, Any]:
    """What it would mean: windows, factors, dead pairs, expected false pages, detection time, the last 30 days."""
    wanted = asked.read(body.dict(exclude_none=True))
    client = client_by_slug(request.actor, wanted.client)
    return previewed(preview(client, wanted.definition, clock.now()))


@router.post("/slos/import")
def import_slos(request: Request, body: ImportIn) -> dict[str, Any]:
    """OpenSLO v1: all or nothing, idempotent by kind and name. `dry_run` changes nothing and tells what would."""
    client = client_by_slug(request.actor, body.client) if body.client else None
    done = importing.import_files(request.actor, [(body.text, "request")], client, body.join_windows, body.dry_run)
    changes = [{"kind": one.kind, "name": one.name, "change": one.change} for one in done.changes]
    return {"dry_run": body.dry_run, "changes": changes, "notices": [one.as_document() for one in done.notices]}


@router.get("/slos/export")
def export_slos(request: Request, client: str | None = None) -> HttpResponse:
    """OpenSLO v1 as YAML; an import takes it back."""
    return HttpResponse(exported(request.actor, client), content_type="application/yaml; charset=utf-8")


def exported(actor: Actor, slug: str | None) -> str:
    seen = actor.sees()
    rows = Client.objects.order_by("slug")
    rows = rows if seen is None else rows.filter(slug__in=seen)
    return exporting.to_yaml(exporting.documents(rows.filter(slug=slug) if slug else rows))


@router.get("/slos/burns")
def list_burns(
    request: Request, open: bool | None = None, limit: int = 100, cursor: int | None = None
) -> dict[str, Any]:
    """When budgets burned, or nothing was told of them; the newest first."""
    limit = max(1, min(limit, 500))
    rows = Burn.objects.filter(slo__in=actions.slos_seen_by(request.actor)).select_related("version").order_by("-pk")
    if open is not None:
        rows = rows.filter(ended_at__isnull=open)
    found = list((rows.filter(pk__lt=cursor) if cursor is not None else rows)[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"burns": [burn_document(row) for row in found[:limit]], "cursor": more}


@router.get("/slos/{slo_id}")
def get_slo(request: Request, slo_id: int) -> dict[str, Any]:
    """One SLO, as it stands."""
    row = actions.slo_by_id(request.actor, slo_id)
    return as_document(row, actions.in_force(row))


@router.get("/slos/{slo_id}/versions")
def list_versions(request: Request, slo_id: int) -> dict[str, Any]:
    """What it said, the newest first."""
    row = actions.slo_by_id(request.actor, slo_id)
    return {
        "versions": [
            {"number": one.number, "since": one.since, "until": one.until, "by": one.author, "definition": one.document}
            for one in row.versions.all()
        ]
    }


@router.get("/slos/{slo_id}/budget")
def get_budget(request: Request, slo_id: int) -> dict[str, Any]:
    """The burn-down of the present period: events and budget left up to each point."""
    row = actions.slo_by_id(request.actor, slo_id)
    version = actions.in_force(row)
    points = history.burn_down(version, clock.now()) if version else []
    told = [{"at": one.at, "total": one.total, "bad": one.bad, "budget_left": one.left} for one in points]
    return {"slo": row.pk, "points": told}


@router.post("/slos/{slo_id}/pause")
def pause_slo(request: Request, slo_id: int) -> dict[str, Any]:
    """It is not judged and pages nobody until it is resumed."""
    row = actions.pause(request.actor, actions.slo_by_id(request.actor, slo_id), True)
    return as_document(row, actions.in_force(row))


@router.post("/slos/{slo_id}/resume")
def resume_slo(request: Request, slo_id: int) -> dict[str, Any]:
    row = actions.pause(request.actor, actions.slo_by_id(request.actor, slo_id), False)
    return as_document(row, actions.in_force(row))


@router.post("/slos/{slo_id}/remove")
def remove_slo(request: Request, slo_id: int) -> dict[str, Any]:
    """It is judged no more; its versions and burns stay."""
    row = actions.slo_by_id(request.actor, slo_id)
    told = as_document(row, actions.in_force(row))
    actions.remove(request.actor, row)
    return told
