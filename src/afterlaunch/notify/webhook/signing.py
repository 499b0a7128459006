"""Standard Webhooks signatures, symmetric. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

TOLERANCE = 300


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 HMAC-SHA256 over "id.timestamp.body"; the key is the decoded secret."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("a webhook secret is base64, with or without whsec_") from None
    mac = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> str:
    """ "valid", or the named reason why not. `headers` have small names; `now` in Unix seconds."""
    message_id, stamp, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not message_id or not stamp or not given:
        return "header_missing"
    try:
        timestamp = int(stamp)
    except ValueError:
        return "timestamp_not_integer"
    if abs(now - timestamp) > TOLERANCE:
        return "timestamp_out_of_tolerance"
    wanted = sign(secret, message_id, timestamp, body)
    matches = [hmac.compare_digest(wanted.encode(), one.encode()) for one in given.split(" ")]
    return "valid" if any(matches) else "no_signature_matches"
