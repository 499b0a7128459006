"""Each closed hour of each series is judged once, from the state of the hour before. New series learn from the past."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from afterlaunch.anomalies import gathering
from afterlaunch.anomalies.episodes import Episode, Mark, step
from afterlaunch.anomalies.gathering import HOUR, Key
from afterlaunch.anomalies.measures import FOLLOWED, MEASURES, Measure
from afterlaunch.anomalies.models import Series, Told
from afterlaunch.anomalies.rarity import chance
from afterlaunch.ground.settings import settings
from afterlaunch.series.detector import Detector, Judged
from afterlaunch.verdicts.words import Scope

LATENESS = timedelta(minutes=10)
PAST = timedelta(days=28)
AT_ONCE = timedelta(days=7)  # of hours asked for with one question
KEPT_POINTS = 24 * 14
HOURS_A_WEEK = 7 * 24
BY_CHANCE = 2.0
"""The tail of a series tells its chances roughly: this many times the budget's share may come of it."""
BATCH = 50
Behind = Callable[[Scope, Mapping[str, str], datetime, datetime], str]
"""What stands behind an unusual hour, in words."""
Point = list[float | None]
Points = Mapping[str, Mapping[int, float | None]]
NOTHING: Points = {}


def follow(now: datetime, behind: Behind) -> None:
    """Up to the newest hour that is closed."""
    until = (now - LATENESS).replace(minute=0, second=0, microsecond=0)
    rows = Series.objects.filter(followed=True)
    if rows.exists() and not rows.exclude(seen_until__gte=until).exists():
        return  # no hour has closed since the last pass
    if not _note(gathering.wanted(until), now):
        return
    share = settings().number("ANOMALIES_FALSE_ALERTS") / max(1, rows.count())
    due: dict[tuple[str, datetime], list[Series]] = defaultdict(list)
    for row in rows.exclude(seen_until__gte=until).defer("state", "points"):
        due[row.dimension, max(row.seen_until or until - PAST, until - PAST)].append(row)
    for (dimension, first), some in sorted(due.items(), key=lambda one: (one[0][1], one[0][0])):
        _catch_up(dimension, [row.pk for row in some], first, until, share, behind)


def _note(keys: Sequence[Key], now: datetime) -> bool:
    """New series begin, those that are no longer wanted rest; whether any is followed."""
    names = ("client", "system", "environment", "dimension", "value", "measure")
    known = {tuple(row[1:]): row[0] for row in Series.objects.values_list("pk", *names)}
    wanted = set(keys)
    Series.objects.bulk_create(
        [Series(**dict(zip(names, key, strict=True)), made_at=now) for key in keys if key not in known],
        ignore_conflicts=True,
        batch_size=500,
    )
    rest = [pk for key, pk in known.items() if key not in wanted]
    Series.objects.filter(pk__in=rest, followed=True).update(followed=False)
    Series.objects.filter(pk__in=[known[key] for key in keys if key in known], followed=False).update(followed=True)
    Told.objects.filter(series__in=rest, until=None).update(until=now)
    return bool(keys)


def _catch_up(
    dimension: str, ids: Sequence[int], first: datetime, until: datetime, share: float, behind: Behind
) -> None:
    """Weeks at a time; what was judged is kept before the next week is asked for."""
    while first < until:
        end = min(first + AT_ONCE, until)
        rows = Series.objects.filter(pk__in=ids).defer("state", "points")
        values = sorted({row.value for row in rows})
        told = gathering.hours(dimension, values, first, end, FOLLOWED[dimension])
        for begin in range(0, len(ids), BATCH):
            _keep(ids[begin : begin + BATCH], told, first, end, share, behind)
        first = end


