"""OpenSLO v1: from documents to objectives, everything checked before anything is used. Pure.

1. Each document is taken for itself and kept as it stood; 2. references by name are looked up among the documents of
this text and those that are known already; 3. each objective of an SLO becomes one, with its indicator and alerts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from afterlaunch.slo.durations import DAY, MINUTE, lookback
from afterlaunch.slo.openslo.alerting import alerting
from afterlaunch.slo.openslo.members import Members
from afterlaunch.slo.openslo.objects import (
    METHODS,
    OCCURRENCES,
    OPERATORS,
    RATIO,
    READY,
    THRESHOLD,
    TIMESLICES,
    Document,
    File,
    Indicator,
    Objective,
    Period,
    Source,
)
from afterlaunch.slo.openslo.problems import Findings, Where

API_VERSION = "openslo/v1"
KINDS = ("DataSource", "Service", "SLI", "SLO", "AlertPolicy", "AlertCondition", "AlertNotificationTarget")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.|/\\-]{0,253}[a-z0-9])?", re.ASCII)
Known = Mapping[tuple[str, str], Document]


def read(
    found: Iterable[tuple[Where, dict[str, Any]]], findings: Findings, known: Known | None = None, join: bool = False
) -> File:
    """`known`: documents that exist already, by kind and name; those of the text come first. `join`: two conditions
    of one severity and threshold whose windows are about 1 to 12 are one pair."""
    documents = [one for where, raw in found if (one := _document(where, raw, findings)) is not None]
    index: dict[tuple[str, str], Document] = {}
    for one in documents:
        if (other := index.get((one.kind, one.name))) is not None:
            findings.wrong(one.where, f"{one.kind} {one.name} stands in document {other.where.document} already")
        index[one.kind, one.name] = one
    reading = _Reading({**(known or {}), **index}, findings, join)
    objectives = [objective for one in documents if one.kind == "SLO" for objective in reading.slo(one)]
    names: dict[str, Where] = {}
    for objective in objectives:
        if objective.name in names:
            findings.wrong(objective.where, f"two objectives are called {objective.name}: name them apart")
        names[objective.name] = objective.where
    for one in documents:
        if one.kind == "SLI":
            reading.indicator(Members(one.raw, one.where, findings), None)
    return File(tuple(documents), tuple(objectives))


def _document(where: Where, raw: dict[str, Any], findings: Findings) -> Document | None:
    members = Members(raw, where, findings)
    version = raw.get("apiVersion")
    if version != API_VERSION:
        members.wrong("apiVersion", f"{version!r} is not read; it must be {API_VERSION}")
        return None
    kind = raw.get("kind")
    if kind not in KINDS:
        members.wrong("kind", f"there is no kind {kind!r}; kinds: {', '.join(KINDS)}")
        return None
    name = members.inside("metadata").text("name")
    if name and not _NAME.fullmatch(name):
        members.wrong("metadata.name", f"{name!r} must be small letters, digits and hyphens")
    if not isinstance(raw.get("spec"), dict):
        members.wrong("spec", "it must be a mapping")
        return None
    return Document(str(kind), name, raw, where) if name else None


@dataclass(frozen=True)
class _Reading:
    index: Known
    findings: Findings
    join: bool

    def slo(self, one: Document) -> list[Objective]:
        before = len(self.findings.errors)
        head = Members(one.raw, one.where, self.findings)
        metadata, spec = head.inside("metadata"), head.inside("spec")
        service, method = spec.text("service"), spec.text("budgetingMethod")
        if method and method not in METHODS:
            spec.wrong("budgetingMethod", f"{method!r} is none of {', '.join(METHODS)}")
        if service and ("Service", service) not in self.index:
            spec.note("service", f"no document says what {service} is; it is made as a draft")
        period = _period(spec)
        indicator = self._indicator_of(spec)
        alerts = alerting(spec, self.index, self.findings, self.join)
        rows = spec.each("objectives", needed=True)
        if any(row.has("compositeWeight") or row.has("indicator") or row.has("indicatorRef") for row in rows):
            spec.wrong(
                "objectives", "indicators with weights inside objectives make a composite SLO, which is not read"
            )
        if indicator is not None and indicator.shape == THRESHOLD and len(rows) > 1:
            spec.wrong("objectives", "there must be exactly one objective with a thresholdMetric")
        out = []
        for place, row in enumerate(rows):
            target = _target(row)
            slices = _slices(row, method)
            limited = _limited(row, indicator)
            if target is None or period is None or limited is None or len(self.findings.errors) > before:
                continue
            suffix = _slug(str(row.raw.get("displayName") or "")) or str(place + 1)
            objective = Objective(
                name=one.name if len(rows) == 1 else f"{one.name}-{suffix}",
                of=one.name,
                service=service,
                target=target,
                period=period,
                method=method,
                indicator=limited,
                alerting=alerts,
                where=row.where,
                title=str(row.raw.get("displayName") or metadata.raw.get("displayName") or ""),
                description=spec.text("description", ""),
                slice_target=slices[0],
                slice_seconds=slices[1],
                labels=metadata.texts("labels"),
            )
            out.append(objective)
            _tell_windows(objective, self.findings)
        return out

    def _indicator_of(self, spec: Members) -> Indicator | None:
        inline, named = spec.has("indicator"), spec.has("indicatorRef")
        if inline == named:
            said = "both indicator and indicatorRef are given" if inline else "indicator or indicatorRef is missing"
            spec.wrong("indicator", said)
            return None
        if inline:
            return self.indicator(spec.inside("indicator"), spec)
        name = spec.text("indicatorRef")
        found = self.index.get(("SLI", name))
        if found is None:
            spec.wrong("indicatorRef", f"there is no SLI {name!r}")
            return None
        return self.indicator(Members(found.raw, found.where, Findings()), spec)

    def indicator(self, members: Members, of: Members | None) -> Indicator | None:
        """`of`: the SLO's spec that names it, for notices."""
        metadata = members.raw.get("metadata")
        name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
        spec = members.inside("spec")
        ratio, threshold = spec.has("ratioMetric"), spec.has("thresholdMetric")
        if ratio == threshold:
            said = "ratioMetric and thresholdMetric exclude each other" if ratio else "it has neither ratioMetric nor"
            spec.wrong("", said if ratio else f"{said} thresholdMetric")
            return None
        if threshold:
            source = self._source(spec.inside("thresholdMetric"))
            return Indicator(name, THRESHOLD, only=source) if source else None
        metric = spec.inside("ratioMetric")
        if metric.has("raw"):
            return self._ready(name, metric, of)
        if metric.has("good") == metric.has("bad"):
            metric.wrong("", "exactly one of good and bad is needed")
            return None
        if not metric.has("total"):
            metric.wrong("total", "it is missing")
            return None
        good = self._source(metric.inside("good")) if metric.has("good") else None
        bad = self._source(metric.inside("bad")) if metric.has("bad") else None
        total = self._source(metric.inside("total"))
        if total is None or (good is None and bad is None):
            return None
        return Indicator(name, RATIO, good=good, bad=bad, total=total, counter=metric.flag("counter", False))

    def _ready(self, name: str, metric: Members, of: Members | None) -> Indicator | None:
        if any(metric.has(one) for one in ("good", "bad", "total")):
            metric.wrong("raw", "raw excludes good, bad and total")
            return None
        kind = metric.text("rawType")
        if kind not in ("success", "failure"):
            metric.wrong("rawType", "it must be success or failure")
            return None
        if of is not None:
            of.note("indicator", "a ready-made ratio has no counts: no low-traffic guard and no count rule apply")
        source = self._source(metric.inside("raw"))
        return Indicator(name, READY, only=source, failure=kind == "failure") if source else None

    def _source(self, metric: Members) -> Source | None:
        source = metric.inside("metricSource")
        kind = source.text("type", "")
        name = source.text("metricSourceRef", "")
        if name:
            data = self.index.get(("DataSource", name))
            if data is None:
                source.wrong("metricSourceRef", f"there is no DataSource {name!r}")
                return None
            kind = kind or str(data.raw["spec"].get("type") or "")
        if not kind:
            source.wrong("type", "it is missing, and no DataSource tells it")
            return None
        spec = source.raw.get("spec")
        if not isinstance(spec, dict):
            source.wrong("spec", "it must be a mapping")
            return None
        return Source(kind, spec)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]


