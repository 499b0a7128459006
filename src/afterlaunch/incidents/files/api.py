from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.http import content_disposition_header
from ninja import File, Router, Schema
from ninja.files import UploadedFile

from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.incidents import export
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.files import actions, store
from afterlaunch.incidents.files.models import Attachment
from afterlaunch.incidents.models import Incident
from afterlaunch.look.requests import Request

router = Router(tags=["incidents"])
FILE: Any = File(None)  # type: ignore[type-arg]


class RemoveIn(Schema):
    reason: str = ""


def file_out(row: Attachment) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "size": row.size,
        "sha256": row.sha256,
        "media_type": row.media_type,
        "at": row.at,
        "by": row.by,
        "url": f"/api/v1/incidents/{row.incident_id}/files/{row.pk}",
    }


def attachment(name: str, data: bytes, media_type: str = "application/octet-stream") -> HttpResponse:
    """Bytes that a browser saves and never shows or runs."""
    response = HttpResponse(data, content_type=media_type)
    response["Content-Disposition"] = content_disposition_header(True, name)
    response["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
    response["Cache-Control"] = "private, no-store"
    return response


def handed_out(incident: Incident, pk: int) -> HttpResponse:
    row = actions.file_of(incident, pk)
    return attachment(row.name, store.read(row.sha256))


def exported(incident: Incident, form: str) -> HttpResponse:
    if form not in export.TYPES:
        raise NotFound(f"There is no timeline as {form!r}.", "json, md or csv")
    kind = f"{export.TYPES[form]}; charset=utf-8"
    return attachment(f"incident-{incident.pk}-timeline.{form}", export.written(incident, form), kind)


@router.get("/incidents/{incident_id}/files")
def files(request: Request, incident_id: int) -> dict[str, Any]:
    """The incident's files with their hashes."""
    found = incident_by_id(request.actor, incident_id)
    return {"files": [file_out(row) for row in found.files.filter(removed_at=None)]}


@router.post("/incidents/{incident_id}/files")
def attach(request: Request, incident_id: int, file: UploadedFile | None = FILE) -> dict[str, Any]:
    """Attach a file (multipart, field `file`). What a browser could run is refused."""
    found = incident_by_id(request.actor, incident_id)
    request.actor.require(Role.RESPONDER, found.system.client.slug)
    if file is None:
        raise Invalid("Send the file as multipart, in the field `file`.")
    return file_out(actions.attach(request.actor, found, file.name or "file", file.chunks()))


@router.get("/incidents/{incident_id}/files/{file_id}")
def read(request: Request, incident_id: int, file_id: int) -> HttpResponse:
    """The file, checked against its hash, as an attachment."""
    return handed_out(incident_by_id(request.actor, incident_id), file_id)


@router.post("/incidents/{incident_id}/files/{file_id}/remove")
def remove(request: Request, incident_id: int, file_id: int, body: RemoveIn) -> dict[str, Any]:
    """Remove a file, with a reason."""
    found = incident_by_id(request.actor, incident_id)
    actions.remove(request.actor, found, file_id, body.reason)
    return {"files": [file_out(row) for row in found.files.filter(removed_at=None)]}


@router.get("/incidents/{incident_id}/timeline.{form}")
def timeline(request: Request, incident_id: int, form: str) -> HttpResponse:
    """The timeline as a file: json (which `afterlaunch verify` checks), md or csv."""
    return exported(incident_by_id(request.actor, incident_id), form)
