"""What was found of a place as one document, from which page and API are made. Reads rows, alters none."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from afterlaunch.labels.judging import (
    DAY,
    SHOWN,
    Version,
    View,
    compared_estimates,
    days_of,
    held,
    state_of,
    weighted_held,
)
from afterlaunch.labels.models import Estimate, Place
from afterlaunch.labels.rules import JUDGES
from afterlaunch.performance import comparing, noise, scores, tally
from afterlaunch.performance import judging as rules_of
from afterlaunch.performance.estimating import Calibrator
from afterlaunch.performance.expecting import Expecting
from afterlaunch.performance.judging import Judged
from afterlaunch.predictions.keeping import CLASSIFICATION
from afterlaunch.predictions.models import Task


def document(whole: View, place: Place) -> dict[str, Any]:
    """What page and API tell; times as text."""
    task = whole.task
    return {
        "at": _text(whole.now),
        "kind": task.kind,
        "rows": sum(one.tally.rows for one in whole.hours),
        "labelled": sum(one.tally.labelled for one in whole.hours),
        "score_invalid": sum(one.tally.score_invalid for one in whole.hours),
        "without_output": sum(one.tally.without_output for one in whole.hours),
        "watermark": _text(whole.mark),
        "delay": {
            "seconds": whole.delay.late.total_seconds() if whole.delay.late else None,
            "ever": whole.delay.ever,
            "why": whole.delay.why,
        },
        "verdicts": {judge.name: verdict_document(whole.verdict(judge)) for judge in JUDGES},
        "baseline": _baseline(whole),
        "calibration": _calibrated(whole.calibrator),
        "reliability": _reliability(place),
        "versions": [_told(one, task) for one in whole.versions],
        "challengers": _challengers(whole),
        "slices": [one.as_document() for one in whole.slices[:50]],
        "slices_left_out": max(len(whole.slices) - 50, 0),
        "days": _days(whole, place),
        "sources": _sources(whole),
        "exposure": _exposure(whole),
        "checks": [one.as_document() for one in whole.checks],
        "troubles": [vars(one) for one in whole.troubles],
    }


def _calibrated(by: Calibrator | Expecting | str) -> str:
    if isinstance(by, str):
        return by
    if isinstance(by, Expecting):
        return f"errors learnt from {', '.join(by.names)}, {by.rows:,} labelled predictions"
    return f"{by.method}, {by.labelled:,} labelled predictions"


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def verdict_document(one: Judged) -> dict[str, Any]:
    names = ("status", "reason", "why", "value", "before", "low", "high", "line", "n")
    expected = None if one.status == rules_of.NOT_ASSESSED else one.false_alarms.as_document()
    told = {name: getattr(one, name) for name in names}
    return told | {"evidence": one.evidence, "false_alarms_per_month": expected}


def _baseline(whole: View) -> dict[str, Any] | None:
    row, known = whole.baseline, whole.known
    if row is None or known is None:
        return None
    return {
        "version": row.version,
        "from": _text(row.starts_at),
        "to": _text(row.ends_at),
        "rows": row.rows,
        "labelled": row.labelled,
        "made_at": _text(row.made_at),
        "made_by": row.made_by,
        "scores": [one.as_document() for one in scores.of(known, whole.task.positive)],
    }


def _told(one: Version, task: Task) -> dict[str, Any]:
    return {
        "model_version": one.name or None,
        "since": _text(one.since),
        "rows": one.current.rows,
        "labelled": one.current.labelled,
        "coverage": one.current.coverage,
        "scores": [score.as_document() for score in scores.of(one.current, task.positive)],
        "verdicts": {name: verdict_document(judged) for name, judged in one.verdicts.items()},
    }


def _reliability(place: Place) -> dict[str, Any]:
    rows = list(compared_estimates(place))
    errors = [row.value - row.realised for row in rows if row.realised is not None]
    if not errors:
        return {"compared": 0}
    kept = sum(map(held, rows))
    return {
        "weighted": _weighted_reliability(rows),
        "compared": len(rows),
        "bias": sum(errors) / len(errors),
        "mae": sum(map(abs, errors)) / len(errors),
        "held": kept,
        "unreliable": rules_of.reliability(kept, len(rows)),
    }


def _weighted_reliability(rows: list[Estimate]) -> dict[str, Any] | None:
    """Of the estimates that were weighted too, beside the plain ones of the same days."""
    both = [row for row in rows if row.weighted is not None and row.realised is not None]
    if not both:
        return None
    errors = [(row.weighted or 0.0) - (row.realised or 0.0) for row in both]
    plain = [row.value - (row.realised or 0.0) for row in both]
    return {
        "compared": len(both),
        "bias": sum(errors) / len(errors),
        "mae": sum(map(abs, errors)) / len(errors),
        "mae_plain": sum(map(abs, plain)) / len(plain),
        "held": sum(map(weighted_held, both)),
    }


def _days(whole: View, place: Place) -> list[dict[str, Any]]:
    since = whole.now - DAY * SHOWN
    estimates: dict[datetime, list[Estimate]] = defaultdict(list)
    for row in Estimate.objects.filter(place=place, day__gte=since):
        estimates[row.day].append(row)
    found = []
    for day, hours in days_of([one for one in whole.hours if one.start >= since]):
        merged = tally.total([one.tally for one in hours])
        told: dict[str, Any] = {
            "day": day.isoformat(),
            "rows": merged.rows,
            "labelled": merged.labelled,
            "coverage": merged.coverage,
            "state": state_of(hours, day + DAY, whole.now),
            "score": next((one.as_document() for one in scores.of(merged, whole.task.positive)), None),
            "estimate": _estimated(estimates.get(day, [])),
            "restated": sum(len(one.row.restated) for one in hours),
        }
        found.append(told)
    return found


def _estimated(rows: list[Estimate]) -> dict[str, float] | None:
    """Of all versions of the day, by their predictions."""
    count = sum(row.rows for row in rows)
    if not count:
        return None
    names = ["value", "low", "high"]
    if all(row.weighted is not None for row in rows):
        names += ["weighted", "weighted_low", "weighted_high"]
    return {name: sum(getattr(row, name) * row.rows for row in rows) / count for name in names}


def _exposure(whole: View) -> dict[str, Any] | None:
    one = noise.exposure(tally.total([version.current for version in whole.versions]))
    if one is None:
        return None
    (seen, same), (unseen, alike) = one.seen, one.unseen
    agreement = {"seen": same / seen if seen else None, "held_out": alike / unseen if unseen else None}
    labels = {"seen": seen, "held_out": unseen}
    return {"held_out": one.held_out, "labels": labels, "equal_to_output": agreement, "why": one.why}


def _wrong(whole: View) -> dict[str, dict[str, Any]]:
    """Estimated shares of wrong labels, by source."""
    if whole.known is None or whole.task.kind != CLASSIFICATION:
        return {}
    now = tally.total([one.current for one in whole.versions])
    found = {name: (one, "scores") for name, one in noise.by_scores(whole.known, now).items()}
    found |= {name: (one, "other sources") for name, one in noise.by_agreement(now.pairs).items()}
    return {
        name: {"share": one.share, "low": one.low, "high": one.high, "n": one.n, "by": by}
        for name, (one, by) in found.items()
    }


def _sources(whole: View) -> list[dict[str, Any]]:
    agreed: dict[str, list[int]] = {}
    for hour in whole.hours:
        for name, (count, same) in hour.tally.sources.items():
            before = agreed.setdefault(name, [0, 0])
            before[0], before[1] = before[0] + count, before[1] + same
    found = []
    wrong = _wrong(whole)
    for one in whole.sources:
        count, same = agreed.get(one.name, (0, 0))
        found.append(
            {
                "id": one.pk,
                "name": one.name,
                "labels": one.labels,
                "joined": count,
                "equal_to_output": same / count if count else None,
                "wrong": wrong.get(one.name),
                "first_at": _text(one.first_at),
                "last_at": _text(one.last_at),
                "newest": _text(one.newest),
                "complete_until": _text(one.complete_until),
                "stopped_at": _text(one.stopped_at),
                "stopped_by": one.stopped_by,
                "stopped_why": one.stopped_why,
            }
        )
    return found


def _challengers(whole: View) -> list[dict[str, Any]]:
    """The version with most predictions is the champion."""
    if len(whole.versions) < 2:
        return []
    champion = max(whole.versions, key=lambda one: sum(hour.tally.rows for hour in one.hours))
    old = {one.start: one.tally for one in champion.hours if one.mature and one.tally.judged}
    found = []
    for one in whole.versions:
        if one is not champion:
            new = {hour.start: hour.tally for hour in one.hours if hour.mature and hour.tally.judged}
            told = vars(comparing.compare(old, new))
            found.append({"model_version": one.name or None, "champion": champion.name or None, **told})
    return found
