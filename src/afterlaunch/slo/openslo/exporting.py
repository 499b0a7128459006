"""SLOs become OpenSLO documents: those that were imported as they stood, the others written anew."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import yaml

from afterlaunch.accounts.models import Client
from afterlaunch.slo.definition import Definition
from afterlaunch.slo.durations import percent, short
from afterlaunch.slo.measures import FRESHNESS, LATENCY, QUALITY, SOURCE
from afterlaunch.slo.models import Declared, Slo, SloVersion
from afterlaunch.slo.openslo.alerting import LEAST, PAIR
from afterlaunch.slo.openslo.importing import CLIENT, FLAGS
from afterlaunch.slo.openslo.objects import OCCURRENCES, RATIO_TIMESLICES
from afterlaunch.slo.openslo.reading import API_VERSION
from afterlaunch.slo.pairs import Pair

Raw = dict[str, Any]


def documents(clients: Iterable[Client]) -> list[Raw]:
    """In an order in which they can be imported again."""
    out: list[Raw] = []
    for client in clients:
        kept = list(Declared.objects.filter(client=client).order_by("pk"))
        out += [_whose(one.raw, client) for one in kept if one.kind != "SLO"]
        slos = {one.name: one for one in Slo.objects.filter(client=client, removed_at=None)}
        versions = {
            one.slo_id: one for one in SloVersion.objects.filter(slo__in=[slo.pk for slo in slos.values()], until=None)
        }
        from_files = {slo.of for slo in slos.values() if slo.of}
        out += [_whose(one.raw, client) for one in kept if one.kind == "SLO" and one.name in from_files]
        raws = {one.name: one.raw for one in kept if one.kind == "SLO"}
        for slo in slos.values():
            if not slo.of and slo.pk in versions:
                out.append(_whose(written_anew(slo, versions[slo.pk].definition, raws.get(slo.name)), client))
    return out


def to_yaml(found: Iterable[Raw]) -> str:
    rows = list(found)
    return yaml.safe_dump_all(rows, sort_keys=False, allow_unicode=True, explicit_start=True) if rows else ""


def every() -> str:
    """All that exists, as YAML."""
    return to_yaml(documents(Client.objects.order_by("slug")))


def _whose(raw: Raw, client: Client) -> Raw:
    metadata = dict(raw.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), CLIENT: client.slug}
    return {**raw, "metadata": metadata}


def written_anew(slo: Slo, definition: Definition, before: Raw | None = None) -> Raw:
    """`before`: the document it once came from, whose other fields are kept."""
    old = before or {}
    metadata = {**(old.get("metadata") or {}), "name": slo.name}
    if slo.title:
        metadata["displayName"] = slo.title
    flags = {key: str(getattr(slo, name)).lower() for name, key in FLAGS.items()}
    notes = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in flags}
    metadata["annotations"] = {**notes, **{key: value for key, value in flags.items() if value == "true"}}
    spec = {
        key: value for key, value in (old.get("spec") or {}).items() if key not in ("indicatorRef", "alertPolicies")
    }
    spec |= {
        "service": slo.service or definition.measure.system,
        "indicator": {"metadata": {"name": f"{slo.name}-indicator"}, "spec": _indicator(definition)},
        "timeWindow": [_window(definition)],
        "budgetingMethod": definition.method,
        "objectives": [_objective(definition)],
    }
    if slo.description:
        spec["description"] = slo.description
    if definition.pairs is not None:
        spec["alertPolicies"] = [one for pair in definition.pairs for one in _policies(slo.name, pair)]
    return {"apiVersion": API_VERSION, "kind": "SLO", "metadata": metadata, "spec": spec}


def number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


def _thresholded(definition: Definition) -> bool:
    measure = definition.measure
    return measure.kind in (LATENCY, FRESHNESS) or (measure.kind == QUALITY and measure.value is not None)


def _indicator(definition: Definition) -> Raw:
    spec = definition.measure.as_spec()
    if _thresholded(definition):
        inside = {key: value for key, value in spec.items() if key not in ("op", "value")}
        return {"thresholdMetric": {"metricSource": {"type": SOURCE, "spec": inside}}}
    bad = {"metricSource": {"type": SOURCE, "spec": spec}}
    total = {"metricSource": {"type": SOURCE, "spec": {**spec, "events": "all"}}}
    return {"ratioMetric": {"counter": False, "bad": bad, "total": total}}


def _window(definition: Definition) -> Raw:
    period = definition.period
    if period.rolling:
        return {"duration": str(period.duration), "isRolling": True}
    start = period.start.replace("T", " ")
    return {
        "duration": str(period.duration),
        "isRolling": False,
        "calendar": {"startTime": start, "timeZone": period.zone},
    }


def _objective(definition: Definition) -> Raw:
    out: Raw = {"displayName": percent(definition.target), "target": number(definition.target)}
    measure = definition.measure
    if _thresholded(definition) and measure.value is not None:
        out |= {"op": measure.op, "value": number(measure.value)}
    if definition.method != OCCURRENCES and definition.slice_seconds:
        out["timeSliceWindow"] = short(definition.slice_seconds)
        if definition.method != RATIO_TIMESLICES and definition.slice_target is not None:
            out["timeSliceTarget"] = number(definition.slice_target)
    return out


def _policies(name: str, pair: Pair) -> list[Raw]:
    """One for each window, since a policy has one condition and a condition one window."""
    windows = dict.fromkeys((pair.long, pair.short))
    paired = {PAIR: f"{pair.severity}-{pair.name or 'pair'}"} if len(windows) == 2 else {}
    out = []
    for window in windows:
        called = f"{name}-{pair.severity}-{pair.name or 'pair'}-{short(window)}".replace(" ", "-")
        condition = {
            "kind": "AlertCondition",
            "metadata": {"name": called, "annotations": {**paired, LEAST: str(pair.least_bad)}},
            "spec": {
                "severity": pair.severity,
                "condition": {
                    "kind": "burnrate",
                    "op": "gt",
                    "threshold": number(pair.factor),
                    "lookbackWindow": short(window),
                    "alertAfter": short(pair.hold) if pair.hold else "0m",
                },
            },
        }
        policy = {
            "alertWhenBreaching": True,
            "alertWhenResolved": True,
            "alertWhenNoData": True,
            "conditions": [condition],
        }
        out.append({"kind": "AlertPolicy", "metadata": {"name": called}, "spec": policy})
    return out
