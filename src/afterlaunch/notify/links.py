"""Signed acknowledge links: one action, of one person, about one page, until they expire. Single use is the row's."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

from afterlaunch.ground.settings import settings as ours
from afterlaunch.notify.models import Page

VERSION = "1"


@dataclass(frozen=True)
class Link:
    """What a token says once its signature was found good."""

    page: int
    topic: str
    action: str
    person: int
    expires_at: datetime
    nonce: str


def _keys() -> dict[str, bytes]:
    """Key id to key, the newest first; older secrets still open links while they overlap."""
    secrets = [settings.SECRET_KEY, *getattr(settings, "SECRET_KEY_FALLBACKS", [])]
    keys = [hmac.new(str(one).encode(), b"afterlaunch acknowledge link", hashlib.sha256).digest() for one in secrets]
    return {hashlib.sha256(key).hexdigest()[:8]: key for key in keys}


def _mac(key: bytes, payload: str) -> str:
    return base64.urlsafe_b64encode(hmac.new(key, payload.encode(), hashlib.sha256).digest()).decode().rstrip("=")


def token(page: Page) -> str:
    """The same page has the same token, so that a retried page carries the same link."""
    key_id, key = next(iter(_keys().items()))
    expires = int(page.link_expires_at.timestamp())
    fields = (VERSION, key_id, page.topic, "acknowledge", page.person_id, page.pk, expires, page.nonce)
    payload = base64.urlsafe_b64encode("|".join(str(one) for one in fields).encode()).decode().rstrip("=")
    return f"{payload}.{_mac(key, payload)}"


def read(text: str) -> Link | None:
    """None for anything that we did not sign."""
    payload, _, mac = text.partition(".")
    try:
        fields = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode().split("|")
    except ValueError:
        return None
    if len(fields) != 8 or fields[0] != VERSION:
        return None
    key = _keys().get(fields[1])
    if key is None or not hmac.compare_digest(_mac(key, payload).encode(), mac.encode()):
        return None
    _, _, topic, action, person, page, expires, nonce = fields
    return Link(int(page), topic, action, int(person), datetime.fromtimestamp(int(expires), UTC), nonce)


def address(page: Page) -> str:
    return f"{ours().public_url}/ack/{token(page)}"
