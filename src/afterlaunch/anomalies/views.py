"""What the pages and the API tell of series."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from afterlaunch.anomalies.episodes import Episode
from afterlaunch.anomalies.judging import LEARNING_HOURS, of, sentence
from afterlaunch.anomalies.measures import MEASURES
from afterlaunch.anomalies.models import Series, Told
from afterlaunch.ground import clock

WEEK = 24 * 7
STATES = ("unusual", "learning", "as usual")
Point = tuple[datetime, float | None, float | None, float | None]
"""End of the hour, value, expected, score."""


def points_of(row: Series) -> list[Point]:
    return [(clock.from_ns(int(at) * 10**9), value, expected, score) for at, value, expected, score in row.points]


def state_of(row: Series, lasting: bool) -> str:
    return "unusual" if lasting else "learning" if row.learning else "as usual"


def described(row: Series) -> dict[str, Any]:
    """A row of the list; `lasting` was fetched with it."""
    lasting: list[Told] = row.lasting  # type: ignore[attr-defined]
    measure, newest = MEASURES[row.measure], points_of(row)[-1:]
    value, expected = (newest[0][1], newest[0][2]) if newest else (None, None)
    state = state_of(row, bool(lasting))
    return {
        "row": row,
        "of": of(row.dimension, row.value),
        "measure": measure,
        "state": state,
        "status": {"unusual": "breach", "learning": "not_assessed", "as usual": "ok"}[state],
        "said": said_of(row, lasting[0]) if lasting else "",
        "value": measure.shown(value) if value is not None else None,
        "expected": measure.shown(expected) if expected is not None and not row.learning else None,
        "learned": f"{min(row.hours, LEARNING_HOURS)} of {LEARNING_HOURS} hours",
        "strip": strip(row),
        "since": lasting[0].since if lasting else None,
    }


def said_of(row: Series, told: Told) -> str:
    episode = Episode.read(told.figures)
    assert episode is not None
    return sentence(MEASURES[row.measure], of(row.dimension, row.value), episode)


def strip(row: Series) -> SafeString:
    """The last week: what was, what was expected (dashed), and the hours that were told."""
    points = points_of(row)[-WEEK:]
    known = [one for point in points for one in point[1:3] if one is not None]
    top = max(known, default=0) or 1
    wide, high = 168, 28

    def line(place: int) -> str:
        steps = (
            f"{number},{high - 2 - point[place] / top * (high - 4):.1f}"  # type: ignore[operator]
            for number, point in enumerate(points, wide - len(points))
            if point[place] is not None
        )
        return " ".join(steps)

    measure = MEASURES[row.measure]
    label = escape(f"{measure.title} of {of(row.dimension, row.value)}, the last week; at most {measure.shown(top)}")
    told = "".join(
        f'<circle class="breach" cx="{number}" cy="{high - 2 - point[1] / top * (high - 4):.1f}" r="2"/>'
        for number, point in enumerate(points, wide - len(points))
        if point[1] is not None and in_an_episode(row, point[0])
    )
    return mark_safe(  # noqa: S308
        f'<svg class="followed" viewBox="0 0 {wide} {high}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<polyline class="expected" points="{line(2)}"/><polyline class="observed" points="{line(1)}"/>{told}</svg>'
    )


def in_an_episode(row: Series, at: datetime) -> bool:
    lasting: list[Told] = getattr(row, "lasting", [])
    return any(one.since < at for one in lasting)


def chart_points(row: Series) -> list[tuple[datetime, dict[str, float | None]]]:
    return [(at, {"was": value, "expected": expected}) for at, value, expected, _ in points_of(row)]


def as_document(row: Series, lasting: Told | None) -> dict[str, Any]:
    points = points_of(row)[-1:]
    return {
        "id": row.pk,
        "client": row.client,
        "system": row.system,
        "environment": row.environment,
        "dimension": row.dimension or None,
        "value": row.value or None,
        "measure": row.measure,
        "unit": MEASURES[row.measure].unit,
        "state": state_of(row, lasting is not None).replace(" ", "_"),
        "hours_known": row.hours,
        "rhythm": row.rhythm or "unknown",
        "seen_until": row.seen_until.isoformat() if row.seen_until else None,
        "observed": points[0][1] if points else None,
        "expected": points[0][2] if points else None,
        "episode": episode_document(row, lasting) if lasting else None,
    }


def episode_document(row: Series, told: Told) -> dict[str, Any]:
    return {
        "id": told.pk,
        "since": told.since.isoformat(),
        "until": told.until.isoformat() if told.until else None,
        "observed": told.figures["observed"],
        "expected": told.figures["expected"],
        "over": told.figures["over"],
        "hours": told.figures["hours"],
        "explanation": f"{said_of(row, told)} {told.words}".strip(),
        "called_usual_by": told.ended_by or None,
    }
