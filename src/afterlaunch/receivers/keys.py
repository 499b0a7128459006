"""Deeds on the keys of integrations, and who stands at the door."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from afterlaunch.accounts.actions import digest
from afterlaunch.alerts.models import Integration
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Invalid, NotSignedIn
from afterlaunch.receivers.models import Key
from afterlaunch.receivers.wire import Request

PREFIX = "ali_"  # the redaction of logs knows it
SKEW = timedelta(minutes=5)


def new_secret() -> str:
    """32 characters, as long as a routing key of PagerDuty."""
    return PREFIX + secrets.token_hex(14)


def _box() -> MultiFernet:
    """The newest secret seals; older ones still open while they overlap."""
    mine = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    keys = [hmac.new(str(one).encode(), b"afterlaunch receivers", hashlib.sha256).digest() for one in mine]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


@transaction.atomic
def add_key(actor: Actor, integration: Integration, signing: bool = False) -> tuple[Key, str]:
    """Another key beside those that are valid; the second value is shown once. `signing`: it signs, never travels."""
    actor.require(Role.OPERATOR, integration.client.slug)
    secret = new_secret()
    row = Key.objects.create(
        integration=integration,
        digest=digest(secret),
        hint=secret[:8],
        sealed=_box().encrypt(secret.encode()).decode() if signing else "",
        created_at=clock.now(),
        created_by=actor.name,
    )
    details = {"key": row.pk, "signing": signing}
    record(actor, "integration.key_added", f"integration/{integration.pk}", integration.client.slug, details)
    return row, secret


@transaction.atomic
def revoke_key(actor: Actor, row: Key) -> None:
    """From now on it opens nothing. Twice changes nothing."""
    client = row.integration.client.slug
    actor.require(Role.OPERATOR, client)
    if Key.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=clock.now()):
        record(actor, "integration.key_revoked", f"integration/{row.integration_id}", client, {"key": row.pk})


def integration_of_key(secret: str, kind: str) -> Integration:
    """Looked up by the digest of a random key, so timing tells nothing. Raises NotSignedIn."""
    rows = Key.objects.select_related("integration__client", "integration__system__client")
    key = rows.filter(
        digest=digest(secret), sealed="", revoked_at=None, integration__removed_at=None, integration__kind=kind
    ).first()
    if not secret or key is None:
        raise NotSignedIn("This key is unknown, revoked, or of another kind of integration.", "See its page.")
    _touch(Key.objects.filter(pk=key.pk), clock.now())
    return key.integration


def _touch(rows: object, now: datetime) -> None:
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - timedelta(minutes=1))
    rows.filter(stale).update(last_used_at=now)  # type: ignore[attr-defined]


def integration_by_public_id(public_id: str, kind: str) -> Integration | None:
    rows = Integration.objects.select_related("client", "system__client")
    return rows.filter(public_id=public_id, kind=kind, removed_at=None).first()


def check_hmac(integration: Integration, request: Request) -> None:
    """Grafana's signature: over the body, or over TIMESTAMP:BODY when the integration names a header for the time.
    Raises NotSignedIn."""
    options = integration.options
    header, stamp_header = str(options.get("signatureHeader", "")), str(options.get("timestampHeader", ""))
    given = request.headers.get((header or "x-grafana-alerting-signature").lower(), "").strip().lower()
    signed = request.body
    if stamp_header:
        stamp = request.headers.get(stamp_header.lower(), "").strip()
        if not stamp.isascii() or not stamp.isdigit() or abs(int(stamp[:15]) - clock.real()) > SKEW.total_seconds():
            raise NotSignedIn(f"The header {stamp_header} must hold the time, within five minutes of ours.")
        signed = stamp.encode() + b":" + request.body
    elif not options.get("acceptReplay"):
        raise NotSignedIn(
            "A signature without a time can be sent again by anybody who saw it.",
            "Name a timestamp header in Grafana and in the integration, or accept replays there.",
        )
    rows = Key.objects.filter(integration=integration, revoked_at=None).exclude(sealed="")
    fits = False
    for row in rows:
        try:
            secret = _box().decrypt(row.sealed.encode())
        except InvalidToken:
            continue  # sealed under another AFTERLAUNCH_SECRET_KEY: it can't be checked, so it opens nothing
        wanted = hmac.new(secret, signed, hashlib.sha256).hexdigest()
        if given.isascii() and hmac.compare_digest(wanted, given):
            _touch(Key.objects.filter(pk=row.pk), clock.now())
            fits = True
    if not fits:
        raise NotSignedIn("The signature does not fit.", "Copy the signing secret into the contact point again.")


def actor_of(integration: Integration) -> Actor:
    """Who a sender is: it may tell alerts of its client, and, where its integration says so, read and silence them."""
    client = integration.client.slug
    held = [Held(Role.INGEST, client)]
    if integration.may_silence:
        held.append(Held(Role.RESPONDER, client))
    return Actor("token", f"{integration.name} ({integration.kind})"[:200], tuple(held))


def require_known(kind: str, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise Invalid(f"There is no kind of integration {kind!r}.", "Kinds: " + ", ".join(kinds))
