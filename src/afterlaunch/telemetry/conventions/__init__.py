"""From an OTLP body to canonical columns: decode, map, count, classify, price. Pure."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from afterlaunch.ground.errors import Invalid
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.conventions.identity import HOUSE
from afterlaunch.telemetry.conventions.spans import columns, unmapped
from afterlaunch.telemetry.otlp import decode, to_protobuf

__all__ = ["HOUSE", "Normalised", "normalise"]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Normalised:
    """`table` has the schema `columns.SPANS`; `rejected` spans can never be stored, `messages` say why."""

    table: Any
    rejected: int = 0
    messages: list[str] = field(default_factory=list)


def normalise(body: bytes, content_type: str, client: str | None, received_ns: int) -> Normalised:
    """`client`: slug of the sender's credential; None lets the resource name it (default: house). `received_ns`: now,
    for clocks that go wrong; 0 when it is not known.

    Raises Invalid when the body does not decode, Unsupported for another content type.
    """
    decoded = decode(to_protobuf(body, content_type))
    if not len(decoded.spans):
        return Normalised(SPANS.empty_table())
    try:
        made, good = columns(decoded, client, received_ns)
    except Invalid:
        raise
    except Exception:
        # A fault of ours refuses nobody's span: it is kept as it came, is marked, and can be mapped again.
        log.exception("a body could not be mapped")
        made, good = unmapped(decoded, client)
    table = pa.Table.from_arrays([made[name] for name in SPANS.names], schema=SPANS)
    if good.all():
        return Normalised(table)
    rejected, first = int((~good).sum()), int(good.argmin())
    said = f"{rejected} spans have no valid ids; the first is number {first} of the request"
    return Normalised(table.filter(pa.array(good)), rejected, [said])
