from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from ninja import Router, Schema

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import NotAllowed
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.reports import documents
from afterlaunch.reports.facts import Asked, monthly
from afterlaunch.reports.links import base_url
from afterlaunch.reports.tokens import documents as token_documents
from afterlaunch.reports.tokens.sealing import seal, sealed_by_month
from afterlaunch.reports.tokens.sealing import token_report as tokens

router = Router(tags=["reports"])


@router.get("/reports/monthly", response={200: dict})
def monthly_report(
    request: Request,
    month: str | None = None,
    client: str | None = None,
    system: str | None = None,
    time_zone: str | None = None,
    format: str = "json",
    url: str | None = None,
    download: bool = False,
) -> HttpResponse:
    """The month as JSON, HTML, Markdown or PDF. `month` (2026-11) is by default the last one that is over; its bounds
    lie in the time zone of the client, else of the reader. `url` begins the links (tokens only)."""
    asked = Asked(month, client, system, time_zone)
    report = monthly(request.actor, asked, timezone.get_current_timezone_name())
    body = documents.write(report, format, _base(request.actor, url))
    return _answer(body, documents.TYPES[format], documents.file_name(report, format) if download else "")


@router.get("/reports/tokens", response={200: dict})
def token_report(
    request: Request,
    month: str | None = None,
    client: str | None = None,
    system: str | None = None,
    time_zone: str | None = None,
    format: str = "json",
    url: str | None = None,
    download: bool = False,
) -> HttpResponse:
    """Where the month's tokens went: spend by model, agent, route, version and tenant, why it changed, anomalies,
    recommendations, model swaps, budgets, bills and forecast; as JSON, HTML, Markdown, CSV or PDF."""
    asked = Asked(month, client, system, time_zone)
    report = tokens(request.actor, asked, timezone.get_current_timezone_name())
    body = token_documents.write(report, format, _base(request.actor, url))
    name = token_documents.file_name(report, format) if download else ""
    return _answer(body, token_documents.TYPES[format], name)


class SealIn(Schema):
    """`month`: like 2026-10."""

    client: str
    month: str


@router.post("/reports/tokens/seals", response={200: dict})
def seal_tokens(request: Request, body: SealIn) -> dict[str, Any]:
    """Seal a client's final token report: kept as it is, its digest in the evidence log. The duty does it three days
    after the month; a seal never changes."""
    row = seal(request.actor, client_by_slug(request.actor, body.client), body.month)
    return {"client": row.client.slug, "month": row.month, "sha256": row.digest, "evidence_entry": row.entry}


@router.get("/reports/tokens/seals/{slug}/{month}", response={200: dict})
def sealed_tokens(request: Request, slug: str, month: str) -> HttpResponse:
    """The token report as it was sealed, byte for byte: its SHA-256 stands in the evidence log."""
    row = sealed_by_month(request.actor, client_by_slug(request.actor, slug), month)
    return _answer(bytes(row.document), documents.TYPES["json"], "")


def _answer(body: bytes, content_type: str, file_name: str) -> HttpResponse:
    response = HttpResponse(body, content_type=content_type)
    response["Content-Security-Policy"] = documents.POLICY
    response["Cache-Control"] = "no-store"
    if file_name:
        response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


def _base(actor: Actor, url: str | None) -> str:
    """A link that somebody else wrote must not make our own page point elsewhere, so a session may not choose."""
    if url is None:
        return settings().public_url
    if actor.kind != "token":
        raise NotAllowed("Only a token may choose where links point to.", "Leave `url` out, or send a token.")
    return base_url(url)
