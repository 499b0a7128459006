"""No events, and no telemetry: two different things, and neither is good or bad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from weakref import WeakKeyDictionary

from afterlaunch.slo.counting import DIMENSIONS, fold
from afterlaunch.slo.durations import HOUR, MINUTE
from afterlaunch.slo.measures import Measure
from afterlaunch.slo.models import SloVersion
from afterlaunch.telemetry.queries import Rollups, minute_of
from afterlaunch.telemetry.store import Store, current

LEAST = 5 * MINUTE
LEAST_QUIET = 10 * MINUTE
WEEKS = 4
AROUND = timedelta(hours=12)


@dataclass(frozen=True)
class Presence:
    """`kind`: present, no_telemetry, no_traffic, unknown (no signal was ever told, and there is no past to compare)."""

    kind: str
    said: str = ""


def without_telemetry(last: datetime | None, now: datetime, interval: int) -> Presence:
    """`last`: when the freshness signal was seen last; None: there never was one, so nothing can be told from it."""
    if last is None:
        return Presence("unknown")
    allowed = max(LEAST, 3 * interval)
    if (now - last).total_seconds() <= allowed:
        return Presence("present")
    return Presence(
        "no_telemetry",
        f"No telemetry since {last:%Y-%m-%d %H:%M} UTC, longer than {allowed // MINUTE} minutes: nothing is known.",
    )


def without_traffic(silence: int, usual: int | None) -> Presence:
    """`silence`: seconds without an event; `usual`: the longest gap of the last weeks at this weekday and hour."""
    if usual is None:
        return Presence("unknown")
    if silence < LEAST_QUIET or silence <= 2 * usual:
        return Presence("present")
    return Presence(
        "no_traffic",
        f"Telemetry comes, but no event for at least {silence // MINUTE} minutes; in the last four weeks no gap at this"
        f" hour was longer than {usual // MINUTE}.",
    )


def longest_gap(minutes: Sequence[int], first: int, last: int, hour: int) -> int | None:
    """Seconds of the longest time without an event that touches the hour from minute `hour` on, of a time [first,
    last) whose minutes with events are given. None without any: that week tells nothing."""
    if not minutes:
        return None
    edges = [first - 1, *sorted(set(minutes)), last]
    gaps = [
        (later - earlier - 1) * MINUTE for earlier, later in pairwise(edges) if earlier < hour + 60 and later > hour
    ]
    return max(gaps, default=0)


_gaps: WeakKeyDictionary[Store, tuple[int, dict[tuple[str, Measure], int | None]]] = WeakKeyDictionary()


def usual_gaps(versions: Sequence[SloVersion], now: datetime) -> Mapping[int, int | None]:
    """By version. At most four questions, once an hour for each version."""
    hour = minute_of(now) // 60 * 60
    store = current()
    kept = _gaps.get(store)
    if kept is None or kept[0] != hour:
        kept = _gaps[store] = (hour, {})
    known = kept[1]
    missing = [one for one in versions if (one.slo.client.slug, one.definition.measure) not in known]
    if missing:
        _ask(missing, hour, known)
    return {one.pk: known[one.slo.client.slug, one.definition.measure] for one in versions}


def _ask(versions: Sequence[SloVersion], hour: int, known: dict[tuple[str, Measure], int | None]) -> None:
    around = int(AROUND.total_seconds()) // MINUTE
    found: dict[tuple[str, Measure], list[int | None]] = {}
    for week in range(1, WEEKS + 1):
        at = hour - week * 7 * 24 * 60
        first, last = at - around, at + HOUR // MINUTE
        rows = Rollups(first, last, None, {}, 1, mirrored=False).sums(DIMENSIONS, "minute")
        for version in versions:
            measure, client = version.definition.measure, version.slo.client.slug
            place = (client, measure.system, measure.environment)
            minutes = []
            for row in rows:
                key = tuple(row[name] for name in DIMENSIONS)
                if key[:3] == place and fold([(key, row, {})], _calls(measure))[0][0] > 0:
                    minutes.append(row["step"])
            found.setdefault((client, measure), []).append(longest_gap(minutes, first, last, at))
    for one, gaps in found.items():
        told = [gap for gap in gaps if gap is not None]
        known[one] = max(told) if told else None


def _calls(measure: Measure) -> Measure:
    """The same events, whatever became of them."""
    return Measure("availability", measure.system, measure.environment, measure.route, measure.model, "timeouts")
