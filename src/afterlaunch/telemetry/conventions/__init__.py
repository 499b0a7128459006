"""From OTLP bodies to canonical columns: decode, map, count, classify, price. Pure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.ground.errors import Invalid, Unavailable
from afterlaunch.telemetry.anyvalues import Bools
from afterlaunch.telemetry.apart import apart, halves_of_message, why
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.conventions.identity import HOUSE
from afterlaunch.telemetry.conventions.spans import columns, unmapped
from afterlaunch.telemetry.encodings import read
from afterlaunch.telemetry.otlp import decode

__all__ = ["HOUSE", "Normalised", "normalise", "normalise_all"]
log = logging.getLogger(__name__)
Mapped = tuple[dict[str, Any], Bools]
"""The columns of `SPANS`, and which rows have ids that can be ids."""


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
    if content_type.partition(";")[0].strip().lower() == "application/x-protobuf":
        return _of_protobuf(body, client, received_ns)
    told = read(ExportTraceServiceRequest, body, content_type)
    made = _of_protobuf(told.message.SerializeToString(), client, received_ns)
    return Normalised(made.table, made.rejected + told.rejected, [*told.messages, *made.messages])


def _of_protobuf(body: bytes, client: str | None, received_ns: int) -> Normalised:
    decoded = decode(body)
    if not len(decoded.spans):
        return Normalised(SPANS.empty_table())
    try:
        return _normalised([columns(decoded, client, received_ns)])
    except (Invalid, Unavailable):
        raise
    except Exception as problem:  # noqa: BLE001 - its own words may hold what the sender wrote
        log.error("a body could not be mapped: %s", why(problem))
    return _normalised(_apart(body, client, received_ns))


def normalise_all(bodies: Sequence[bytes], client: str | None, received_ns: int) -> tuple[Normalised, list[int]]:
    """Protobuf bodies of one sender as one, which costs half: (what they become, how many spans each has). Raises what
    any of them raises: nothing is told then of the others."""
    decoded = decode(*bodies)
    sizes: list[int] = decoded.sizes.tolist()
    if not len(decoded.spans):
        return Normalised(SPANS.empty_table()), sizes
    return _normalised([columns(decoded, client, received_ns)]), sizes


def _apart(body: bytes, client: str | None, received_ns: int) -> list[Mapped]:
    """A fault of ours refuses nobody's span: that which cannot be mapped is kept as it came, is marked, and can be
    mapped again; its neighbours are mapped."""

    def mapped(part: ExportTraceServiceRequest) -> Mapped:
        return columns(decode(part.SerializeToString()), client, received_ns)

    request = ExportTraceServiceRequest.FromString(body)
    halves = partial(halves_of_message, path=("resource_spans", "scope_spans", "spans"))
    found = apart(request, mapped, halves, (Exception,))
    return [*found.done, *(unmapped(decode(part.SerializeToString()), client) for part, _ in found.bad)]


def _normalised(parts: list[Mapped]) -> Normalised:
    tables = [pa.Table.from_arrays([made[name] for name in SPANS.names], schema=SPANS) for made, _ in parts]
    table = pa.concat_tables(tables) if len(tables) > 1 else tables[0]
    good = np.concatenate([good for _, good in parts])
    if good.all():
        return Normalised(table)
    rejected, first = int((~good).sum()), int(good.argmin())
    said = f"{rejected} spans have no valid ids; the first is number {first} of the request"
    return Normalised(table.filter(pa.array(good)), rejected, [said])