def _keep(
    ids: Sequence[int],
    told: Mapping[gathering.Of, Points],
    first: datetime,
    end: datetime,
    share: float,
    behind: Behind,
) -> None:
    rows = list(Series.objects.filter(pk__in=ids))
    for row in rows:
        points = told.get((row.client, row.system, row.environment, row.value), NOTHING).get(row.measure, {})
        episodes = _judge(row, points, first, end, share, behind)
        with transaction.atomic():
            for one in episodes:
                if one.pk is None:
                    one.save()
                else:  # unless a person has called it usual meanwhile
                    Told.objects.filter(pk=one.pk, until=None).update(figures=one.figures, until=one.until)
            row.save(update_fields=["points", "seen_until", "hours", "rhythm", "learning", "state"])


def _judge(
    row: Series, points: Mapping[int, float | None], first: datetime, end: datetime, share: float, behind: Behind
) -> list[Told]:
    """Fills the row; its episodes that began, went on or ended. Hours before the first call of a series are not its
    own; later ones without a call held none."""
    detector = _detector(row, share)
    told = row.episodes.filter(until=None).first()
    episode, episodes = (Episode.read(told.figures) if told else None), [told] if told else []
    measure, mark = MEASURES[row.measure], _mark(row, end)
    kept = list(row.points)
    silence = 0.0 if row.measure in ("cost", "calls") else None
    for number in range((end - first) // HOUR):
        value = points.get(number, silence)
        if not detector.n and number not in points:
            continue
        at = first + (number + 1) * HOUR
        judged = detector.see(at.timestamp(), value)
        rare = _rare(measure, kept[-KEPT_POINTS:], BY_CHANCE * share / HOURS_A_WEEK)
        after = step(episode, at.timestamp(), value, judged, measure, mark, rare)
        kept.append(_rounded(int(at.timestamp()), value, judged))
        if told is not None and after is not None:
            told.figures = after.document()
        elif told is not None:
            told.until, told = at, None
        elif after is not None:
            told = Told(series=row, since=at - HOUR, figures=after.document(), why=judged.why)
            told.words = _behind(row, at, behind)
            episodes.append(told)
        episode = after
    row.points, row.seen_until = kept[-KEPT_POINTS:], end
    row.hours, row.rhythm = detector.n, detector.season_told()
    row.learning = not detector.n or detector.learning(end.timestamp())
    row.state = zlib.compress(json.dumps(detector.state()).encode(), 1)
    return episodes


def _behind(row: Series, at: datetime, behind: Behind) -> str:
    if row.measure not in ("cost", "calls"):
        return ""
    narrowed = {row.dimension: row.value} if row.dimension else {}
    place = {"client": row.client, "system": row.system, "environment": row.environment or None}
    said = [gathering.of_a_sample({**place, **narrowed}, at - HOUR, at)]
    if row.measure == "cost":
        said.insert(0, behind(Scope(row.client, row.system, row.environment), narrowed, at - HOUR, at))
    return " ".join(one for one in said if one)


def _detector(row: Series, share: float) -> Detector:
    per_week = min(max(share, 1e-6), 10_000.0)
    if row.state is None:
        return Detector(per_week)
    detector = Detector.restored(json.loads(zlib.decompress(bytes(row.state))))
    if not 0.67 < detector.budget.per_week / per_week < 1.5:
        detector.budget.retune(per_week)
    return detector


def _mark(row: Series, now: datetime) -> Mark | None:
    if row.known_size is None or row.known_until is None or row.known_until <= now:
        return None
    return Mark(row.known_size, row.known_up)


def _rare(measure: Measure, before: Sequence[Point], limit: float) -> Callable[[float, float], bool]:
    def rare(value: float, expected: float) -> bool:
        up = value > expected
        known = [measure.ratio(one[1], one[2], up) for one in before if one[1] is not None and one[2] is not None]
        return chance(known, measure.ratio(value, expected, up)) <= limit

    return rare


def _rounded(at: int, value: float | None, judged: Judged) -> Point:
    return [at, *(None if one is None else float(f"{one:.6g}") for one in (value, judged.expected, judged.score))]
