"""Messages of Amazon SNS: the signature first, then what they say.

1. The certificate's address: https, no user, the usual port, a host of SNS, a .pem; its region is the topic's. Nothing
is fetched before that. 2. The certificate, without redirects, kept by address; its dates hold. 3. The text that was
signed. 4. The signature: version 1 is RSA with SHA-1, version 2 with SHA-256. 5. Only then is a subscription to an
allowed topic confirmed.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from afterlaunch.ground import outbound
from afterlaunch.ground.errors import Invalid, NotSignedIn, Unavailable

HOST = re.compile(r"sns\.([a-zA-Z0-9-]{3,})\.amazonaws\.com(\.cn)?", re.A)
TYPES = ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation")
OLDEST = timedelta(hours=1)
FETCH_SECONDS = 5.0
CERTIFICATE_LIMIT = 20_000
Fetch = Callable[[str], bytes]


def fetch(url: str) -> bytes:
    """Through the guard: public addresses alone, no redirects. Raises Unavailable, Refused."""
    try:
        found = outbound.get(url, [], FETCH_SECONDS, CERTIFICATE_LIMIT, private=False)
    except outbound.Unreachable as problem:
        raise Unavailable(f"{problem}", "The sender will try again.", 30) from None
    if found.status != 200:
        raise Unavailable(f"{urlsplit(url).hostname} answered {found.status}.", "The sender will try again.", 30)
    return found.body[:CERTIFICATE_LIMIT]


class Certificates:
    """Certificates by their address, fetched once."""

    MOST = 50

    def __init__(self, get: Fetch) -> None:
        self._fetch, self._kept, self._lock = get, dict[str, x509.Certificate](), threading.Lock()

    def get(self, url: str, now: datetime) -> x509.Certificate:
        """Raises NotSignedIn, Unavailable."""
        with self._lock:
            found = self._kept.get(url)
        if found is None:
            try:
                found = x509.load_pem_x509_certificate(self._fetch(url))
            except ValueError:
                raise NotSignedIn("What SigningCertURL leads to is no certificate.") from None
            with self._lock:
                if len(self._kept) >= self.MOST:
                    self._kept.clear()
                self._kept[url] = found
        if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
            raise NotSignedIn("The certificate that signed it is not valid now.")
        return found


def check_address(url: Any, what: str, ending: str = "") -> str:
    """The region of an address of SNS. Raises NotSignedIn."""
    bad = NotSignedIn(f"{what} is no address of Amazon SNS.")
    if not isinstance(url, str) or len(url) > 2000 or not url.isascii() or any(ord(char) <= 32 for char in url):
        raise bad
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad from None
    found = HOST.fullmatch(parts.hostname or "")
    if parts.scheme != "https" or found is None or port not in (None, 443):
        raise bad
    if parts.username is not None or parts.password is not None or "\\" in url or not parts.path.endswith(ending):
        raise bad
    return found.group(1).lower()


def read(message: Any, header: str) -> dict[str, Any]:
    """The envelope, its form checked. Raises Invalid."""
    if not isinstance(message, dict):
        raise Invalid("The body must be an object.")
    kind = message.get("Type")
    if kind not in TYPES:
        raise Invalid(
            "This is no message of Amazon SNS: it has no Type.",
            "Raw message delivery must be off: it has no signature.",
        )
    if header != kind:
        raise Invalid("The header x-amz-sns-message-type does not name the message's Type.")
    wanted = ["MessageId", "TopicArn", "Message", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL"]
    for name in [*wanted, *(["Token", "SubscribeURL"] if kind != "Notification" else [])]:
        if not isinstance(message.get(name), str) or not message[name]:
            raise Invalid(f"{name} is missing.")
    if "Subject" in message and not isinstance(message["Subject"], (str, type(None))):
        raise Invalid("Subject must be text.")
    return message


def signed_text(message: Mapping[str, Any]) -> bytes:
    """The lines that are signed, in their order; Subject only where it is."""
    if message["Type"] == "Notification":
        names = ["Message", "MessageId", *(["Subject"] if message.get("Subject") is not None else [])]
        names += ["Timestamp", "TopicArn", "Type"]
    else:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    return "".join(f"{name}\n{message[name]}\n" for name in names).encode()


def verify(message: Mapping[str, Any], version_2_only: bool, certificates: Certificates, now: datetime) -> None:
    """Raises Invalid for an unknown version, NotSignedIn, Unavailable."""
    hashes: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - what version 1 is
    version = message["SignatureVersion"]
    if version not in hashes:
        raise Invalid(f"SignatureVersion {version[:20]!r} is not known.", "1 and 2 are.")
    if version_2_only and version != "2":
        raise Invalid("This integration takes signatures of version 2 only.", "Set SignatureVersion of the topic to 2.")
    region = check_address(message["SigningCertURL"], "SigningCertURL", ".pem")
    if region != region_of(message["TopicArn"]):
        raise NotSignedIn("SigningCertURL is of another region than the topic.")
    key = certificates.get(message["SigningCertURL"], now).public_key()
    try:
        signature = base64.b64decode(message["Signature"], validate=True)
    except binascii.Error:
        raise NotSignedIn("Signature is not base64.") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotSignedIn("The certificate's key is no RSA key.")
    try:
        key.verify(signature, signed_text(message), padding.PKCS1v15(), hashes[version])
    except InvalidSignature:
        raise NotSignedIn("The signature does not fit.") from None


def region_of(topic: str) -> str:
    """Of arn:aws:sns:REGION:ACCOUNT:NAME."""
    parts = topic.split(":")
    return parts[3].lower() if len(parts) == 6 and parts[0] == "arn" and parts[2] == "sns" else ""


def confirm(message: Mapping[str, Any], get: Fetch) -> None:
    """Visit the address that subscribes us. Raises NotSignedIn, Unavailable."""
    region = check_address(message["SubscribeURL"], "SubscribeURL")
    if region != region_of(message["TopicArn"]):
        raise NotSignedIn("SubscribeURL is of another region than the topic.")
    get(message["SubscribeURL"])
