"""One request over HTTP: the status, where it leads, and what the body must be."""

from __future__ import annotations

import base64
import re
import time
from typing import Any
from urllib.parse import urlsplit

from afterlaunch import __version__
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.outbound import TooManyRedirects, fetch
from afterlaunch.ground.redaction import masked
from afterlaunch.probes import assertions
from afterlaunch.probes.assertions import Answer
from afterlaunch.probes.kinds.kind import (
    LONGEST_ANSWER,
    Config,
    Context,
    Field,
    flag,
    one_of,
    read,
    reference,
    secret,
    text,
)
from afterlaunch.probes.outcomes import Check, Outcome, Result, failed

HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
CREDENTIALS = ("authorization", "cookie", "proxy-authorization", "x-api-key", "api-key")
SHOWN_OF_FAILURE = 500
MOST_REDIRECTS = 5
STATUSES = re.compile(r"\s*\d{3}(\s*-\s*\d{3})?\s*(,\s*\d{3}(\s*-\s*\d{3})?\s*)*")


def url(value: Any) -> str:
    """An address that a probe may be given. Raises ValueError."""
    if not isinstance(value, str) or len(value) > 2_000 or any(ord(sign) < 33 for sign in value):
        raise ValueError(value)
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise ValueError(value)
    _ = parts.port  # raises for what is none
    return value


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > 20:
        raise ValueError(value)
    for name, told in value.items():
        if not isinstance(name, str) or not HEADER.fullmatch(name) or name.lower() in CREDENTIALS:
            raise ValueError(name)
        if not isinstance(told, str) or len(told) > 1_000 or any(ord(sign) < 32 or ord(sign) > 126 for sign in told):
            raise ValueError(told)
    return dict(value)


def _statuses(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 100 or not STATUSES.fullmatch(value):
        raise ValueError(value)
    return value


URL = Field("an http or https address, without a user name", url, needed=True)
FIELDS = {
    "url": URL,
    "method": one_of("GET", "HEAD", "POST", default="GET"),
    "headers": Field("a mapping of names to text, without credentials", _headers, {}),
    "body": text(20_000, "what is posted"),
    "status": Field("statuses such as 200 or 200-299, 304", _statuses, "200-299"),
    "follow": flag(True),
    "bearer": reference(),
    "username": text(200, "a user name"),
    "password": reference(),
    "assertions": Field("a list of assertions", assertions.check, ()),
}


class Http:
    name, label = "http", "HTTP"
    reaches = ("url", "bearer", "username", "password")
    secrets = ("bearer", "password")

    def check(self, config: Config) -> dict[str, Any]:
        taken = read(config, FIELDS)
        if taken["body"] and taken["method"] != "POST":
            raise Invalid("Only a POST has a body.")
        if bool(taken["username"]) != bool(taken["password"]):
            raise Invalid("A user name needs a password, and a password a user name.")
        if taken["bearer"] and taken["password"]:
            raise Invalid("A probe has a bearer token or a user name with a password, not both.")
        return taken

    def subject(self, config: Config) -> str:
        return str(config["url"])

    def run(self, config: Config, context: Context) -> Outcome:
        began = time.monotonic()
        body = config["body"].encode() if config["method"] == "POST" else None
        most = MOST_REDIRECTS if config["follow"] else 0
        try:
            document = fetch(
                config["method"], config["url"], body, _sent(config), context.seconds, LONGEST_ANSWER,
                private=context.trusted, redirects=most,
            )  # fmt: skip
        except TooManyRedirects as problem:
            return failed("redirects", str(problem), (time.monotonic() - began) * 1_000)
        spent = (time.monotonic() - began) * 1_000
        facts: dict[str, Any] = {"status": document.status, "bytes": len(document.body)}
        said = document.body[:LONGEST_ANSWER].decode("utf-8", "replace")
        fine = allowed(document.status, config["status"])
        checks = [Check("status", fine, f"It answers {document.status}.")]
        checks += assertions.judged(config["assertions"], Answer(said, spent, facts=facts))
        if all(check.ok for check in checks):
            return Outcome(Result.OK, milliseconds=spent, checks=checks, facts=facts)
        wrong = next(check for check in checks if not check.ok)
        reason = "assertion" if fine else "not_let_in" if document.status in (401, 403) else "status"
        return failed(reason, wrong.said, spent, checks=checks, facts=facts, answer=masked(said[:SHOWN_OF_FAILURE]))


def allowed(status: int, told: str) -> bool:
    """Whether a status is among "200-299, 304"."""
    for part in told.split(","):
        low, _, high = part.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def _sent(config: Config) -> list[tuple[str, str]]:
    given = list(config["headers"].items())
    names = {name.lower() for name, _ in given}
    sent = [("User-Agent", f"afterlaunch-probe/{__version__}"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]
    out = [pair for pair in sent if pair[0].lower() not in names] + given
    if config["bearer"]:
        out.append(("Authorization", f"Bearer {secret(config['bearer'])}"))
    elif config["password"]:
        pair = f"{config['username']}:{secret(config['password'])}".encode()
        out.append(("Authorization", f"Basic {base64.b64encode(pair).decode()}"))
    return out
