"""What a place's hours say together: how far labels are, the baseline, every version's verdicts, days, slices. Reads
rows, alters none.

1. The lag of labels gives the watermark, and every hour its state. 2. The baseline: the newest that was made; without
one, the first mature hours with enough labels would be it. 3. Each version is judged since the baseline by its mature
hours, and by all closed ones before labels come. 4. `telling` makes one document of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.db.models import QuerySet

from afterlaunch.drift.false_alarms import together
from afterlaunch.labels.comments import gathered
from afterlaunch.labels.givers import given
from afterlaunch.labels.models import Baseline, Estimate, Hour, Place, Source
from afterlaunch.labels.rules import ACCURACY, CONFIDENCE, ESTIMATE, LATENCY, OVERRIDES, SOURCES, Named
from afterlaunch.performance import (
    comments,
    conflicts,
    estimating,
    expecting,
    flips,
    givers,
    judging,
    judging_errors,
    judging_rankings,
    maturity,
    noise,
    operating,
    rankings,
    reviewers,
    scores,
    shown,
    slices,
    sources,
    tally,
)
from afterlaunch.performance.checks import Check
from afterlaunch.performance.estimating import Calibrator
from afterlaunch.performance.expecting import Expecting
from afterlaunch.performance.judging import Judged, not_assessed
from afterlaunch.performance.maturity import FINAL, MATURE, Aged, Delay
from afterlaunch.performance.sources import Trouble
from afterlaunch.performance.tally import Tally
from afterlaunch.predictions.keeping import CLASSIFICATION, RANKING
from afterlaunch.predictions.models import Task

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LOOKED_AT = timedelta(days=92)
LATENESS = timedelta(minutes=15)
SILENT = timedelta(days=2)  # versions without predictions for so long are not judged any more
NEWEST = (DAY, 3 * DAY, 7 * DAY)  # what is judged now: the shortest of these with enough rows
ORDER = (judging.BREACH, judging.WARNING, judging.OK, judging.NOT_ASSESSED)
COMPARED = 30  # estimates with their truth, by which an estimator is relied on
SHOWN = 60  # days


@dataclass(frozen=True)
class Told:
    """An hour with its tally and state."""

    row: Hour
    tally: Tally
    state: str

    @property
    def start(self) -> datetime:
        return self.row.start

    @property
    def mature(self) -> bool:
        return self.state in (MATURE, FINAL)


@dataclass
class Version:
    name: str
    hours: list[Told]
    verdicts: dict[str, Judged] = field(default_factory=dict)
    current: Tally = field(default_factory=Tally)
    since: datetime | None = None


@dataclass
class View:
    """Everything that was found of a place."""

    now: datetime
    task: Task
    sources: list[Source]
    delay: Delay
    mark: datetime | None
    hours: list[Told]
    baseline: Baseline | None = None
    known: Tally | None = None
    versions: list[Version] = field(default_factory=list)
    calibrator: Calibrator | Expecting | str = ""
    slices: list[slices.Slice] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def verdict(self, judge: Named) -> Judged:
        """The worst of the versions speaks. An accuracy that rests on labels which can't be relied on is no pass."""
        if judge is SOURCES:
            return _of_sources(self)
        found = self._worst(judge)
        bad = [one for one in self.troubles if one.status == judging.BREACH]
        if judge is ACCURACY and bad and found.status == judging.OK:
            why = f"{bad[0].why} {found.why}"
            return replace(found, status=judging.NOT_ASSESSED, reason="contaminated", why=why)
        return found

    def _worst(self, judge: Named) -> Judged:
        found = [(one.verdicts[judge.name], one.name) for one in self.versions if judge.name in one.verdicts]
        if not found:
            return self._nothing()
        worst, name = min(found, key=lambda one: ORDER.index(one[0].status))
        assessed = [one.false_alarms for one, _ in found if one.status != judging.NOT_ASSESSED]
        why = worst.why if len(self.versions) == 1 or not name else f"Version {name}: {worst.why}"
        return replace(worst, why=why, false_alarms=together(assessed))

    def _nothing(self) -> Judged:
        if self.baseline is None:
            count = sum(one.tally.judged for one in self.hours if one.mature)
            what = "rankings with mature labels" if self.task.kind == RANKING else "mature labelled predictions"
            said = f"The baseline is learnt: {count:,} of {judging.BASELINE:,} {what}."
            return not_assessed("learning", f"{said} {self.delay.why}".strip(), count)
        if not self.hours:
            return not_assessed("no_data", "No predictions are kept.")
        return not_assessed("no_data", "No predictions came for two days.")


