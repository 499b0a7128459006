from __future__ import annotations

from typing import Any

from ninja import Router, Schema
from pydantic import Field

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.look.requests import Request
from afterlaunch.notify.channel_actions import (
    Wanted,
    channel_by_id,
    channels_seen_by,
    put_channel,
    remove_channel,
    try_channel,
)
from afterlaunch.notify.deliveries import as_document, filtered, messages_seen_by
from afterlaunch.notify.models import Channel

router = Router(tags=["notifications"])


class ChannelIn(Schema):
    """`fields` are the kind's own: token and signing_secret of slack_bot, routing_key and webhook_secret of pagerduty.
    Empty filters let everything through."""

    client: str
    name: str
    kind: str
    address: str = ""
    fields: dict[str, str] = Field(default_factory=dict)
    types: list[str] = Field(default_factory=list)
    severities: list[str] = Field(default_factory=list)
    system: str = ""


def _channel(row: Channel) -> dict[str, Any]:
    return {
        "id": row.pk,
        "client": row.client.slug,
        "name": row.name,
        "kind": row.kind,
        "to": row.shown,
        "fields": row.config,
        "types": row.types,
        "severities": row.severities,
        "system": row.system or None,
        "disabled_at": row.disabled_at,
        "disabled_why": row.disabled_why or None,
    }


@router.get("/messages")
def list_messages(
    request: Request,
    state: str = "",
    topic: str = "",
    kind: str = "",
    client: str = "",
    limit: int = 100,
    cursor: int | None = None,
) -> dict[str, Any]:
    """What was sent or waits to be, the newest first. `state`: waiting, pending, leased, accepted, delivered, read,
    failed or withdrawn; `topic`: for example incident/12."""
    limit = max(1, min(limit, 500))
    rows = filtered(messages_seen_by(request.actor), state, topic, kind, client).order_by("-pk")
    found = list((rows.filter(pk__lt=cursor) if cursor is not None else rows)[: limit + 1])
    return {
        "messages": [as_document(row) for row in found[:limit]],
        "cursor": found[limit - 1].pk if len(found) > limit else None,
    }


@router.get("/channels")
def list_channels(request: Request, client: str = "") -> dict[str, Any]:
    """Channels of one's clients, without their secrets."""
    rows = channels_seen_by(request.actor)
    return {"channels": [_channel(row) for row in (rows.filter(client__slug=client) if client else rows)]}


@router.post("/channels")
def declare_channel(request: Request, body: ChannelIn) -> dict[str, Any]:
    """Make the channel of this name, or alter it; a secret that is left out stays."""
    wanted = Wanted(body.kind, body.address, body.fields, body.types, body.severities, body.system)
    return _channel(put_channel(request.actor, client_by_slug(request.actor, body.client), body.name, wanted))


@router.post("/channels/{channel_id}/test")
def send_test_message(request: Request, channel_id: int) -> dict[str, Any]:
    """Queue a test message; its state is told by `GET /messages?topic=channel/ID`."""
    return as_document(try_channel(request.actor, channel_by_id(request.actor, channel_id)))


@router.post("/channels/{channel_id}/remove")
def remove_a_channel(request: Request, channel_id: int) -> dict[str, Any]:
    """Nothing goes there any more."""
    row = channel_by_id(request.actor, channel_id)
    remove_channel(request.actor, row)
    return {"removed": row.pk}
