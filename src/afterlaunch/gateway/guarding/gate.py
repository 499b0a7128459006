"""What every gate of an answer does, and how a stream ends that may not go on."""

from __future__ import annotations

from typing import Protocol

from afterlaunch.gateway.protocols import Protocol as Wire
from afterlaunch.gateway.protocols import Refusal


class Cut(Exception):
    """The stream ends here, with `event` as its last words."""

    def __init__(self, refusal: Refusal, wire: Wire) -> None:
        super().__init__(refusal.reason)
        self.event = refusal.event(wire)


class Gate(Protocol):
    @property
    def holds(self) -> bool:
        """Whether nothing of the answer may be sent yet."""

    @property
    def edits(self) -> bool:
        """Whether the length that the provider told may not hold."""

    @property
    def later(self) -> bool:
        """Whether something is still to be looked at when the answer has passed."""

    def feed(self, read: bytes) -> bytes:
        """What may go to the caller now. Raises Cut, Refusal while it holds."""

    async def finish(self) -> bytes:
        """What may go at the end. Raises Refusal while it holds, Cut."""

    def cut_off(self) -> bytes:
        """What still may go when the upstream is cut: whatever had come whole. An event that had not, never does: it
        was not checked, and readers of a stream drop it."""

    async def after(self) -> None:
        """When the caller has had everything."""

    def close(self) -> None:
        """However it ended."""
