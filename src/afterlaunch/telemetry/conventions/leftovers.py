"""What no column took: kept as a map, so that nothing that was sent is lost (telemetry conventions §1.4).

An attribute is gone from it when a column holds the same. Those that lost against another and differ, that only
counted in part, or that were read into other words, stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import INT, Bools, Ints, Values
from afterlaunch.telemetry.conventions.arrow import capped, lengths
from afterlaunch.telemetry.conventions.attributes import Layer
from afterlaunch.telemetry.conventions.families import family
from afterlaunch.telemetry.conventions.fields import FIELDS
from afterlaunch.telemetry.conventions.table import As

STAYING = {
    *("usage_raw", "documents", "cost_in", "cost_out", "server_url", "entity", "trace_name", "tags", "route_path"),
    *("level", "error_message", "error_code", "ttft_at", "document_count", "proxy_key", "top_score", "top_distance"),
    *("span_client", "span_environment", "index_updated"),
    *("sampled_share", "sampled_percent", "sampled_one_in"),
}
"""Fields that are read, but not stored as they were sent."""
PARTS = {"server_port": ("server_address",), "total": ("in_total", "out_total")}
"""Fields that are stored, or can be told from what is stored, only together with others."""
_CONTENT = {field.name for field in FIELDS if field.read is As.CONTENT}


def taken(layer: Layer) -> tuple[Bools, Bools]:
    """(per attribute whether a column holds it; which of the layer's losers equal their winner)."""
    out = np.zeros(len(layer.pairs.codes), bool)
    stored = np.array([field not in STAYING for field in layer.rows], bool)
    places = layer.take[stored]
    out[places[places >= 0]] = True
    for part, others in PARTS.items():
        if (told := layer.places(part)) is None:
            continue
        for beside in map(layer.places, others):
            out[told[(told >= 0) & (True if beside is None else beside < 0)]] = False
    compared = np.array([field not in STAYING and field not in _CONTENT for field in layer.rows], bool)
    rows = np.flatnonzero(compared[layer.lost_row]) if len(layer.lost) else layer.lost
    equal = np.zeros(len(layer.lost), bool)
    equal[rows] = same(layer.values, layer.lost[rows], layer.take[layer.lost_row[rows], layer.lost_owner[rows]])
    out[layer.lost[equal]] = True
    return out, equal


def same(values: Values, these: Ints, those: Ints) -> Bools:
    """Which pairs of values are equal."""
    kind = values.kind[these]
    alike: Bools = (kind == values.kind[those]) & (values.length[these] == values.length[those])
    whole = alike & (kind == INT)
    alike[whole] = values.ints[these[whole]] == values.ints[those[whole]]
    other = np.flatnonzero(alike & ~whole)
    if len(other):
        both = values.blobs(np.concatenate([these[other], those[other]]))
        found = pc.equal(both.slice(0, len(other)), both.slice(len(other)))
        alike[other] = found.to_numpy(zero_copy_only=False)
    return alike


def _each_once(layer: Layer, left: Ints) -> Ints:
    """A map has each key once, and no engine takes another: of a key sent twice the last stays."""
    codes = layer.pairs.codes[left]
    order = np.argsort(codes.astype(np.uint16) if len(layer.pairs.keys) < 2**16 else codes, kind="stable")
    codes, owner = codes[order], layer.pairs.owner[left][order]
    earlier = np.flatnonzero((codes[1:] == codes[:-1]) & (owner[1:] == owner[:-1]))
    return np.delete(left, order[earlier]) if len(earlier) else left


def leftovers(layer: Layer, gone: Bools) -> tuple[Any, Bools]:
    """(a map column of what is left, the owners of texts that were cut). Vectors are left out: they say nothing to
    anybody, and are larger than all the rest."""
    vectors = [code for code, key in enumerate(layer.pairs.keys) if (one := family(key)) and one.family == "vector"]
    left = np.flatnonzero(~gone & (layer.values.kind != 0))
    if vectors:
        left = left[~np.isin(layer.pairs.codes[left], vectors)]
    left = _each_once(layer, left)
    offsets = np.zeros(layer.count + 1, np.int32)
    np.cumsum(np.bincount(layer.pairs.owner[left], minlength=layer.count), out=offsets[1:])
    keys = pa.array(layer.pairs.keys, pa.string()).take(pa.array(layer.pairs.codes[left]))
    texts = layer.values.texts(left)
    short = capped(texts)
    cut = np.zeros(layer.count, bool)
    if short is not texts:
        cut[layer.pairs.owner[left[lengths(texts) > lengths(short)]]] = True
    return pa.MapArray.from_arrays(pa.array(offsets), keys, short), cut