def _of_sources(whole: View) -> Judged:
    if whole.known is None or not whole.versions:
        return whole._nothing()
    count = sum(one.current.labelled for one in whole.versions)
    if whole.task.kind != CLASSIFICATION and not whole.troubles:
        what = "grades" if whole.task.kind == RANKING else "quantities"
        return not_assessed(
            "quantities", f"Of sources of {what} no agreement is judged; nothing else was found.", count
        )
    active = sum(one.stopped_at is None for one in whole.sources)
    expected = sources.false_alarms(whole.task.kind, active)
    if not whole.troubles:
        if count < judging.LEAST:
            return not_assessed("too_few_labels", f"Only {count} mature labels since the baseline.", count)
        said = f"{active} source(s) label as they did in the baseline."
        return Judged(judging.OK, "as_ever", said, n=count, false_alarms=expected)
    worst = min(whole.troubles, key=lambda one: ORDER.index(one.status))
    said = " ".join(one.why for one in whole.troubles[:3])
    named: dict[str, str | int | float | None] = {"sources": ", ".join(worst.sources)}
    return Judged(worst.status, worst.kind, said, n=count, evidence=named, false_alarms=expected)


def _troubles(whole: View, known: Tally) -> list[Trouble]:
    """Sources that are set aside are not asked."""
    found = [trouble for one in whole.checks for trouble in one.troubles]
    if whole.task.kind == CLASSIFICATION:
        now = tally.total([one.current for one in whole.versions])
        found += sources.agreement(known, now) + noise.noisy(known, now) + sources.echo(known, now)
        found += noise.loops(now) + sources.slower(known, now)
    for one in whole.sources:
        if one.stopped_at is None:
            found += sources.burst(one.name, _hours(one, whole.now))
    return found


def _checks(whole: View, place: Place, known: Tally) -> list[Check]:
    now = tally.total([one.current for one in whole.versions])
    found = []
    if whole.task.kind == CLASSIFICATION:
        found = [conflicts.check(known, now), reviewers.check(known, now), flips.check(known, now)]
    elif whole.task.kind == RANKING:
        found = [shown.check(known, now), shown.exploration(now)]
    stopped = {one.name for one in whole.sources if one.stopped_at is not None}
    return [*found, comments.check(gathered(place, whole.now, stopped)), givers.check(given(whole.sources, whole.now))]


def _hours(source: Source, now: datetime) -> list[int]:
    """Labels that came, by hours until the last that is over."""
    last = now.replace(minute=0, second=0, microsecond=0) - HOUR
    first = max(source.first_at.replace(minute=0, second=0, microsecond=0), last - 14 * DAY)
    count = int((last - first) / HOUR) + 1
    return [source.hours.get((first + at * HOUR).strftime("%Y-%m-%dT%H"), 0) for at in range(max(count, 0))]


def view(place: Place, task: Task, now: datetime) -> View:
    # hours that were counted before the task changed its meaning wait to be counted anew
    rows = Hour.objects.filter(place=place, start__gte=now - LOOKED_AT, tallied_at__gte=task.noted_at)
    rows = rows.exclude(tally=None).order_by("start")
    found = [(row, tally.unpack(bytes(row.tally or b""))) for row in rows.iterator(200)]
    known_sources = list(Source.objects.filter(place=place))
    delay = maturity.delay_of([Aged((now - row.start).total_seconds(), one.rows, one.lags) for row, one in found])
    mark, late = _watermark(known_sources, now, delay, task)
    # what was counted before the task changed its meaning is no comparison
    baseline = Baseline.objects.filter(place=place, made_at__gte=task.noted_at).first()
    known = tally.unpack(bytes(baseline.tally)) if baseline else None
    usual = known.coverage if known else None
    hours = [
        Told(row, one, maturity.state(row.start + HOUR, now, mark, late, one.coverage, usual)) for row, one in found
    ]
    whole = View(now, task, known_sources, delay, mark, hours, baseline, known)
    if baseline is not None and known is not None:
        _judge(whole, place, baseline, known)
    return whole


