"""The webhook of Prometheus' Alertmanager (version 4), and Grafana's, which is its kin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from afterlaunch.ground.errors import Invalid
from afterlaunch.receivers.formats.shape import Parsed, Told, an_object, each, instant, said, text, texts

EXTRAS = ("silenceURL", "dashboardURL", "panelURL", "imageURL", "valueString")
NO_TELEMETRY = ("DatasourceNoData", "DatasourceError", "NoData", "Error")


def parse(body: Any) -> Parsed:
    whole = an_object(body, "The body")
    if "alerts" not in whole or ("version" in whole and str(whole["version"]) != "4"):
        raise Invalid(
            "This is not the body of Alertmanager's webhook, version 4.",
            "A custom payload is taken by an integration of the kind generic, with a mapping.",
        )
    return _with_note(whole, each(whole["alerts"], "alerts", lambda one: _one(one, whole)))


def parse_grafana(body: Any) -> Parsed:
    whole = an_object(body, "The body")
    if "alerts" not in whole:
        legacy = "evalMatches" in whole or "ruleId" in whole
        raise Invalid(
            "This is the body of Grafana's legacy alerting, which ended with Grafana 11."
            if legacy
            else "This is not the body of Grafana's webhook: it has no alerts.",
            "Use a contact point of unified alerting, of the type webhook, without a custom payload.",
        )
    return _with_note(whole, each(whole["alerts"], "alerts", lambda one: _grafana(one, whole)))


def _with_note(whole: Mapping[str, Any], parsed: Parsed) -> Parsed:
    left_out = whole.get("truncatedAlerts")
    if not isinstance(left_out, int) or left_out <= 0:
        return parsed
    return Parsed(parsed.alerts, parsed.wrong, f"The sender left {left_out} alerts out; nothing is known of them.")


def _one(item: Any, whole: Mapping[str, Any]) -> Told:
    alert = an_object(item, "An alert")
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise Invalid(f"status must be firing or resolved, not {str(status)[:60]!r}.")
    labels = texts(alert.get("labels"), "labels")
    if not any(labels.values()):
        raise Invalid("At least one label must have a value.")
    annotations = texts(alert.get("annotations"), "annotations")
    name = labels.get("alertname") or "Alert without a name"
    url = text(alert.get("generatorURL"), "generatorURL", 2000)
    base = text(whole.get("externalURL"), "externalURL", 2000)
    ends = instant(alert.get("endsAt"), "endsAt")
    return Told(
        status=status,
        labels=labels,
        name=name,
        annotations=annotations,
        summary=said(annotations, name),
        starts_at=instant(alert.get("startsAt"), "startsAt"),
        ends_at=ends if status == "resolved" else None,
        url=_joined(base, url),
    )


def _joined(base: str, url: str) -> str:
    """Grafana's addresses may be relative to its own."""
    if not url or "://" in url or not base:
        return url
    try:
        return urljoin(base if base.endswith("/") else base + "/", url)[:2000]
    except ValueError:
        return url


def _grafana(item: Any, whole: Mapping[str, Any]) -> Told:
    told = _one(item, whole)
    extras = {name: text(item.get(name), name, 2000) for name in EXTRAS if isinstance(item.get(name), str)}
    values = item.get("values")
    if isinstance(values, dict):
        extras |= {f"value {name}"[:300]: "unknown" if v is None else str(v)[:300] for name, v in values.items()}
    annotations = {**told.annotations, **{name: value for name, value in extras.items() if value}}
    silent = told.labels.get("alertname") in NO_TELEMETRY or told.labels.get("grafana_state_reason") in NO_TELEMETRY
    rule = told.labels.get("rulename", "")
    summary = f"No telemetry{f' of {rule}' if rule else ''}: {told.summary}" if silent else told.summary
    return Told(**{**vars(told), "annotations": annotations, "no_telemetry": silent, "summary": summary})
