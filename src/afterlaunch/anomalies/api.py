"""Series and their episodes over REST."""

from __future__ import annotations

from typing import Any

from ninja import Router, Schema

from afterlaunch.anomalies import views
from afterlaunch.anomalies.actions import call_usual, series_by_id, series_seen_by
from afterlaunch.look.requests import Request

router = Router(tags=["anomalies"])
EPISODES = 100


class Usual(Schema):
    days: int = 7


@router.get("/anomalies")
def list_series(
    request: Request,
    client: str | None = None,
    system: str | None = None,
    measure: str | None = None,
    unusual: bool = False,
    limit: int = 100,
    cursor: int = 0,
) -> dict[str, Any]:
    """What is followed hour by hour, by id. `state`: unusual, learning, as_usual."""
    limit = max(1, min(limit, 500))
    rows = series_seen_by(request.actor).filter(pk__gt=cursor)
    for name, value in (("client", client), ("system", system), ("measure", measure)):
        rows = rows.filter(**{name: value}) if value else rows
    rows = rows.filter(episodes__until=None, episodes__isnull=False) if unusual else rows
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    told = [views.as_document(row, next(iter(row.lasting), None)) for row in found[:limit]]  # type: ignore[attr-defined]
    return {"series": told, "cursor": more}


@router.get("/anomalies/{pk}")
def show_series(request: Request, pk: int) -> dict[str, Any]:
    """With the hours of the last two weeks, and its episodes, the newest first."""
    row = series_by_id(request.actor, pk)
    episodes = list(row.episodes.all()[:EPISODES])
    lasting = next((one for one in episodes if one.until is None), None)
    points = [
        {"hour_until": at.isoformat(), "observed": value, "expected": expected, "score": score}
        for at, value, expected, score in views.points_of(row)
    ]
    told = [views.episode_document(row, one) for one in episodes]
    return {**views.as_document(row, lasting), "points": points, "episodes": told}


@router.post("/anomalies/{pk}/usual")
def call_series_usual(request: Request, pk: int, body: Usual) -> dict[str, Any]:
    """A person knows why: the episode ends, and one of its size or less is not told for so many days."""
    row = series_by_id(request.actor, pk)
    return views.episode_document(row, call_usual(request.actor, row, body.days))
