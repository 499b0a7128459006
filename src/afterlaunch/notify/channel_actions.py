"""Deeds on a client's channels: an administrator's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.ground.outbound import Unreachable
from afterlaunch.notify.channels import tell
from afterlaunch.notify.kinds import Kind, kind_named
from afterlaunch.notify.models import Channel, Page
from afterlaunch.notify.outbox import Notice
from afterlaunch.notify.sealed import seal, unseal
from afterlaunch.notify.types import SEVERITIES, TYPES


@dataclass(frozen=True)
class Wanted:
    """What a channel shall be. `values` are the kind's own fields; a secret that is left empty stays as it is. Empty
    `types`, `severities` and `system` let everything through; a type may be a beginning (`incident.`)."""

    kind: str
    address: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    types: Sequence[str] = ()
    severities: Sequence[str] = ()
    system: str = ""


def channels_seen_by(actor: Actor) -> QuerySet[Channel]:
    rows = Channel.objects.filter(removed_at=None).select_related("client")
    seen = actor.sees()
    return rows if seen is None else rows.filter(client__slug__in=seen)


def channel_by_id(actor: Actor, pk: int) -> Channel:
    row = channels_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no channel {pk}.")
    return row


@transaction.atomic
def put_channel(actor: Actor, client: Client, name: str, wanted: Wanted) -> Channel:
    """Make the channel of this name, or alter it. Raises Invalid."""
    actor.require(Role.ADMIN, client.slug)
    if not name.strip() or len(name.strip()) > 100:
        raise Invalid("A channel needs a name of up to 100 characters.")
    kind = kind_named(wanted.kind)
    if not kind.for_channels:
        raise Invalid(f"{kind.label} is no kind of channel.")
    row = Channel.objects.select_for_update().filter(client=client, name=name.strip(), removed_at=None).first()
    if row is not None and row.kind != kind.name:
        raise Conflict(f"The channel {name.strip()!r} is of another kind.", "Remove it first, or take another name.")
    _check_filters(wanted)
    config, secrets = _values(kind, wanted, row)
    address = _address(kind, wanted.address.strip() or (row.address if row else ""), {**config, **secrets})
    now = clock.now()
    row = row or Channel(client=client, name=name.strip(), kind=kind.name, created_at=now, created_by=actor.name)
    row.address, row.config, row.secrets = address, config, seal(secrets)
    row.types, row.severities, row.system = list(wanted.types), list(wanted.severities), wanted.system.strip()
    row.disabled_at, row.disabled_why = None, ""
    row.save()
    record(actor, "channel.put", f"channel/{row.pk}", client.slug, {"kind": kind.name, "types": list(wanted.types)})
    return row


def _check_filters(wanted: Wanted) -> None:
    for one in wanted.types:
        if one not in TYPES and not (one.endswith(".") and any(known.startswith(one) for known in TYPES)):
            raise Invalid(f"{one!r} is no type of news.", "Types: " + ", ".join(TYPES))
    for one in wanted.severities:
        if one not in SEVERITIES:
            raise Invalid(f"{one!r} is no severity.", "Use P1, P2 or P3.")


def _values(kind: Kind, wanted: Wanted, row: Channel | None) -> tuple[dict[str, str], dict[str, str]]:
    unknown = set(wanted.values) - {entry.name for entry in kind.entries}
    if unknown:
        raise Invalid(f"A channel of {kind.label} has no field {sorted(unknown)[0]!r}.")
    before = {**row.config, **unseal(row.secrets)} if row else {}
    config: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for entry in kind.entries:
        value = wanted.values.get(entry.name, "").strip() or before.get(entry.name, "") or entry.default
        if entry.needed and not value:
            raise Invalid(f"{entry.label} is missing.", entry.help)
        (secrets if entry.secret else config)[entry.name] = value
    made = before.get("secret") or kind.new_secret()
    if made:
        secrets["secret"] = made
    return config, secrets


def _address(kind: Kind, address: str, values: Mapping[str, str]) -> str:
    try:
        kind.check_entries(values)
        return kind.check(address)
    except Unreachable as problem:
        raise Invalid(str(problem), "Check the host name.") from None


@transaction.atomic
def try_channel(actor: Actor, channel: Channel) -> Page:
    """Queue a message that says it is a test."""
    actor.require(Role.ADMIN, channel.client.slug)
    if channel.disabled_at is not None:
        raise Conflict(f"{channel.name} is switched off: {channel.disabled_why}", "Save it again to switch it on.")
    number = Page.objects.filter(channel=channel, purpose="test").count() + 1
    facts = {
        "type": "test",
        "title": f"Afterlaunch test message to {channel.name}",
        "lines": [f"{actor.name} asked for it. News of {channel.client.name} comes here."],
        "path": "/settings/channels",
    }
    page = tell(channel, Notice(f"channel/{channel.pk}", f"t{number}", channel.client.slug, facts, "test"), clock.now())
    if page is None:
        raise Conflict(f"{channel.name} takes no test messages.")
    record(actor, "channel.tested", f"channel/{channel.pk}", channel.client.slug, {"page": page.pk})
    return page


@transaction.atomic
def remove_channel(actor: Actor, channel: Channel) -> None:
    """From now on nothing goes there, what waits included. Its secrets are gone at once."""
    actor.require(Role.ADMIN, channel.client.slug)
    now = clock.now()
    if Channel.objects.filter(pk=channel.pk, removed_at=None).update(removed_at=now, secrets="", config={}):
        Page.objects.filter(channel=channel, state="pending").update(state="withdrawn", held="")
        record(actor, "channel.removed", f"channel/{channel.pk}", channel.client.slug)


def secret_of(actor: Actor, channel: Channel) -> str:
    """The signing secret that we made, for whoever may alter the channel."""
    return unseal(channel.secrets).get("secret", "") if actor.may(Role.ADMIN, channel.client.slug) else ""
