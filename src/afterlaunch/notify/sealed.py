"""Secrets of channels at rest: sealed with a key made from the server's secret."""

from __future__ import annotations

import base64
import hashlib
import hmac

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from afterlaunch.ground.errors import Invalid


def _box() -> MultiFernet:
    """The newest secret seals; older ones still open while they overlap."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    keys = [hmac.new(str(one).encode(), b"afterlaunch channel", hashlib.sha256).digest() for one in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


def seal(values: dict[str, str]) -> str:
    return _box().encrypt(orjson.dumps(values)).decode() if values else ""


def unseal(text: str) -> dict[str, str]:
    """Raises Invalid when it was sealed under a key that is no longer known."""
    if not text:
        return {}
    try:
        opened: dict[str, str] = orjson.loads(_box().decrypt(text.encode()))
    except InvalidToken:
        raise Invalid(
            "Its secrets were sealed under another AFTERLAUNCH_SECRET_KEY.",
            "Enter them again under Settings, Channels.",
        ) from None
    return opened
