"""Comments that come with labels: what is kept of them, from which no text can be read, and how they are gathered."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from afterlaunch.labels.models import Batch, Place
from afterlaunch.performance import comments
from afterlaunch.performance.comments import HASHES, Comments
from afterlaunch.predictions.columns import Columns, Texts, joined, pack, unpack
from afterlaunch.profiles.hashing import Array, mixed

COMMENT = "comment"
MOST = 5_000  # of one body, by a hash of their predictions; the others are not compared
LOOKED_AT = 20_000  # of the newest
NOW, BEFORE = timedelta(days=1), timedelta(days=15)


def kept(ids: Array, sources: Texts, told: Texts) -> bytes | None:
    """Of one body: the id, the source and the signature of each comment; None without any."""
    rows = np.flatnonzero(told.codes >= 0)
    rows = rows[np.argsort(mixed(ids[rows]), kind="stable")][:MOST]
    if not len(rows):
        return None
    codes = told.codes[rows]
    table, long = np.zeros((len(rows), HASHES), np.uint8), np.zeros(len(rows), bool)
    for code in np.unique(codes).tolist():
        made = comments.signature(told.values[code])
        if made is not None:
            table[codes == code], long[codes == code] = made, True
    words = table.view("<u8")
    columns: Columns = {"id": ids[rows], "source": sources.take(rows), "long": long.astype("u1")}
    return pack(columns | {f"hash{at}": np.ascontiguousarray(words[:, at]) for at in range(words.shape[1])})


def gathered(place: Place, now: datetime, stopped: set[str]) -> Comments:
    """The newest, of sources that count. Of several comments of a source on one prediction the last."""
    rows = Batch.objects.filter(place=place, received_at__gt=now - BEFORE).exclude(comments=None).order_by("-pk")
    parts: list[Columns] = []
    fresh: list[Array] = []
    total = 0
    for received_at, body in rows.values_list("received_at", "comments").iterator(20):
        columns = unpack(bytes(body or b""))
        count = len(_numbers(columns, "id"))
        if parts and total + count > LOOKED_AT:
            break
        parts.append(columns)
        fresh.append(np.full(count, received_at > now - NOW))
        total += count
    if not parts:
        return Comments(np.zeros((0, HASHES), np.uint8), np.zeros(0, np.int64), [], np.zeros(0, bool))
    columns = joined(parts)
    sources, ids = columns["source"], _numbers(columns, "id")
    assert isinstance(sources, Texts)
    _, first = np.unique(np.stack([ids, sources.codes.astype(np.uint64)]), axis=1, return_index=True)
    active = np.array([name not in stopped for name in sources.values])[sources.codes]
    kept_rows = np.zeros(len(ids), bool)
    kept_rows[first] = True
    long = _numbers(columns, "long") > 0
    words = np.stack([_numbers(columns, f"hash{at}") for at in range(HASHES // 8)], 1)
    table = np.ascontiguousarray(words).view(np.uint8)
    is_fresh = np.concatenate(fresh)
    chosen = kept_rows & active & long
    short = int((kept_rows & active & ~long & is_fresh).sum())
    return Comments(table[chosen], sources.codes[chosen], sources.values, is_fresh[chosen], short)


def _numbers(columns: Columns, name: str) -> Array:
    found = columns[name]
    assert not isinstance(found, Texts)
    return found
