"""Sloth's own files (prometheus/v1, and the Kubernetes kind PrometheusServiceLevel) to objectives. Pure.

Read so that they can be checked and their rules be generated; they are not imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from afterlaunch.slo.durations import DAY, Duration, exact
from afterlaunch.slo.openslo.members import Members
from afterlaunch.slo.openslo.objects import OCCURRENCES, RATIO, READY, Alerting, Indicator, Objective, Period, Source
from afterlaunch.slo.openslo.problems import Findings, Where
from afterlaunch.slo.pairs import PAGE, STANDARD, TICKET, Pair, standard

VERSION = "prometheus/v1"
KUBERNETES = "sloth.slok.dev/v1"
LEVELS, WINDOWS = "PrometheusServiceLevel", "AlertWindows"
PERIOD = Duration(30, "d")


def is_sloth(raw: Mapping[str, Any]) -> bool:
    return raw.get("version") == VERSION or (raw.get("apiVersion") == KUBERNETES and raw.get("kind") == LEVELS)


def read(
    found: Iterable[tuple[Where, dict[str, Any]]], findings: Findings, period: Duration = PERIOD
) -> list[Objective]:
    return [one for where, raw in found for one in _levels(where, raw, findings, period)]


def _levels(where: Where, raw: dict[str, Any], findings: Findings, period: Duration) -> list[Objective]:
    head = Members(raw, where, findings)
    spec = head.inside("spec") if raw.get("kind") == LEVELS else head
    if spec.has("sloPlugins") or spec.has("slo_plugins"):
        spec.note("sloPlugins", "plugins are not applied: the rules are the plain ones")
    service, labels = spec.text("service"), spec.texts("labels")
    out = []
    for row in spec.each("slos", needed=True):
        before = len(findings.errors)
        name, target = row.text("name"), _target(row)
        indicator = _indicator(name, row.inside("sli"))
        alerts = _alerting(row)
        if target is None or indicator is None or len(findings.errors) > before:
            continue
        objective = Objective(
            name=name,
            of=name,
            service=service,
            target=target,
            period=Period(period),
            method=OCCURRENCES,
            indicator=indicator,
            alerting=alerts,
            where=row.where,
            description=row.text("description", ""),
            labels={**labels, **row.texts("labels")},
        )
        out.append(objective)
    return out


def _target(row: Members) -> Fraction | None:
    number = row.number("objective")
    if number is not None and not 0 < number < 100:
        row.wrong("objective", "it must be above 0 and below 100")
        return None
    return number / 100 if number is not None else None


def _indicator(name: str, sli: Members) -> Indicator | None:
    if sli.has("plugin"):
        sli.wrong("plugin", "plugins are not read: write the queries out")
        return None
    if sli.has("events") == sli.has("raw"):
        sli.wrong("", "exactly one of events and raw is needed")
        return None
    if sli.has("raw"):
        query = _either(sli.inside("raw"), "error_ratio_query", "errorRatioQuery")
        return Indicator(name, READY, only=_promql(query), failure=True) if query else None
    events = sli.inside("events")
    bad, total = (_either(events, f"{one}_query", f"{one}Query") for one in ("error", "total"))
    return Indicator(name, RATIO, bad=_promql(bad), total=_promql(total)) if bad and total else None


def _either(members: Members, name: str, camel: str) -> str:
    return members.text(camel if members.has(camel) else name)


def _promql(query: str) -> Source:
    return Source("Prometheus", {"query": query})


def _alerting(row: Members) -> Alerting:
    if not row.has("alerting"):
        return Alerting(off=frozenset((PAGE, TICKET)))
    told = row.inside("alerting")
    off, labels, annotations = set(), {}, {}
    for severity in (PAGE, TICKET):
        name = f"{severity}Alert" if told.has(f"{severity}Alert") else f"{severity}_alert"
        mine = told.inside(name) if told.has(name) else Members({}, told.where.at(name), told.findings)
        if mine.flag("disable", False):
            off.add(severity)
        labels[severity] = {**told.texts("labels"), **mine.texts("labels")}
        annotations[severity] = {**told.texts("annotations"), **mine.texts("annotations")}
    return Alerting(name=told.text("name", ""), off=frozenset(off), labels=labels, annotations=annotations)


# -- windows of one's own ----------------------------------------------------------------------------------------

SPEEDS = (("quick", "fast"), ("slow", "slow"))


def windows(raw: Mapping[str, Any], where: Where, findings: Findings) -> tuple[Duration, tuple[Pair, ...]] | None:
    """A document of kind AlertWindows: (the period it is for, its pairs)."""
    head = Members(dict(raw), where, findings)
    if raw.get("apiVersion") != KUBERNETES or raw.get("kind") != WINDOWS:
        head.wrong("kind", f"it must be {WINDOWS} of {KUBERNETES}")
        return None
    spec = head.inside("spec")
    period = spec.duration("sloPeriod")
    table = []
    for severity in (PAGE, TICKET):
        for word, name in SPEEDS:
            row = spec.inside(severity).inside(word)
            long, brief = row.lookback("longWindow"), row.lookback("shortWindow")
            share = row.number("errorBudgetPercent")
            if long is None or brief is None or share is None:
                continue
            if not brief < long or not 0 < share <= 100:
                row.wrong(
                    "", "the short window must be shorter than the long one, the budget above 0 and at most 100 %"
                )
                continue
            table.append((severity, name, exact(share) / 100, long, brief))
    if period is None or len(table) != len(STANDARD):
        return None
    if any(long > period.seconds for *_, long, _ in table) or period.seconds < DAY:
        spec.wrong("sloPeriod", f"{period} is shorter than a window, or than a day")
        return None
    return period, standard(period.seconds, table)
