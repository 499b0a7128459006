"""The weekly rhythm of a reference: which features have one, and the profiles of their hours of the week.

It is learnt once, and never altered: with the reference, where that tells times of three whole weeks; else from the
first three weeks of predictions. Then a feature is left out whose weeks together do not look like the reference: it
drifted, or the reference was never like production, and comparing it with its own weeks would hide that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from django.db import transaction

from afterlaunch.drift import judging as comparing
from afterlaunch.drift import rhythms
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Invalid
from afterlaunch.predictions import folding, judging, packed
from afterlaunch.predictions.bodies import TIME, Rows, times
from afterlaunch.predictions.models import Bucket, Hour, Reference, Rhythm
from afterlaunch.predictions.packed import Layouts, Profiles
from afterlaunch.profiles.hashing import Array

HOUR = timedelta(hours=1)
MICROSECONDS = 3_600_000_000  # of an hour
LOOKED_AT = 5_000  # hours among which the weeks are looked for
APART = 0.01  # the PSI beyond which weeks certainly are not the reference: a mean moved by 0.1 standard deviations


@dataclass(frozen=True)
class Learnt:
    """`shares`: of each feature, what the hours of the week explain; `features`: those that are compared by them."""

    zone: str
    start: datetime
    end: datetime
    weeks: int
    shares: dict[str, float]
    features: list[str]
    buckets: dict[int, tuple[int, bytes]]
    left_out: dict[str, str] = field(default_factory=dict)


def zone_of(system: System) -> str:
    """Of the system where it has one of its own, else of the client."""
    return system.time_zone if system.time_zone != "UTC" else system.client.time_zone


def _found(
    counts: Mapping[str, Array], hours: Array, left_out: Mapping[str, str]
) -> tuple[dict[str, float], list[str]]:
    shares = {name: round(rhythms.explained(table, hours), 4) for name, table in counts.items()}
    return shares, [name for name, share in shares.items() if share > rhythms.SHARE and name not in left_out]


def of_table(system: System, layouts: Layouts, profiles: Profiles, rows: Rows, latest: datetime) -> Learnt | None:
    """Of a reference that tells the times of its rows; None where it does not, or of too short a time."""
    if TIME not in rows.columns:
        return None
    try:
        every = times(rows, latest) // MICROSECONDS
    except Invalid:  # a reference needs no times: what cannot be read is as none
        return None
    zone = ZoneInfo(zone_of(system))
    numbers, places = np.unique(every, return_inverse=True)
    starts = [datetime.fromtimestamp(int(one) * 3_600, UTC) for one in numbers]
    weeks = rhythms.whole_weeks(starts[0], starts[-1] + HOUR, zone)
    if weeks < rhythms.WEEKS:
        return None
    end = rhythms.after_weeks(starts[0], weeks, zone)
    inside = np.array([one < end for one in starts])
    hours = np.array([rhythms.hour_of_week(one, zone) for one in starts])
    counts = folding.grouped(layouts, profiles, rows, places, len(numbers))
    shares, features = _found({name: table[inside] for name, table in counts.items()}, hours[inside], {})
    chosen = {name: layouts[name] for name in features}
    weekly = np.where(inside, hours, -1)[places]
    parts = folding.parts(chosen, rows, [np.flatnonzero(weekly == hour) for hour in range(rhythms.HOURS)])
    buckets = {hour: (count, packed.pack(one)) for hour, (count, one) in enumerate(parts) if count and features}
    return Learnt(zone.key, starts[0], end, weeks, shares, features, buckets)


def of_hours(
    system: System,
    layouts: Layouts,
    profiles: Profiles,
    hours: Sequence[tuple[int, datetime]],
    first: datetime,
    until: datetime,
    compare: bool,
) -> Learnt | None:
    """Of judged hours (row, start) of a time. `compare`: their sum is compared with `profiles`, the reference's."""
    zone = ZoneInfo(zone_of(system))
    weeks = rhythms.whole_weeks(first, until, zone)
    if weeks < rhythms.WEEKS:
        return None
    end = rhythms.after_weeks(first, weeks, zone)
    chosen = [(pk, start) for pk, start in hours if first <= start < end]
    starts = {name: rhythms.groups_of(one) for name, one in profiles.items()}
    weekly = np.array([rhythms.hour_of_week(start, zone) for _, start in chosen])
    tables: dict[str, list[Array]] = defaultdict(list)
    whole = packed.empty(layouts)
    for _, found in _profiles([pk for pk, _ in chosen], layouts):
        whole = packed.merge(whole, found) if compare else whole
        for name, one in found.items():
            tables[name].append(rhythms.counts_of(one, starts[name]))
    left_out = _unlike(profiles, whole) if compare else {}
    shares, features = _found({name: np.stack(table) for name, table in tables.items()}, weekly, left_out)
    kept = {name: layouts[name] for name in features}
    buckets = {}
    for hour in sorted(set(weekly.tolist())) if features else []:
        total, rows = packed.empty(kept), 0
        for count, found in _profiles([pk for (pk, _), at in zip(chosen, weekly, strict=True) if at == hour], layouts):
            total, rows = packed.merge(total, {name: found[name] for name in features}), rows + count
        buckets[hour] = (rows, packed.pack(total))
    told = {name: why for name, why in left_out.items() if shares.get(name, 0.0) > rhythms.SHARE}
    return Learnt(zone.key, first, end, weeks, shares, features, buckets, told)


