"""What every way to a pipeline speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson

from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.ground.outbound import Document

Ask = Callable[[str, str, Mapping[str, str], Any], Document]
"""(method, address, headers, body as JSON or bytes, or None): through the outbound guard."""
RUNNING, SUCCEEDED, FAILED = "running", "succeeded", "failed"


class NotTaken(AfterlaunchError):
    """The pipeline answered, and did not start: asking again as it is won't help, unless `again`."""

    status, code = 502, "not_taken"

    def __init__(self, message: str, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


@dataclass(frozen=True)
class Order:
    """What a pipeline is told. `told`: everything, as one document."""

    key: str
    callback: str
    at: datetime
    told: Mapping[str, Any]


@dataclass(frozen=True)
class Started:
    """What the pipeline calls its run, where it says so, and where to see it."""

    external: str = ""
    address: str = ""


@dataclass(frozen=True)
class Seen:
    state: str
    message: str = ""
    external: str = ""
    address: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


class Pipeline(Protocol):
    """`repeatable`: starting twice with one key starts one run, so that it may be asked again when no answer came."""

    repeatable: bool

    def start(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order) -> Started:
        """Raises NotTaken, and what `ask` raises."""
        ...

    def look(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order, external: str) -> Seen | None:
        """How a run stands; None: it cannot be told, only its callback will tell."""
        ...


def json_of(answer: Document, what: str) -> dict[str, Any]:
    """Raises NotTaken."""
    try:
        told = orjson.loads(answer.body)
    except orjson.JSONDecodeError as problem:
        raise NotTaken(f"{what} answered {answer.status} without JSON.", again=True) from problem
    if not isinstance(told, dict):
        raise NotTaken(f"{what} answered {answer.status} with JSON that is no object.", again=True)
    return told


def require(answer: Document, what: str, *fine: int) -> None:
    if answer.status not in fine:
        said = " ".join(answer.body[:300].decode("utf-8", "replace").split())
        again = answer.status in (408, 425, 429) or answer.status >= 500
        raise NotTaken(f"{what} answered {answer.status}: {said}", again)
