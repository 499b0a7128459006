"""Which addresses of Apprise may be used. Pure.

A scheme here leads to one provider's own host, whatever else its address says, so nobody reaches the inside of a
network with it. Schemes that take a host from the address (json://, mailto://, ntfy:// …) need an administrator's word
in AFTERLAUNCH_APPRISE_ALLOW.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl, urlsplit

from afterlaunch.ground.errors import Invalid

SMS = ("twilio", "vonage", "nexmo", "msgbird", "plivo", "sinch", "clickatell", "bulksms", "clicksend", "d7sms", "seven")
CHAT = ("pover", "tgram", "threema", "sns")
HOSTS = {
    "twilio": "api.twilio.com",
    "vonage": "rest.nexmo.com",
    "nexmo": "rest.nexmo.com",
    "msgbird": "rest.messagebird.com",
    "plivo": "api.plivo.com",
    "sinch": ".sms.api.sinch.com",
    "clickatell": "platform.clickatell.com",
    "bulksms": "api.bulksms.com",
    "clicksend": "rest.clicksend.com",
    "d7sms": "api.d7networks.com",
    "seven": "gateway.seven.io",
    "pover": "api.pushover.net",
    "tgram": "api.telegram.org",
    "threema": "msgapi.threema.ch",
    "sns": ".amazonaws.com",
}
NOT_YOURS = frozenset({"verify", "redirect", "cto", "rto", "image", "attach"})
"""Options that would turn checks off, follow redirects, outlast a lease or fetch something else."""


def scheme_of(address: str) -> str:
    return address.partition("://")[0].strip().lower()


def check(address: str, allowed: Collection[str]) -> str:
    """The scheme. Raises Invalid for one that nobody allowed and for options that loosen a guard."""
    scheme = scheme_of(address)
    if "://" not in address or (scheme not in HOSTS and scheme not in allowed):
        raise Invalid(
            f"{scheme!r} is no service that may be used." if scheme else "This is no address of Apprise.",
            "Services: " + ", ".join(sorted({*HOSTS, *allowed})) + ". An administrator of the house can allow others in"
            " AFTERLAUNCH_APPRISE_ALLOW.",
        )
    loose = NOT_YOURS & {name.lstrip("+-:").lower() for name, _ in parse_qsl(urlsplit(address).query, True)}
    if loose:
        raise Invalid(f"The option {sorted(loose)[0]} can't be used here.", "Leave it out.")
    return scheme


def medium_of(address: str) -> str:
    """voice, sms or chat: how it reaches a reader, and so how often it may."""
    options = {name.lower(): value.lower() for name, value in parse_qsl(urlsplit(address).query)}
    if scheme_of(address) == "twilio" and options.get("method", "").startswith("call"):
        return "voice"
    return "sms" if scheme_of(address) in SMS else "chat"