def _target(row: Members) -> Fraction | None:
    if row.has("target") == row.has("targetPercent"):
        row.wrong("target", "exactly one of target and targetPercent is needed")
        return None
    whole = row.has("targetPercent")
    name = "targetPercent" if whole else "target"
    number = row.number(name)
    if number is None:
        return None
    target = number / 100 if whole else number
    if not 0 <= target < 1:
        row.wrong(name, f"it must be at least 0 and below {100 if whole else 1}")
        return None
    if target == 0:
        row.wrong(name, "0 promises nothing: a target above 0 is needed")
        return None
    return target


def _slices(row: Members, method: str) -> tuple[Fraction | None, int | None]:
    if method == OCCURRENCES or method not in METHODS:
        return None, None
    share = None
    if method == TIMESLICES:
        share = row.number("timeSliceTarget")
        if share is not None and not 0 < share <= 1:
            row.wrong("timeSliceTarget", "it must be above 0 and at most 1")
    value = row.raw.get("timeSliceWindow")
    if value is None:
        row.wrong("timeSliceWindow", "it is missing")
        return share, None
    try:
        bare = isinstance(value, int) and not isinstance(value, bool)
        seconds = value * MINUTE if bare else lookback(value)
    except ValueError as problem:
        row.wrong("timeSliceWindow", str(problem))
        return share, None
    if not MINUTE <= seconds <= DAY:
        row.wrong("timeSliceWindow", "it must be between one minute and one day")
    return share, seconds


