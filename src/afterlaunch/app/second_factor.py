"""What allauth keeps of second factors is sealed with a key made from the server's secret."""

from __future__ import annotations

import base64
import hashlib
import hmac

from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from afterlaunch.ground.errors import NotAllowed


def _box() -> MultiFernet:
    """The newest secret seals; older ones still open while they overlap."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    keys = [hmac.new(str(one).encode(), b"afterlaunch second factor", hashlib.sha256).digest() for one in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


class Sealed(DefaultMFAAdapter):  # type: ignore[misc]
    def encrypt(self, text: str) -> str:
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return _box().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            raise NotAllowed(
                "This second factor was set up under another AFTERLAUNCH_SECRET_KEY.",
                "Sign in with a link (afterlaunch sign-in --email …), take it off under Settings, set it up anew.",
            ) from None
