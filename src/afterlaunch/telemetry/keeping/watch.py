"""The rules as the receivers hold them. Before they were ever read nothing is taken: unmasked content must not be
written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from afterlaunch.ground import watched
from afterlaunch.telemetry.intake import Made, Signal
from afterlaunch.telemetry.keeping.content import SPAN_SHAPE, Shape, private
from afterlaunch.telemetry.keeping.rates import rated
from afterlaunch.telemetry.keeping.rules import Rules
from afterlaunch.telemetry.keeping.scrubbing import scrubbed

CHANGES = watched.Changes()
changed = CHANGES.changed


class Watched(watched.Watched[Rules]):
    def __init__(self, read: Callable[[], Rules]) -> None:
        super().__init__(lambda _: read(), CHANGES, "What content may be kept")


def allowed(table: Any, shape: Shape, rules: Rules) -> Any:
    """The table as it may be written, with what is decided of its senders."""
    kept = private(table, shape, rules.of)
    return rated(kept, rules) if shape is SPAN_SHAPE else kept


def guarded(signal: Signal, shape: Shape, held: Watched) -> Signal:
    """The signal whose rows come as they may be written; so does what of a request could not be read."""

    def decode(body: bytes, content_type: str, client: str | None, received_ns: int) -> Made:
        made: Any = signal.decode(body, content_type, client, received_ns)
        kept: Made = replace(made, table=allowed(made.table, shape, held.now()))
        return kept

    def together(bodies: Sequence[bytes], client: str | None, received_ns: int) -> tuple[Made, list[int]]:
        assert signal.together is not None
        made, sizes = signal.together(bodies, client, received_ns)
        shown: Any = made
        return replace(shown, table=allowed(made.table, shape, held.now())), sizes

    def sent(message: Message, client: str | None) -> bytes:
        scrubbed(message, held.now().strictest(client))
        return message.SerializeToString()

    return replace(
        signal,
        decode=decode,
        request=replace(signal.request, kept=sent),
        together=together if signal.together else None,
    )
