from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from afterlaunch.ground.actors import Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.incidents.actions import incident_by_id
from afterlaunch.incidents.files import actions
from afterlaunch.incidents.files.api import exported, handed_out
from afterlaunch.look.requests import Request


@require_POST
def attach(request: Request, pk: int) -> HttpResponse:
    found, given = incident_by_id(request.actor, pk), request.FILES.get("file")
    request.actor.require(Role.RESPONDER, found.system.client.slug)
    if given is None:
        raise Invalid("Choose a file.")
    actions.attach(request.actor, found, given.name or "file", given.chunks())
    return redirect(f"/incidents/{pk}#files")


@require_safe
def file(request: Request, pk: int, file_id: int) -> HttpResponse:
    return handed_out(incident_by_id(request.actor, pk), file_id)


@require_POST
def remove(request: Request, pk: int, file_id: int) -> HttpResponse:
    actions.remove(request.actor, incident_by_id(request.actor, pk), file_id, request.POST.get("reason", ""))
    return redirect(f"/incidents/{pk}#files")


@require_safe
def timeline(request: Request, pk: int, form: str) -> HttpResponse:
    return exported(incident_by_id(request.actor, pk), form)