def _watermark(
    known: Sequence[Source], now: datetime, delay: Delay, task: Task
) -> tuple[datetime | None, timedelta | None]:
    """And how long labels take; sources that are set aside say nothing."""
    active = [one for one in known if one.stopped_at is None]
    complete = None
    if active and all(one.complete_until is not None for one in active):
        complete = min(one.complete_until for one in active if one.complete_until is not None)
    declared = timedelta(hours=task.delay_hours) if task.delay_hours is not None else None
    newest = max((one.newest for one in active), default=None)
    mark = maturity.watermark(newest, now, delay, declared, complete)
    return mark, declared if declared is not None else delay.late


def first_baseline(whole: View) -> tuple[list[Told], Tally] | None:
    """Mature hours from the first on, until they have labels enough."""
    kept: list[Told] = []
    found = Tally()
    for hour in whole.hours:
        if not hour.mature or not hour.tally.labelled:
            continue
        kept.append(hour)
        found = found.merge(hour.tally)
        if found.judged >= judging.BASELINE:
            return kept, found
    return None


def _judge(whole: View, place: Place, baseline: Baseline, known: Tally) -> None:
    whole.calibrator = _calibrator(baseline, known)
    by: dict[str, list[Told]] = defaultdict(list)
    for hour in whole.hours:
        if hour.start >= baseline.ends_at:
            by[hour.row.model_version].append(hour)
    for name, hours in sorted(by.items()):
        if hours[-1].start + HOUR >= whole.now - SILENT or any(one.mature for one in hours[-1:]):
            whole.versions.append(_version(whole, place, known, name, hours))
    whole.versions.sort(key=lambda one: one.hours[-1].start, reverse=True)
    whole.checks = _checks(whole, place, known)
    whole.troubles = _troubles(whole, known)
    if whole.versions:
        whole.slices = slices.ranked(known, whole.versions[0].current)


def _calibrator(baseline: Baseline, known: Tally) -> Calibrator | Expecting | str:
    if not known.is_regression:
        return estimating.calibrator(known)
    if baseline.expecting is None:
        return baseline.why_not or "The baseline is older than estimates of quantities: make another one."
    return expecting.unpack(bytes(baseline.expecting))


def _version(whole: View, place: Place, known: Tally, name: str, hours: list[Told]) -> Version:
    found = Version(name, hours)
    mature = [one for one in hours if one.mature]
    labelled = [one for one in mature if one.tally.labelled]
    found.current, found.since = newest(labelled, judging.LEAST, "judged")
    tolerance = whole.task.tolerance
    if not labelled:
        told = "No hour since the baseline has mature labels."
        found.verdicts[ACCURACY.name] = not_assessed("not_mature", f"{told} {whole.delay.why}".strip())
    else:
        coverage = found.current.coverage
        series = [one.tally for one in labelled]
        judge = judging_rankings.judge if whole.task.kind == RANKING else judging.accuracy
        judged = judge(known, series, found.current, tolerance, coverage)
        found.verdicts[ACCURACY.name] = _with_slice(judged, known, found.current)
    closed = [one for one in hours if one.start + HOUR + LATENESS <= whole.now]
    recent, _ = newest(closed, judging.LEAST, "rows")
    series = [one.tally for one in closed]
    unreliable = reliability(place)
    by = whole.calibrator
    if isinstance(by, Expecting) or known.is_regression:
        assert not isinstance(by, Calibrator) and whole.baseline is not None
        fresh = [one for one in closed if one.tally.expected_by == whole.baseline.pk]
        recent, series = newest(fresh, judging.LEAST, "rows")[0], [one.tally for one in fresh]
        said = judging_errors.estimated(by, known, series, recent, tolerance, unreliable)
    else:
        said = judging.estimated(by, known, series, recent, tolerance, unreliable)
    found.verdicts[ESTIMATE.name] = said
    _say_unforeseen(found)
    _operating(whole, known, found, labelled, closed)
    if whole.task.kind == CLASSIFICATION:
        floor = whole.task.floor if whole.task.floor is not None else judging.usual_floor(known)
        found.verdicts[CONFIDENCE.name] = judging.confidence(known, series, recent, floor)
    else:
        found.verdicts[CONFIDENCE.name] = not_assessed(
            "no_scores", "Neither quantities nor rankings have a confidence."
        )
    return found


