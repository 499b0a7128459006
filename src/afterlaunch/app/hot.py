"""The stores that this process owns, and the raw ASGI paths that write to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from afterlaunch.app.asgi import Application


@dataclass
class Stores:
    hot: dict[str, Application] = field(default_factory=dict)
    closers: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        for closer in reversed(self.closers):
            closer()


def open_stores(host: str) -> Stores:
    """Open what `host` will serve. On loopback, telemetry needs no token; elsewhere it does."""
    return Stores()
