from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Router, Schema
from pydantic import Field

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.settings import settings
from afterlaunch.look.requests import Request
from afterlaunch.status_pages import actions
from afterlaunch.status_pages.models import Publication, StatusPage
from afterlaunch.status_pages.shown import document

router = Router(tags=["status pages"])


class PartIn(Schema):
    """`environment` empty: all of them."""

    system: str
    name: str
    environment: str = ""
    about: str = ""
    uptime: bool = True


class PageIn(Schema):
    """`policy` when an incident opens: draft, publish, nothing; of security nothing is ever published by itself."""

    client: str
    slug: str
    title: str
    about: str = ""
    public: bool = False
    policy: str = "draft"
    components: list[PartIn] = Field(default_factory=list)


class PostIn(Schema):
    text: str
    phase: str


class TitleIn(Schema):
    title: str = ""


class WorkIn(Schema):
    title: str
    about: str = ""
    starts_at: datetime
    ends_at: datetime
    components: list[str] = Field(default_factory=list)


def _page_document(actor: Actor, row: StatusPage) -> dict[str, Any]:
    known = row.public or actor.may(Role.OPERATOR, row.client.slug)
    return {
        "id": row.pk,
        "client": row.client.slug,
        "slug": row.slug,
        "title": row.title,
        "public": row.public,
        "policy": row.policy,
        "address": f"{settings().public_url}{row.get_absolute_url()}" if known else None,
        "components": [
            {"id": one.pk, "name": one.name, "system": one.system.key, "environment": one.environment or None}
            for one in row.components.select_related("system")
        ],
    }


def _publication_document(row: Publication) -> dict[str, Any]:
    return {
        "id": row.pk,
        "title": row.title,
        "state": row.state,
        "phase": row.phase,
        "incident": row.incident_id,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "posts": [
            {"at": one.at, "phase": one.phase, "text": one.text, "author": one.author} for one in row.posts.all()
        ],
    }


@router.get("/status-pages")
def list_status_pages(request: Request, client: str | None = None) -> dict[str, Any]:
    """Status pages of the clients one sees. A secret address is told only to who may alter the page."""
    rows = actions.pages_seen_by(request.actor)
    rows = rows.filter(client__slug=client) if client else rows
    return {"status_pages": [_page_document(request.actor, row) for row in rows]}


@router.post("/status-pages")
def declare_status_page(request: Request, body: PageIn) -> dict[str, Any]:
    """Make a status page, or alter the one of this name; its list of components is the whole list."""
    parts = [actions.Part(one.system, one.name, one.environment, one.about, one.uptime) for one in body.components]
    client = client_by_slug(request.actor, body.client)
    row = actions.put_page(
        request.actor, client, body.slug, body.title, parts, body.about, body.public, body.policy
    )  # fmt: skip
    return _page_document(request.actor, row)


@router.get("/status-pages/{page_id}")
def one_status_page(request: Request, page_id: int) -> dict[str, Any]:
    """What it shows now, and its publications, drafts among them."""
    row = actions.page_by_id(request.actor, page_id)
    shown = document(row, clock.now())
    if not row.public and not request.actor.may(Role.OPERATOR, row.client.slug):
        shown["address"] = None
    told = [_publication_document(one) for one in row.publications.prefetch_related("posts")[:100]]
    return {**_page_document(request.actor, row), "shows": shown, "publications": told}


@router.post("/status-pages/{page_id}/remove")
def remove_status_page(request: Request, page_id: int) -> dict[str, Any]:
    """With its history and its subscribers."""
    row = actions.page_by_id(request.actor, page_id)
    told = _page_document(request.actor, row)
    actions.remove_page(request.actor, row)
    return told


@router.post("/status-pages/{page_id}/publications/{publication_id}/publish")
def publish(request: Request, page_id: int, publication_id: int, body: TitleIn) -> dict[str, Any]:
    """Show a draft to outsiders, under another title if one is given."""
    row = actions.publication_by_id(request.actor, actions.page_by_id(request.actor, page_id), publication_id)
    return _publication_document(actions.publish(request.actor, row, body.title))


@router.post("/status-pages/{page_id}/publications/{publication_id}/withhold")
def withhold(request: Request, page_id: int, publication_id: int) -> dict[str, Any]:
    """Nobody outside sees it, from now on."""
    row = actions.publication_by_id(request.actor, actions.page_by_id(request.actor, page_id), publication_id)
    return _publication_document(actions.withhold(request.actor, row))


@router.post("/status-pages/{page_id}/publications/{publication_id}/posts")
def post(request: Request, page_id: int, publication_id: int, body: PostIn) -> dict[str, Any]:
    """Tell more about it. `phase`: investigating, identified, monitoring, resolved."""
    row = actions.publication_by_id(request.actor, actions.page_by_id(request.actor, page_id), publication_id)
    return _publication_document(actions.post(request.actor, row, body.text, body.phase))


@router.post("/status-pages/{page_id}/maintenance")
def plan(request: Request, page_id: int, body: WorkIn) -> dict[str, Any]:
    """Tell of maintenance ahead; components by name."""
    row = actions.page_by_id(request.actor, page_id)
    parts = list(row.components.filter(name__in=body.components).values_list("pk", flat=True))
    made = actions.plan_work(request.actor, row, body.title, body.about, body.starts_at, body.ends_at, parts)
    return {"id": made.pk, "title": made.title, "starts_at": made.starts_at, "ends_at": made.ends_at}
