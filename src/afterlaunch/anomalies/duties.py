from __future__ import annotations

from datetime import datetime, timedelta

from afterlaunch.anomalies import following, judging
from afterlaunch.anomalies.episodes import Episode
from afterlaunch.anomalies.following import Behind
from afterlaunch.anomalies.measures import MEASURES
from afterlaunch.anomalies.models import Series, Told
from afterlaunch.ground.settings import settings
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.models import Verdict
from afterlaunch.verdicts.words import Finding, Named, Scope, Status

KEPT = timedelta(days=400)


def follow(now: datetime, behind: Behind) -> None:
    """Every closed hour of every series, then a verdict for each system and measure."""
    following.follow(now, behind)
    found = judging.findings(_seen(), settings().number("ANOMALIES_FALSE_ALERTS"))
    watch.write([*found, *_gone({(one.name, scope) for scope, one, _ in found})], now)
    Told.objects.filter(until__lt=now - KEPT).delete()


def _seen() -> list[judging.Seen]:
    lasting = {one.series_id: one for one in Told.objects.filter(until=None)}
    rows = Series.objects.filter(followed=True).defer("state", "points")
    out = []
    for row in rows:
        told = lasting.get(row.pk)
        place = (row.client, row.system, row.environment)
        what = judging.of(row.dimension, row.value)
        episode = Episode.read(told.figures) if told else None
        words = told.words if told else ""
        out.append(judging.Seen(row.pk, place, what, row.measure, row.learning, row.hours, episode, words))
    return out


def _gone(found: set[tuple[str, Scope]]) -> list[tuple[Scope, Named, Finding]]:
    """Systems that have told nothing for a week."""
    out: list[tuple[Scope, Named, Finding]] = []
    for measure in MEASURES.values():
        for row in Verdict.objects.filter(judge=measure.name).exclude(status=Status.NOT_ASSESSED.value):
            scope = Scope(row.client, row.system, row.environment)
            if (measure.name, scope) not in found:
                said = "Nothing was told for a week."
                out.append((scope, measure, Finding(measure.name, Status.NOT_ASSESSED, "no_data", said)))
    return out