def _operating(whole: View, known: Tally, found: Version, labelled: list[Told], closed: list[Told]) -> None:
    if whole.task.kind == CLASSIFICATION:
        judged = operating.overrides(known, [one.tally for one in labelled], found.current)
    else:
        judged = not_assessed("quantities", "Overrides are counted of classes.")
    found.verdicts[OVERRIDES.name] = judged
    timed = [one for one in closed if one.tally.latency]
    recent = tally.total([one.tally for one in timed if one.start > timed[-1].start - DAY])
    found.verdicts[LATENCY.name] = operating.latency([one.tally for one in timed], recent, whole.task.latency_ms)


def _say_unforeseen(found: Version) -> None:
    """A fall that the estimate did not foresee is a change of the truth itself."""
    judged, foreseen = found.verdicts[ACCURACY.name], found.verdicts[ESTIMATE.name]
    if judged.status in (judging.BREACH, judging.WARNING) and foreseen.status == judging.OK:
        said = "The estimate did not foresee it: what is true of such questions has changed (concept drift)."
        found.verdicts[ACCURACY.name] = replace(judged, why=f"{judged.why} {said}")


def newest(hours: Sequence[Told], least: int, what: str) -> tuple[Tally, datetime | None]:
    """The newest hours together, of the shortest time that has rows enough, and since when."""
    found, since = Tally(), None
    for span in NEWEST:
        chosen = [one for one in hours if one.start > hours[-1].start - span]
        if chosen:
            found, since = tally.total([one.tally for one in chosen]), chosen[0].start
        if getattr(found, what) >= least:
            break
    return found, since


def _with_slice(judged: Judged, known: Tally, current: Tally) -> Judged:
    if judged.status not in (judging.BREACH, judging.WARNING):
        return judged
    losses = [
        rankings.mean_loss(one)[0]
        if one.is_ranking
        else (one.errors[1] / max(sum(one.sizes.values()), 1))
        if one.is_regression
        else 1 - one.correct / max(one.classified, 1)
        for one in (known, current)
    ]
    named = slices.told(slices.ranked(known, current), float(losses[1] - losses[0]))
    return replace(judged, why=f"{judged.why} {named}".strip())


def reliability(place: Place) -> str:
    rows = (
        Estimate.objects.filter(place=place)
        .exclude(realised=None)
        .select_related("baseline")
        .order_by("-day")[:COMPARED]
    )
    compared = [held(row) for row in rows]
    return judging.reliability(sum(compared), len(compared))


def compared_estimates(place: Place) -> QuerySet[Estimate]:
    rows = Estimate.objects.filter(place=place).exclude(realised=None).select_related("baseline")
    return rows.order_by("-day")[:COMPARED]


def held(row: Estimate) -> bool:
    """Whether the interval held the truth; where not every prediction has a label, the truth has an interval too."""
    return _held(row, row.low, row.high)


def weighted_held(row: Estimate) -> bool:
    """The same of the estimate that was weighted for the shares of a segment."""
    assert row.weighted_low is not None and row.weighted_high is not None
    return _held(row, row.weighted_low, row.weighted_high)


def _held(row: Estimate, low: float, high: float) -> bool:
    assert row.realised is not None
    missing = max(1 - row.labelled / max(row.rows, 1), 0.0)
    if row.baseline.expecting is not None:
        room = (high - low) / 2 * (missing * row.rows / max(row.labelled, 1)) ** 0.5
    else:
        room = scores.Z * (row.realised * (1 - row.realised) / max(row.labelled, 1) * missing) ** 0.5
    return bool(low - room <= row.realised <= high + room)


def days_of(hours: Sequence[Told]) -> list[tuple[datetime, list[Told]]]:
    """By days of UTC."""
    found: dict[datetime, list[Told]] = defaultdict(list)
    for hour in hours:
        found[hour.start.replace(hour=0)].append(hour)
    return sorted(found.items())


def state_of(hours: Sequence[Told], end: datetime, now: datetime) -> str:
    """Of a day: that of its least mature hour."""
    order = (maturity.OPEN, maturity.PROVISIONAL, MATURE, FINAL)
    least = min((order.index(one.state) for one in hours), default=0)
    return maturity.OPEN if end > now else order[least]
