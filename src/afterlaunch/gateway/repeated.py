"""What a remembered answer would have been worth, where the route only observes its cache: the caller gets the
upstream's answer, and the call's spans tell how the remembered one compares. Pure.

Answers of models carry ids and times of their own, so that bytes rarely are equal: beside the bytes, what the answers
say and which tools they call is compared.
"""

from __future__ import annotations

from afterlaunch.gateway.guarding.calls import Unreadable
from afterlaunch.gateway.guarding.reading import Answer, read_json, read_stream
from afterlaunch.gateway.otlp import attribute
from afterlaunch.gateway.protocols import Protocol

NAME = "afterlaunch.response_cache"
SAME_BYTES, SAME_TEXT, DIFFERS = (attribute(NAME, f"would_hit_{how}") for how in ("same_bytes", "same_text", "differs"))


def compared(kept: bytes, fresh: bytes | None, wire: Protocol) -> bytes:
    """The attribute that tells it. `fresh` None: the upstream's answer failed, or was too long to be kept."""
    if fresh is None:
        return DIFFERS
    if kept == fresh:
        return SAME_BYTES
    try:
        before, now = _read(kept, wire), _read(fresh, wire)
    except Unreadable:
        return DIFFERS
    said = bool(before.choices or before.calls)
    return SAME_TEXT if said and before.choices == now.choices and before.calls == now.calls else DIFFERS


def _read(body: bytes, wire: Protocol) -> Answer:
    return read_json(body, wire) if body.lstrip()[:1] == b"{" else read_stream(body, wire)
