"""Labels find their predictions. Of every prediction and every label it is asked once whether they belong together:
new labels look at all that is kept, newest first; new predictions look at the labels that wait.

1. Read what is new since the last pass. 2. Match ids, without a lock. 3. In one transaction note the matches, what
waits still, which hours are to be added up again, and how far the pass came; where another pass was quicker, nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from django.db import transaction
from django.db.models import F, Q, QuerySet

from afterlaunch.labels.models import Batch, Hour, Match, Place
from afterlaunch.predictions.columns import Columns, Texts, joined, pack, unpack
from afterlaunch.predictions.models import Kept
from afterlaunch.profiles.hashing import Array

LABELS = 500_000  # of one pass
PARTS = 500  # new bodies of predictions of one pass
RECENT, SELDOM = timedelta(days=2), timedelta(hours=1)  # older hours are added up at most so often
Key = tuple[str, datetime]  # version, hour


@dataclass
class Open:
    """Labels that look for predictions. `ids` ascending, distinct; `first`, `order`: the rows of each id are
    order[first[k]:first[k + 1]]; `found`: by id."""

    batches: list[Batch]
    columns: Columns
    origins: Array  # (rows, 2): which batch, which row of it
    ids: Array
    first: Array
    order: Array
    found: Array
    hours: dict[Key, list[Array]] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return bool(self.found.all())


def opened(batches: list[Batch], rows: list[Array] | None = None) -> Open:
    """`rows`: of each batch those that wait; None: all."""
    parts, origins = [], []
    for at, batch in enumerate(batches):
        columns = unpack(bytes(batch.columns))
        chosen = np.arange(batch.rows) if rows is None else rows[at]
        kept = {name: columns[name] for name in ("id", "label", "time", "source")}
        parts.append({name: one.take(chosen) if isinstance(one, Texts) else one[chosen] for name, one in kept.items()})
        origins.append(np.stack([np.full(len(chosen), at), chosen], 1))
    columns = joined(parts)
    every = columns["id"]
    assert not isinstance(every, Texts)
    order = np.argsort(every, kind="stable")
    ids, first = np.unique(every[order], return_index=True)
    places = np.append(first, len(order))
    return Open(batches, columns, np.concatenate(origins), ids, places, order, np.zeros(len(ids), bool))


def look(labels: Open, key: Key, ids: Array) -> None:
    """`ids`: of kept predictions, ascending."""
    if len(ids) < len(labels.ids):
        at = np.minimum(np.searchsorted(labels.ids, ids), len(labels.ids) - 1)
        hits = np.unique(at[labels.ids[at] == ids])
    else:
        at = np.minimum(np.searchsorted(ids, labels.ids), len(ids) - 1)
        hits = np.flatnonzero(ids[at] == labels.ids)
    fresh = hits[~labels.found[hits]]
    if not len(fresh):
        return
    labels.found[fresh] = True
    rows = np.concatenate([labels.order[labels.first[at] : labels.first[at + 1]] for at in fresh.tolist()])
    labels.hours.setdefault(key, []).append(rows)


def join(place: Place, now: datetime) -> bool:
    """One pass. True: there is more."""
    fresh = _new_batches(place)
    parts = list(_kept(place).filter(pk__gt=place.kept_seen).order_by("pk").defer("columns")[:PARTS])
    if not fresh and not parts:
        return False
    upto = parts[-1].pk if parts else place.kept_seen
    touched = {(part.model_version, part.hour) for part in parts}
    passes = []
    waiting = list(Batch.objects.filter(place=place, waiting__gt=0, pk__lte=place.batches_seen).order_by("pk"))
    if parts and waiting:
        passes.append(opened(waiting, [np.frombuffer(bytes(one.waiting_rows), "<u4") for one in waiting]))
        for part in parts:
            look(passes[-1], (part.model_version, part.hour), _ids(part.ids))
    if fresh:
        passes.append(opened(fresh))
        _look_back(place, passes[-1], upto)
    return _noted(place, passes, touched, fresh, upto, now) and (len(parts) == PARTS or _more(place, fresh))


def _kept(place: Place) -> QuerySet[Kept]:
    return Kept.objects.filter(system=place.system_id, environment=place.environment)


def _ids(body: bytes | memoryview) -> Array:
    return np.frombuffer(bytes(body), "<u8")


def _new_batches(place: Place) -> list[Batch]:
    found: list[Batch] = []
    total = 0
    for batch in Batch.objects.filter(place=place, pk__gt=place.batches_seen).order_by("pk").iterator(10):
        total += batch.rows
        if found and total > LABELS:
            break
        found.append(batch)
    return found


def _more(place: Place, fresh: list[Batch]) -> bool:
    return bool(fresh) and Batch.objects.filter(place=place, pk__gt=fresh[-1].pk).exists()


def _look_back(place: Place, labels: Open, upto: int) -> None:
    """Newest hours first, until every label has found its prediction."""
    rows = _kept(place).filter(pk__lte=upto).order_by("-hour", "-pk").values_list("model_version", "hour", "ids")
    for version, hour, ids in rows.iterator(50):
        look(labels, (version, hour), _ids(ids))
        if labels.done:
            return


@transaction.atomic
def _noted(place: Place, passes: list[Open], touched: set[Key], fresh: list[Batch], upto: int, now: datetime) -> bool:
    seen = fresh[-1].pk if fresh else place.batches_seen
    same = Place.objects.filter(pk=place.pk, pass_number=place.pass_number)
    if not same.update(pass_number=F("pass_number") + 1, kept_seen=upto, batches_seen=seen):
        return False
    found: dict[Key, list[Columns]] = {}
    for labels in passes:
        for key, rows in labels.hours.items():
            found.setdefault(key, []).append(_matched(labels, np.concatenate(rows)))
        _note_waiting(labels)
    keys = sorted(touched | set(found))
    hours = _touch(place, keys, now)
    Match.objects.bulk_create(
        [
            Match(
                hour_id=hours[key],
                pass_number=place.pass_number + 1,
                rows=sum(_length(one) for one in parts),
                columns=pack(joined(parts)),
            )
            for key, parts in sorted(found.items())
        ],
        batch_size=100,
    )
    return True


def _length(columns: Columns) -> int:
    ids = columns["id"]
    assert not isinstance(ids, Texts)
    return len(ids)


def _matched(labels: Open, rows: Array) -> Columns:
    found: Columns = {
        name: one.take(rows) if isinstance(one, Texts) else one[rows] for name, one in labels.columns.items()
    }
    keys = np.array([batch.pk for batch in labels.batches], "<i8")
    origins = labels.origins[rows]
    return found | {"batch": keys[origins[:, 0]], "row": origins[:, 1].astype("<u4")}


def _note_waiting(labels: Open) -> None:
    missing = np.zeros(len(labels.order), bool)
    counts = np.diff(labels.first)
    missing[labels.order] = np.repeat(~labels.found, counts)
    for at, batch in enumerate(labels.batches):
        rows = labels.origins[missing & (labels.origins[:, 0] == at), 1].astype("<u4")
        Batch.objects.filter(pk=batch.pk).update(joined=True, waiting=len(rows), waiting_rows=rows.tobytes())


def _touch(place: Place, keys: list[Key], now: datetime) -> dict[Key, int]:
    fresh = [Hour(place=place, model_version=version, start=start) for version, start in keys]
    Hour.objects.bulk_create(fresh, ignore_conflicts=True)
    found: dict[Key, int] = {}
    for version in sorted({version for version, _ in keys}):
        starts = [start for one, start in keys if one == version]
        for at in range(0, len(starts), 500):
            rows = Hour.objects.filter(place=place, model_version=version, start__in=starts[at : at + 500])
            found |= {(version, start): pk for pk, start in rows.values_list("pk", "start")}
            _due(rows.filter(start__gte=now - RECENT), now, now)
            _due(rows.filter(start__lt=now - RECENT), now + SELDOM, now)
    return found


def _due(rows: QuerySet[Hour], at: datetime, now: datetime) -> None:
    """One that was never added up is due now."""
    rows.update(touched=F("touched") + 1)
    rows.filter(tallied_at=None).update(due_at=now)
    rows.exclude(tallied_at=None).filter(Q(due_at=None) | Q(due_at__gt=at)).update(due_at=at)
