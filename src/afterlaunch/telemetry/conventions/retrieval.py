"""The documents that a retrieval brought: ids, scores, how old they are (telemetry conventions §4.3).

They are told as one list (JSON or nested), one by one in numbered attributes (OpenInference), or by events of vector
databases. A similarity and a distance are never mixed: `score_kind` tells which. Internally all documents of a batch
are one flat list, sorted by span and rank.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from afterlaunch.telemetry.anyvalues import Bools, Ints
from afterlaunch.telemetry.conventions.arrow import nulls, valid
from afterlaunch.telemetry.conventions.attributes import Floats, Layer, floats
from afterlaunch.telemetry.conventions.events import RESULTS, Events
from afterlaunch.telemetry.conventions.inside import parsed

COLUMNS = {
    "document_count": pa.int64(),
    "document_ids": pa.list_(pa.string()),
    "document_scores": pa.list_(pa.float64()),
    "score_kind": pa.string(),
    "document_updated_ns": pa.list_(pa.int64()),
    "index_updated_ns": pa.int64(),
}
MOST_DOCUMENTS = 1000
KINDS = pa.array(["similarity", "distance"], pa.string())
SIMILARITY, DISTANCE, UNSCORED = 0, 1, -1
_SCORES = {"score": SIMILARITY, "similarity": SIMILARITY, "relevance_score": SIMILARITY, "distance": DISTANCE}
_IDS = ("id", "document_id", "doc_id", "_id")
_UPDATED, _INDEXED = ("updated_at", "last_modified"), "indexed_at"
NO_DATE = -(2**63)
LATEST_NS = 2**63


@dataclass
class Found:
    """Documents, by owner and rank; `whole`: owners whose documents were told by nothing but these columns."""

    owner: list[int] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)  # NaN: none
    kinds: list[int] = field(default_factory=list)
    dates: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)  # by place: changed, indexed
    empty: list[int] = field(default_factory=list)
    whole: set[int] = field(default_factory=set)

    def add(self, owner: int, told: list[Any]) -> None:
        if not told:
            self.empty.append(owner)
        self.owner += [owner] * len(told)
        if all(_is_plain(one) for one in told):  # the common case
            self.whole.add(owner)
            self.ids += [one["id"] for one in told]
            self.scores += [one["score"] for one in told]
            self.kinds += [SIMILARITY] * len(told)
            return
        for one in told:
            name, score, kind, updated, indexed = _document(one)
            if updated is not None or indexed is not None:
                self.dates[len(self.ids)] = updated, indexed
            self.ids.append(name if name is None or isinstance(name, str) else str(name))
            self.scores.append(np.nan if score is None else score)
            self.kinds.append(kind)


@dataclass(frozen=True)
class Flat:
    """As `Found`, as columns."""

    owner: Ints
    ids: Any
    scores: Floats
    kinds: Ints
    dates: dict[int, tuple[int | None, int | None]]


def documents(
    layer: Layer, listed: Any, events: Events, told_count: tuple[Ints, Bools], gone: Bools
) -> tuple[dict[str, Any], Bools]:
    """(the columns; owners whose list holds no more than the columns do). `listed`: the texts of whole lists;
    `told_count`: how many came, where they are not listed; `gone`: attributes that a column holds."""
    found = Found()
    rows = np.flatnonzero(valid(listed))
    for row, text in zip(rows.tolist(), listed.take(pa.array(rows)).to_pylist() if len(rows) else [], strict=True):
        if (told := of_list(parsed(text))) is not None:
            found.add(row, told)
    taken = np.zeros(layer.count, bool)
    taken[[*found.owner, *found.empty]] = True
    by_event = events.named(*RESULTS)
    for owner in sorted(by_event.keys() - set(np.flatnonzero(taken).tolist())):
        each = [{name.rpartition(".")[2]: value for name, value in one.attributes().items()} for one in by_event[owner]]
        found.add(owner, each[:MOST_DOCUMENTS])
        taken[owner] = True
    flat = _flat(found)
    numbered = _numbered(layer, taken, flat, gone)
    counts, known = told_count
    whole = np.zeros(layer.count, bool)
    whole[list(found.whole)] = True
    if not len(flat.owner) and not len(numbered.owner) and not known.any() and not found.empty:
        return {name: nulls(layer.count, kind) for name, kind in COLUMNS.items()}, whole
    every = _together(flat, numbered)
    listed_rows = np.bincount(every.owner, minlength=layer.count)
    is_listed = listed_rows > 0
    is_listed[found.empty] = True
    count = np.where(is_listed, listed_rows, counts)
    return {"document_count": pa.array(count, mask=~(is_listed | known)), **_lists(every, is_listed)}, whole


def of_list(found: Any) -> list[Any] | None:
    """The documents of JSON: a list, or an object that holds one. None when it is none."""
    if isinstance(found, dict):
        found = next((found[name] for name in ("documents", "results", "matches") if name in found), None)
    return found[:MOST_DOCUMENTS] if isinstance(found, list) else None


def _is_plain(one: Any) -> bool:
    return isinstance(one, dict) and len(one) == 2 and type(one.get("id")) is str and type(one.get("score")) is float


def _document(one: Any) -> tuple[Any, float | None, int, int | None, int | None]:
    """(id, score, kind of score, updated, indexed)."""
    if not isinstance(one, dict):
        return (one if isinstance(one, str) else None), None, UNSCORED, None, None
    inner = one["document"] if isinstance(one.get("document"), dict) else one
    name = next((inner[key] for key in _IDS if inner.get(key) is not None), None)
    meta = inner.get("metadata") or inner.get("meta")
    meta = parsed(meta) if isinstance(meta, str) else meta
    meta = meta if isinstance(meta, dict) else {}
    score, kind = _score(one, inner, meta)
    return name, score, kind, *_dates(inner, meta)


def _score(*told: dict[str, Any]) -> tuple[float | None, int]:
    for one in told:
        for name, kind in _SCORES.items():
            if name in one and (score := _number(one[name])) is not None:
                return score, kind
    return None, UNSCORED


def _dates(*told: dict[str, Any]) -> tuple[int | None, int | None]:
    """(when the document changed, when it was indexed)."""
    updated = (instant_ns(one[name]) for one in told for name in _UPDATED if name in one)
    indexed = (instant_ns(one[_INDEXED]) for one in told if _INDEXED in one)
    return next(updated, None), next(indexed, None)


def _flat(found: Found) -> Flat:
    return Flat(
        np.array(found.owner, np.int64),
        pa.array(found.ids, pa.string()),
        np.array(found.scores, np.float64),
        np.array(found.kinds, np.int64),
        found.dates,
    )


def _numbered(layer: Layer, taken: Bools, listed: Flat, gone: Bools) -> Flat:
    """Documents told one by one, of owners that list none. What repeats a list is marked in `gone`."""
    members = layer.plan.families.get("document", ())
    parts = {name: _members(layer, members, name) for name in ("id", "score", "metadata")}
    keys = np.unique(np.concatenate([key[~taken[key // MOST_DOCUMENTS]] for key, _ in parts.values()]))
    places = {name: np.full(len(keys) + 1, -1, np.int64) for name in parts}
    for name, (key, at) in parts.items():
        again = taken[key // MOST_DOCUMENTS]
        if again.any() and name != "metadata":
            gone[at[again][_repeats(layer, key[again], at[again], listed, name)]] = True
        places[name][np.searchsorted(keys, key[~again])] = at[~again]
        if name != "metadata":
            gone[at[~again]] = True
    if not len(keys):
        return _flat(Found())
    ids, score, meta = (places[name][:-1] for name in ("id", "score", "metadata"))
    scores = floats(layer.values, score)
    out = Flat(
        keys // MOST_DOCUMENTS,
        layer.values.texts(ids),
        scores,
        np.where(np.isfinite(scores), SIMILARITY, UNSCORED),
        {},
    )
    rows = np.flatnonzero(meta >= 0)
    for row, text in zip(rows.tolist(), layer.values.texts(meta[rows]).to_pylist(), strict=True):
        _from_metadata(out, row, parsed(text))
    return out


def _members(layer: Layer, members: Any, name: str) -> tuple[Ints, Ints]:
    """(owner and number in one key, place) of all numbered attributes of this name."""
    keys, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for code, member in members:
        if member.path == name and member.index < MOST_DOCUMENTS:
            owners, at = layer.of_key(code)
            keys.append(owners * MOST_DOCUMENTS + member.index)
            places.append(at)
    return np.concatenate(keys), np.concatenate(places)


def _repeats(layer: Layer, key: Ints, at: Ints, listed: Flat, name: str) -> Bools:
    """Which numbered attributes tell what the list tells."""
    begins = np.searchsorted(listed.owner, key // MOST_DOCUMENTS)
    place = begins + key % MOST_DOCUMENTS
    inside = place < len(listed.owner)
    place = np.minimum(place, max(len(listed.owner) - 1, 0))
    if not len(listed.owner):
        return np.zeros(len(key), bool)
    inside &= listed.owner[place] == key // MOST_DOCUMENTS
    if name == "score":
        same: Bools = floats(layer.values, at) == listed.scores[place]
    else:
        equal = pc.equal(layer.values.texts(at), listed.ids.take(pa.array(place)))
        same = equal.fill_null(False).to_numpy(zero_copy_only=False)
    return inside & same


def _from_metadata(out: Flat, row: int, meta: Any) -> None:
    if not isinstance(meta, dict):
        return
    out.dates[row] = _dates(meta)
    score, kind = _score(meta)
    if out.kinds[row] == UNSCORED and score is not None:
        out.scores[row], out.kinds[row] = score, kind


def _together(one: Flat, other: Flat) -> Flat:
    if not len(other.owner) or not len(one.owner):
        return one if len(one.owner) else other
    order = np.argsort(np.concatenate([one.owner, other.owner]), kind="stable")
    ids = pa.concat_arrays([one.ids, other.ids]).take(pa.array(order))
    owner, scores, kinds = (
        np.concatenate([getattr(one, name), getattr(other, name)])[order] for name in ("owner", "scores", "kinds")
    )
    dates = {**one.dates, **{place + len(one.owner): both for place, both in other.dates.items()}}
    now_at = np.argsort(order)
    return Flat(owner, ids, scores, kinds, {int(now_at[place]): both for place, both in dates.items()})


def _lists(told: Flat, is_listed: Bools) -> dict[str, Any]:
    count = len(is_listed)
    sizes = np.bincount(told.owner, minlength=count)
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    scored = np.flatnonzero(told.kinds >= 0)[::-1]
    kind = np.full(count, UNSCORED)
    kind[told.owner[scored]] = told.kinds[scored]  # the first scored document tells the kind; others do not mix in
    fits = (told.kinds >= 0) & (told.kinds == kind[told.owner])
    return {
        "document_ids": _list_of(told.ids, ends, is_listed),
        "document_scores": _list_of(pa.array(told.scores, mask=~fits), ends, kind >= 0),
        "score_kind": KINDS.take(pa.array(kind, mask=kind < 0)),
        **_dated(told, ends, count),
    }


def _list_of(values: Any, ends: Any, there: Bools) -> Any:
    return pa.ListArray.from_arrays(pa.array(ends), values, mask=pa.array(~there))


def _dated(told: Flat, ends: Any, count: int) -> dict[str, Any]:
    names = ("document_updated_ns", "index_updated_ns")
    if not told.dates:
        return {name: nulls(count, COLUMNS[name]) for name in names}
    updated: list[int | None] = [None] * len(told.owner)
    there, newest = np.zeros(count, bool), np.full(count, NO_DATE)
    for place, (changed, indexed) in told.dates.items():
        updated[place] = changed
        there[told.owner[place]] |= changed is not None
        newest[told.owner[place]] = max(newest[told.owner[place]], NO_DATE if indexed is None else indexed)
    lists = _list_of(pa.array(updated, pa.int64()), ends, there)
    return {names[0]: lists, names[1]: pa.array(newest, mask=newest == NO_DATE)}


def with_instants(column: Any, texts: Any) -> Any:
    """The instants that texts tell, where the column has none."""
    rows = np.flatnonzero(valid(texts) & ~valid(column))
    if not len(rows):
        return column
    told: list[int | None] = column.to_pylist()
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        told[row] = instant_ns(text)
    return pa.array(told, pa.int64())


def instant_ns(value: Any) -> int | None:
    """ISO 8601, or seconds or milliseconds since 1970, as nanoseconds; None for anything else, and from 2262 on."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
            instant = round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1e9)
        except ValueError:
            number = _number(value)
            return instant_ns(number) if number is not None else None
        except OverflowError:  # the first and the last day of the calendar, in another zone
            return None
        return instant if abs(instant) < LATEST_NS else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 1e8 < value < 4e12:
        return round(value * (1e6 if value > 4e9 else 1e9))
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None
