"""What stands inside the JSON that an attribute holds: a second layer of attributes, named "key#path".

Read only where a field would otherwise stay open; by distinct text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from afterlaunch.telemetry.anyvalues import Ints, Values
from afterlaunch.telemetry.conventions.attributes import Layer
from afterlaunch.telemetry.conventions.fields import FIELDS
from afterlaunch.telemetry.conventions.plan import CONTAINERS
from afterlaunch.telemetry.otlp import Pairs

MOST_TEXT = 1 << 20
FEEDS: dict[str, list[str]] = {}
"""Container -> the fields that it tells."""
for _field in FIELDS:
    for _source in _field.sources:
        if _source.path:
            FEEDS.setdefault(_source.key, []).append(_field.name)


def pairs_of(rows: list[tuple[int, str, bytes]]) -> Pairs:
    """Attributes from (owner, key, encoded value), sorted by owner."""
    keys = list(dict.fromkeys(key for _, key, _ in rows))
    code = {key: number for number, key in enumerate(keys)}
    owners = np.array([owner for owner, _, _ in rows], np.int64)
    codes = np.array([code[key] for _, key, _ in rows], np.int64)
    return Pairs(owners, keys, codes, Values(pa.array([blob for _, _, blob in rows], pa.binary())))


def inside(layer: Layer) -> Layer | None:
    """None when there is nothing of use."""
    rows: list[tuple[int, str, bytes]] = []
    for code, key in layer.plan.inside:
        owners, places = layer.of_key(code)
        wanted = _open(layer, key, owners)
        if wanted.any():
            rows += _told(layer, key, owners[wanted], places[wanted])
    if not rows:
        return None
    rows.sort(key=lambda row: row[0])
    return Layer(pairs_of(rows), layer.count, {})


def _open(layer: Layer, key: str, owners: Ints) -> Any:
    """The owners that lack one of the fields that this key may tell."""
    out = np.zeros(len(owners), bool)
    for field in FEEDS[key]:
        places = layer.places(field)
        out |= True if places is None else places[owners] < 0
    return out


def _told(layer: Layer, key: str, owners: Ints, places: Ints) -> list[tuple[int, str, bytes]]:
    codes, texts = layer.values.words(places)
    found = [_at_paths(key, parsed(text)) for text in texts]
    return [
        (owner, name, blob)
        for owner, code in zip(owners.tolist(), codes.tolist(), strict=True)
        if code >= 0
        for name, blob in found[code]
    ]


def _at_paths(key: str, document: Any) -> list[tuple[str, bytes]]:
    out = []
    for path in CONTAINERS[key] if isinstance(document, dict) else ():
        at = document
        for step in path.split("."):
            at = at.get(step) if isinstance(at, dict) else None
        if (blob := encoded(at)) is not None:
            out.append((f"{key}#{path}", blob))
    return out


def parsed(text: str | None) -> Any:
    """JSON, quoted once more by some senders; None for what is none."""
    if not text or len(text) > MOST_TEXT or text[0] not in '{["':
        return None
    try:
        found = orjson.loads(text)
        return orjson.loads(found) if isinstance(found, str) and found[:1] in ("{", "[") else found
    except orjson.JSONDecodeError:
        return None


def encoded(value: Any) -> bytes | None:
    """A scalar as an AnyValue, None for what is none."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value).SerializeToString()
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return AnyValue(int_value=value).SerializeToString()
    if isinstance(value, float):
        return AnyValue(double_value=value).SerializeToString()
    if isinstance(value, str):
        return AnyValue(string_value=value).SerializeToString()
    return None