def _limited(row: Members, indicator: Indicator | None) -> Indicator | None:
    """A threshold's comparison stands in its objective."""
    if indicator is None or indicator.shape != THRESHOLD:
        if row.has("value"):
            row.note("value", "it is not used: the indicator is a ratio")
        return indicator
    op = row.text("op")
    if op and op not in OPERATORS:
        row.wrong("op", f"{op!r} is none of {', '.join(OPERATORS)}")
    return replace(indicator, op=op, value=row.number("value"))


def _period(spec: Members) -> Period | None:
    rows = spec.each("timeWindow", needed=True)
    if len(rows) != 1:
        if rows:
            spec.wrong("timeWindow", "it must have exactly one entry")
        return None
    row = rows[0]
    length = row.duration("duration")
    aligned = row.has("calendar")
    rolling = row.flag("isRolling", not aligned)
    if rolling and aligned:
        row.wrong("isRolling", "a calendar does not roll")
    if not rolling and not aligned:
        row.wrong("calendar", "it is missing: say when the period begins, or isRolling: true")
        return None
    if not aligned:
        return Period(length) if length else None
    calendar = row.inside("calendar")
    zone, start = calendar.text("timeZone"), _wall(calendar)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        calendar.wrong("timeZone", f"{zone!r} is no IANA time zone")
        return None
    return Period(length, start, zone) if length and start else None


def _wall(calendar: Members) -> str:
    """YAML makes a time of it by itself."""
    value = calendar.raw.get("startTime")
    try:
        at = value if isinstance(value, datetime) else datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
    except ValueError:
        calendar.wrong("startTime", f"{value!r} must be YYYY-MM-DD hh:mm:ss")
        return ""
    if at.tzinfo is not None:
        calendar.wrong("startTime", "it has no zone of its own: timeZone says it")
        return ""
    return at.replace(microsecond=0).isoformat()


def _tell_windows(objective: Objective, findings: Findings) -> None:
    period = objective.period.seconds
    if objective.slice_seconds and objective.slice_seconds > period:
        findings.wrong(objective.where.at("timeSliceWindow"), "it is longer than the period")
    if period < DAY:
        said = f"{objective.period.duration} is shorter than a day"
        hint = " (m is minutes, M is months)" if objective.period.duration.unit == "m" else ""
        findings.wrong(
            Where(objective.where.file, objective.where.document, "spec.timeWindow[0].duration"), said + hint
        )