def _profiles(ids: Sequence[int], layouts: Layouts) -> Iterator[tuple[int, Profiles]]:
    """In the order given."""
    for at in range(0, len(ids), 50):
        rows = Hour.objects.filter(pk__in=ids[at : at + 50]).values_list("pk", "rows", "profile")
        found = {pk: (count, bytes(body or b"")) for pk, count, body in rows}
        for pk in ids[at : at + 50]:
            count, body = found[pk]
            yield count, packed.unpack(body, layouts)


def _unlike(reference: Profiles, weeks: Profiles) -> dict[str, str]:
    """Features whose weeks together certainly are not the reference."""
    pairs = {name: (one, weeks[name]) for name, one in reference.items()}
    found = {}
    for one in comparing.judge(pairs, judging.LIMITS):
        psi = one.evidence.psi if one.evidence else None
        if one.verdict == comparing.DRIFT and psi is not None and psi.low > APART:
            found[one.name] = f"Its weeks together do not look like the reference: {one.why}"
    return found


def keep(reference: Reference, learnt: Learnt, since: datetime | None, now: datetime) -> Rhythm:
    """Within a transaction. `since`: hours from here on are compared so; None: all."""
    made = Rhythm.objects.create(
        reference=reference,
        zone=learnt.zone,
        starts_at=learnt.start,
        ends_at=learnt.end,
        weeks=learnt.weeks,
        since=since,
        shares=learnt.shares,
        features=learnt.features,
        left_out=learnt.left_out,
        made_at=now,
    )
    buckets = [Bucket(rhythm=made, hour=hour, rows=rows, profile=body) for hour, (rows, body) in learnt.buckets.items()]
    Bucket.objects.bulk_create(buckets, batch_size=50)
    return made


def learn(reference: Reference, layouts: Layouts, now: datetime) -> Rhythm | None:
    """Once, when three weeks of predictions were judged."""
    if Rhythm.objects.filter(reference=reference).exists():
        return None
    rows = Hour.objects.filter(reference=reference).exclude(judged_at=None).exclude(profile=None)
    starts = list(rows.order_by("start").values_list("start", flat=True).distinct()[:LOOKED_AT])
    first = rhythms.first_of_weeks(starts)
    if first is None or Hour.objects.filter(reference=reference, due=True, start__lte=starts[-1]).exists():
        return None
    newest = rows.latest("start").start
    body = Reference.objects.values_list("profile", flat=True).get(pk=reference.pk)
    profiles = packed.unpack(bytes(body), layouts)
    hours = list(rows.order_by("start", "pk").values_list("pk", "start"))
    until = first + rhythms.WEEKS * rhythms.WEEK + HOUR  # one more: a week with a change of the clock has one
    learnt = of_hours(reference.system, layouts, profiles, hours, first, until, compare=True)
    if learnt is None:
        return None
    with transaction.atomic():
        made = keep(reference, learnt, newest + HOUR, now)
        told = {"reference": reference.version, "weeks": learnt.weeks, "features": ", ".join(learnt.features)[:2_000]}
        told |= {"from": learnt.start.isoformat(), "to": learnt.end.isoformat(), "zone": learnt.zone}
        client = reference.system.client.slug
        record(automation("predictions"), "rhythm.learnt", f"reference/{reference.pk}", client, told)
    return made
