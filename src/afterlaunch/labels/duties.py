"""Labels are joined, hours added up, and what changed is judged."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from afterlaunch.ground.settings import settings
from afterlaunch.labels import containing, expecting, joining, judging, tallying, telling
from afterlaunch.labels.judging import DAY, LATENESS, Told, View
from afterlaunch.labels.models import Baseline, Batch, Estimate, Hour, Match, Place
from afterlaunch.labels.rules import JUDGES, Named, finding
from afterlaunch.performance import estimating, judging_errors, tally, weighting
from afterlaunch.performance import expecting as model
from afterlaunch.performance.expecting import Expecting
from afterlaunch.performance.judging import LEAST
from afterlaunch.performance.maturity import FINAL
from afterlaunch.performance.weighting import Weighted
from afterlaunch.predictions.models import Task
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.words import Finding, Scope

AGAIN = timedelta(minutes=15)  # what did not change is judged again, since time alone lets labels mature
PASSES = 20  # of one place in one run
AUTOMATIC = "the first mature labels"


def join(now: datetime) -> bool:
    """True: there is more. What fails of one system is raised after the others had their turn."""
    more, failed = False, list[Exception]()
    for task in Task.objects.select_related("system__client").order_by("pk"):
        try:
            more |= _worked(task, now)
        except Exception as problem:  # noqa: BLE001 - raised below
            failed.append(problem)
    if failed:
        raise failed[0]
    return more


def _worked(task: Task, now: datetime) -> bool:
    place, _ = Place.objects.get_or_create(system=task.system, environment=task.environment)
    more = False
    for _ in range(PASSES):
        more = joining.join(place, now)
        place.refresh_from_db()
        if not more:
            break
    more |= tallying.add_up(place, task, now)
    if _is_due(place, now):
        judge(place, task, now)
    return more


def _is_due(place: Place, now: datetime) -> bool:
    if place.judged_at is None or place.judged_at <= now - AGAIN:
        return True
    return Hour.objects.filter(place=place, tallied_at__gte=place.judged_at).exists()


def judge(place: Place, task: Task, now: datetime) -> None:
    found = judging.view(place, task, now)
    if found.baseline is None and (first := judging.first_baseline(found)) is not None:
        make_baseline(place, task, first[0], first[1], now, AUTOMATIC)
        found = judging.view(place, task, now)
    _finalise(found.hours, now)
    if _estimate(place, found):
        found = judging.view(place, task, now)
    scope = Scope(task.system.client.slug, task.system.key, task.environment)
    verdicts: list[tuple[Scope, Named, Finding]] = [(scope, one, finding(one, found.verdict(one))) for one in JUDGES]
    with transaction.atomic():
        told = telling.document(found, place)
        Place.objects.filter(pk=place.pk).update(judged_at=now, told=told)
        watch.write(verdicts, now)
    containing.contain(place, found.troubles, found.sources, now)


def make_baseline(place: Place, task: Task, hours: list[Told], whole: tally.Tally, now: datetime, by: str) -> Baseline:
    """Of quantities with a model of their errors, by which the hours since then are added up again."""
    before = Baseline.objects.filter(place=place).first()
    learnt = expecting.learnt(place, task, [one.row for one in hours], whole) if whole.is_regression else ""
    if not isinstance(learnt, str):
        later = Hour.objects.filter(place=place, start__gte=hours[-1].start + judging.HOUR)
        later.update(due_at=now, touched=F("touched") + 1)
    return Baseline.objects.create(
        place=place,
        version=before.version + 1 if before else 1,
        model_version=hours[0].row.model_version,
        starts_at=hours[0].start,
        ends_at=hours[-1].start + judging.HOUR,
        rows=whole.rows,
        labelled=whole.labelled,
        tally=tally.pack(whole),
        expecting=None if isinstance(learnt, str) else model.pack(learnt),
        why_not=learnt if isinstance(learnt, str) else "",
        made_at=now,
        made_by=by[:200],
    )


def _finalise(hours: list[Told], now: datetime) -> None:
    fresh = [one.row.pk for one in hours if one.state == FINAL and one.row.final_at is None]
    for at in range(0, len(fresh), 500):
        Hour.objects.filter(pk__in=fresh[at : at + 500]).update(final_at=now)


def _estimate(place: Place, found: View) -> bool:
    """Days that are over get their estimate, once; those whose labels are mature get the truth beside it."""
    if found.baseline is None or isinstance(found.calibrator, str):
        return False
    known = {(one.model_version, one.day): one for one in Estimate.objects.filter(baseline=found.baseline)}
    fresh, told = [], []
    for version in found.versions:
        for day, hours in judging.days_of(version.hours):
            if day + DAY + LATENESS > found.now:
                continue
            whole = tally.total([one.tally for one in hours])
            row = known.get((version.name, day))
            if row is None:
                fresh += _made(place, found, version.name, day, whole)
            elif all(one.mature for one in hours) and (truth := _realised(whole)) not in (
                None,
                (row.realised, row.labelled),
            ):
                assert truth is not None
                row.realised, row.labelled = truth
                row.matured_at = row.matured_at or found.now
                told.append(row)
    Estimate.objects.bulk_create(fresh, ignore_conflicts=True)
    Estimate.objects.bulk_update(told, ("realised", "labelled", "matured_at"), batch_size=200)
    return bool(fresh or told)


def _realised(whole: tally.Tally) -> tuple[float, int] | None:
    """The truth, and of how many labels: a share of right outputs, or a mean absolute error."""
    if whole.is_regression:
        count = sum(whole.sizes.values())
        return (float(whole.errors[1]) / count, count) if count else None
    return (whole.correct / whole.classified, whole.classified) if whole.classified else None


def _made(place: Place, found: View, version: str, day: datetime, whole: tally.Tally) -> list[Estimate]:
    assert not isinstance(found.calibrator, str)
    if isinstance(found.calibrator, Expecting):
        if found.baseline is None or whole.expected_by != found.baseline.pk:
            return []  # not added up by this baseline's model yet
        said = judging_errors.estimate(found.calibrator, whole)
    else:
        said = estimating.estimate(found.calibrator, whole)
    if isinstance(said, str) or said.rows < LEAST:
        return []
    other: Weighted | str = ""
    if found.known is not None and not isinstance(found.calibrator, Expecting):
        other = weighting.weighted(said, found.known, whole)
    return [
        Estimate(
            place=place,
            baseline=found.baseline,
            model_version=version,
            day=day,
            rows=said.rows,
            value=said.value,
            low=said.low,
            high=said.high,
            **_weighted(other),
            made_at=found.now,
        )
    ]


def _weighted(other: Weighted | str) -> dict[str, Any]:
    if isinstance(other, str):
        return {}
    told = {"weighted": other.value, "weighted_low": other.low, "weighted_high": other.high}
    return told | {"weighted_by": other.segment[:200]}


def forget(now: datetime) -> None:
    """Labels beyond the days that predictions are kept, and what they were joined to."""
    until = now - timedelta(days=settings().number("PREDICTIONS_KEEP_DAYS"))
    Batch.objects.filter(joined=True, received_at__lt=until).delete()
    Match.objects.filter(hour__start__lt=until).delete()
    Hour.objects.filter(start__lt=until - timedelta(days=365)).delete()
