"""A request and its answer, without any framework."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson

from afterlaunch.ground.errors import AfterlaunchError, Overloaded

KEPT_HEADERS = (
    "content-type", "user-agent", "x-amz-sns-message-type", "x-amz-sns-message-id", "x-amz-sns-topic-arn",
    "x-request-id", "content-length",
)  # fmt: skip


class WrongMethod(AfterlaunchError):
    status, code = 405, "method_not_allowed"


@dataclass(frozen=True)
class Request:
    """`headers` have lower-case names; `body` is as it came."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    query: str = ""

    def asked(self, name: str) -> list[str]:
        return parse_qs(self.query, keep_blank_values=True, max_num_fields=200).get(name, [])

    def credentials(self) -> str:
        """A bearer token, or the password of basic authentication; empty when there is neither."""
        scheme, _, rest = self.headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() == "bearer":
            return rest.strip()
        if scheme.lower() == "basic":
            try:
                pair = base64.b64decode(rest.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
            return pair.partition(":")[2]
        return ""

    def kept_headers(self) -> dict[str, str]:
        """What tells of the sender and is no secret."""
        return {name: self.headers[name][:300] for name in KEPT_HEADERS if name in self.headers}


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def as_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(value), (("content-type", "application/json"),))


def refusal(problem: AfterlaunchError) -> Answer:
    """A problem document; its first words stand in `message` too, which most senders log."""
    said = {"status": problem.status, "code": problem.code, "message": problem.message}
    body = {**said, **({"hint": problem.hint} if problem.hint else {})}
    headers = [("content-type", "application/json")]
    if isinstance(problem, Overloaded):
        headers.append(("retry-after", str(problem.retry_after)))
    if problem.status == 401:
        headers.append(("www-authenticate", 'Basic realm="Afterlaunch"'))
    return Answer(problem.status, orjson.dumps(body), tuple(headers))
