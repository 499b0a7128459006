"""Deeds on linked accounts: a person's own."""

from __future__ import annotations

from dataclasses import dataclass

from django.core import signing
from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotAllowed, NotFound
from afterlaunch.notify.models import Channel
from afterlaunch.replies.acting import LINK_SALT
from afterlaunch.replies.models import LinkedAccount

LINK_SECONDS = 3600  # real seconds


@dataclass(frozen=True)
class Offer:
    """Somebody elsewhere who says that they are the reader."""

    channel: Channel
    kind: str
    team: str
    external: str
    shown: str


def accounts_of(actor: Actor) -> QuerySet[LinkedAccount]:
    """Raises Invalid for a token."""
    if actor.user_id is None:
        raise Invalid("A token has no accounts.", "Sign in as a person.")
    return LinkedAccount.objects.filter(user=actor.user_id).select_related("client")


def read_offer(actor: Actor, token: str) -> Offer:
    """NotFound for everything that we did not sign, that is old, or whose client is none of the reader's."""
    try:
        told = signing.loads(token, salt=LINK_SALT, max_age=LINK_SECONDS)
    except signing.BadSignature:
        raise NotFound("This link is not valid, or too old.", "Press the button in Slack again.") from None
    seen = actor.sees()
    if seen == frozenset():
        raise NotAllowed("This needs the role viewer.", "Ask an administrator for a role.")
    channel = Channel.objects.select_related("client").filter(pk=told["channel"], removed_at=None).first()
    if channel is None or (seen is not None and channel.client.slug not in seen):
        raise NotFound("This link is not valid, or too old.", "Press the button in Slack again.")
    return Offer(channel, told["kind"], told["team"], told["external"], told["shown"])


@transaction.atomic
def link(actor: Actor, offer: Offer) -> LinkedAccount:
    """From now on what is done there is done by this person. Linking again moves it to whoever links."""
    if actor.kind != "person" or actor.user_id is None:
        raise Invalid("A token has no accounts.", "Sign in as a person.")
    client = offer.channel.client
    row, _ = LinkedAccount.objects.update_or_create(
        client=client,
        kind=offer.kind,
        team=offer.team,
        external=offer.external,
        defaults={"user_id": actor.user_id, "shown": offer.shown, "linked_at": clock.now()},
    )
    details = {"kind": offer.kind, "team": offer.team, "external": offer.external, "person": actor.user_id}
    record(actor, "account.linked", f"account/{row.pk}", client.slug, details)
    return row


@transaction.atomic
def unlink(actor: Actor, pk: int) -> None:
    """One's own; an administrator of the house may unlink anybody's."""
    everybody = LinkedAccount.objects.select_related("client")
    if not actor.may(Role.ADMIN, None):
        everybody = everybody.filter(user=actor.user_id or 0)
    row = everybody.filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no linked account {pk}.")
    record(actor, "account.unlinked", f"account/{row.pk}", row.client.slug, {"person": row.user_id})
    row.delete()
