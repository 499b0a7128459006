"""Recording and alerting rules of Prometheus for an objective. Pure.

Of each window one record, the error ratio; of the objective its target, budget and burn; of each severity one alert,
whose pairs are joined with `or`. The names of the records are those that dashboards for multi-window alerts know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from afterlaunch.slo.durations import MINUTE, short, written
from afterlaunch.slo.openslo.objects import (
    OCCURRENCES,
    OPERATORS,
    RATIO,
    READY,
    TIMESLICES,
    Indicator,
    Objective,
    Source,
)
from afterlaunch.slo.pairs import PAGE, TICKET, Pair, life

Rule = dict[str, Any]
RATE = "slo:sli_error:ratio_rate"
_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}")
_SELECTOR = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\s*(\{[^{}]*\})?", re.ASCII)
SAMPLED = "1m"
"""How often a query that is no plain series is sampled inside a window."""


class NotPrometheus(ValueError):
    """No rules can be made of its sources; says why."""


def groups(objective: Objective) -> list[dict[str, Any]]:
    """Three groups; none of alerts where none can fire. Raises NotPrometheus."""
    name = f"{objective.service}-{objective.name}"
    found = [
        {"name": f"slo-sli-{name}", "rules": _sli(objective)},
        {"name": f"slo-meta-{name}", "rules": _meta(objective)},
        {"name": f"slo-alerts-{name}", "rules": _alerts(objective)},
    ]
    return [one for one in found if one["rules"]]


def _identity(objective: Objective) -> dict[str, str]:
    return {
        "slo_id": f"{objective.service}-{objective.name}",
        "slo_service": objective.service,
        "slo_name": objective.name,
    }


def _labels(objective: Objective, **more: str) -> dict[str, str]:
    kept = {re.sub(r"[^a-zA-Z0-9_]", "_", key): value for key, value in objective.labels.items()}
    return {**kept, **_identity(objective), **more}


def _chosen(name: str, objective: Objective) -> str:
    matchers = ", ".join(f'{key}="{_quoted(value)}"' for key, value in _identity(objective).items())
    return f"{name}{{{matchers}}}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def windows(pairs: Sequence[Pair]) -> list[int]:
    return sorted({5 * MINUTE, *(pair.long for pair in pairs), *(pair.short for pair in pairs)})


def _sli(objective: Objective) -> list[Rule]:
    period = short(objective.period.seconds)
    rules = [
        {
            "record": f"{RATE}{short(window)}",
            "expr": error_ratio(objective, short(window)),
            "labels": _labels(objective, slo_window=short(window)),
        }
        for window in windows(objective.watched)
    ]
    base = _chosen(f"{RATE}5m", objective)
    whole = f"sum_over_time({base}[{period}])\n/ ignoring (slo_window)\ncount_over_time({base}[{period}])"
    rules.append({"record": f"{RATE}{period}", "expr": whole, "labels": _labels(objective, slo_window=period)})
    return rules


def error_ratio(objective: Objective, window: str) -> str:
    """The share of bad events of the window, as PromQL. Raises NotPrometheus."""
    indicator = objective.indicator
    foreign = next((one for one in indicator.sources if one.type.lower() != "prometheus"), None)
    if foreign is not None:
        raise NotPrometheus(f"its source is {foreign.type}, not Prometheus")
    if any(not one.query for one in indicator.sources):
        raise NotPrometheus("metricSource.spec.query is missing")
    if objective.method == OCCURRENCES:
        return _ratio(indicator, window)
    return _slices(objective, window)


def _slices(objective: Objective, window: str) -> str:
    """Slices without data have no sample and are no slice here: Prometheus knows no expected number of them."""
    size = short(objective.slice_seconds or MINUTE)
    inner = _ratio(objective.indicator, size)
    if objective.method == TIMESLICES and objective.slice_target is not None:
        inner = f"({inner})\n> bool {written(1 - objective.slice_target)}"
    return f"avg_over_time(\n({inner})[{window}:{size}]\n)"


def _ratio(indicator: Indicator, window: str) -> str:
    if indicator.shape == READY:
        query = _over(_source(indicator.only), window, "avg_over_time", ready=True)
        return f"({query})" if indicator.failure else f"1 - ({query})"
    if indicator.shape == RATIO:
        over = "rate" if indicator.counter else "sum_over_time"
        total = f"({_over(_source(indicator.total), window, over)})"
        if indicator.bad is not None:
            return f"({_over(indicator.bad, window, over)})\n/\n{total}"
        return f"1 - (\n({_over(_source(indicator.good), window, over)})\n/\n{total}\n)"
    query, line = _WINDOW.sub(window, _source(indicator.only).query), written(indicator.value or Fraction(0))
    return f"1 - avg_over_time(\n(({query}) {OPERATORS[indicator.op]} bool {line})[{window}:{SAMPLED}]\n)"


def _source(source: Source | None) -> Source:
    assert source is not None, "an indicator that was read has the sources of its shape"
    return source


def _over(source: Source, window: str, function: str, ready: bool = False) -> str:
    """A query that names its window is taken as it is; a plain series is wrapped; anything else is sampled."""
    query = source.query
    if _WINDOW.search(query):
        return _WINDOW.sub(window, query)
    if _SELECTOR.fullmatch(query):
        inner = f"{function}({query}[{window}])"
        return inner if ready else f"sum({inner})"
    return f"{function}(({query})[{window}:{SAMPLED}])"


def _meta(objective: Objective) -> list[Rule]:
    target, labels = objective.target, _labels(objective)
    period = short(objective.period.seconds)
    budget = _chosen("slo:error_budget:ratio", objective)
    join = "/ on(slo_id, slo_name, slo_service) group_left"
    days = Fraction(objective.period.seconds, 86_400)
    told = (
        ("slo:objective:ratio", f"vector({written(target)})"),
        ("slo:error_budget:ratio", f"vector({written(1 - target)})"),
        ("slo:time_period:days", f"vector({written(days)})"),
        ("slo:current_burn_rate:ratio", f"{_chosen(f'{RATE}5m', objective)}\n{join}\n{budget}"),
        ("slo:period_burn_rate:ratio", f"{_chosen(f'{RATE}{period}', objective)}\n{join}\n{budget}"),
        ("slo:period_error_budget_remaining:ratio", f"1 - {_chosen('slo:period_burn_rate:ratio', objective)}"),
    )
    return [{"record": name, "expr": expr, "labels": dict(labels)} for name, expr in told]


def _alerts(objective: Objective) -> list[Rule]:
    rules = []
    live = [one for one in objective.pairs if not life(one, objective.target, objective.period.seconds).dead]
    for severity in (PAGE, TICKET):
        for hold in sorted({one.hold for one in live if one.severity == severity}):
            mine = [one for one in live if one.severity == severity and one.hold == hold]
            rules.append(_alert(objective, severity, mine, hold))
    return rules


def _alert(objective: Objective, severity: str, pairs: Sequence[Pair], hold: int) -> Rule:
    told: Mapping[str, str] = objective.alerting.labels.get(severity, {})
    said = {
        "summary": f"{objective.service} {objective.name} burns its error budget too fast.",
        "title": f"({severity}) {objective.service} {objective.name}: error budget burn",
        **objective.alerting.annotations.get(severity, {}),
    }
    rule: Rule = {
        "alert": objective.alerting.name or _camel(f"{objective.name}-budget-burn"),
        "expr": "\nor\n".join(_condition(objective, pair) for pair in pairs),
    }
    if hold:
        rule["for"] = short(hold)
    return rule | {"labels": {**told, **_identity(objective), "slo_severity": severity}, "annotations": said}


def _condition(objective: Objective, pair: Pair) -> str:
    line = f"({written(pair.factor, 17)} * {written(1 - objective.target)})"
    sides = [
        f"    max({_chosen(f'{RATE}{short(window)}', objective)} > {line}) without (slo_window)"
        for window in dict.fromkeys((pair.short, pair.long))
    ]
    return "(\n" + "\n    and\n".join(sides) + "\n)"


def _camel(text: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^a-zA-Z0-9]+", text) if part)
