from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Prefetch, QuerySet

from afterlaunch.anomalies.episodes import Episode
from afterlaunch.anomalies.models import Series, Told
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound

MOST_DAYS = 90


def series_seen_by(actor: Actor) -> QuerySet[Series]:
    """With the episodes that last as `lasting`."""
    seen = actor.sees()
    lasting = Prefetch("episodes", Told.objects.filter(until=None), "lasting")
    rows = Series.objects.filter(followed=True).defer("state").prefetch_related(lasting)
    return rows if seen is None else rows.filter(client__in=seen)


def series_by_id(actor: Actor, pk: int) -> Series:
    seen = actor.sees()
    rows = Series.objects.defer("state") if seen is None else Series.objects.defer("state").filter(client__in=seen)
    row = rows.filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no series {pk}.")
    return row


@transaction.atomic
def call_usual(actor: Actor, series: Series, days: int) -> Told:
    """The episode that lasts is over: a person knows why. One of this size or less is not told for so many days; the
    detector and its threshold stay as they are. Raises Conflict where none lasts."""
    actor.require(Role.OPERATOR, series.client)
    if not 1 <= days <= MOST_DAYS:
        raise Invalid(f"It is called usual for 1 to {MOST_DAYS} days.")
    row = Series.objects.select_for_update().get(pk=series.pk)
    told = row.episodes.select_for_update().filter(until=None).first()
    episode = Episode.read(told.figures) if told else None
    if told is None or episode is None:
        raise Conflict("The series is as usual by now.", "Look again.")
    now = clock.now()
    told.until, told.ended_by = now, actor.name
    told.save(update_fields=["until", "ended_by"])
    row.known_size = abs(episode.observed - episode.expected)
    row.known_up, row.known_until = episode.observed > episode.expected, now + timedelta(days=days)
    row.save(update_fields=["known_size", "known_up", "known_until"])
    record(actor, "anomaly.called_usual", f"series/{row.pk}", row.client, {"days": days, "episode": told.pk})
    return told
