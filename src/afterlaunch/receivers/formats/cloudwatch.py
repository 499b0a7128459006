"""An alarm of CloudWatch: the text inside an SNS notification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.receivers.formats.shape import Parsed, Told, an_object, document, instant, text

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
INSUFFICIENT = ("no_telemetry", "fire", "ignore")  # what an alarm without enough data becomes
SILENT = "/no telemetry"  # what is told beside the alarm's own key


def parse(message: str, insufficient: str, tags: Mapping[str, str]) -> Parsed:
    """`insufficient`: one of INSUFFICIENT. `tags`: severity by the alarm's name, since an alarm tells none. Raises
    Invalid when the message is no alarm's."""
    alarm = an_object(document(message.encode()), "The message")
    state, name = alarm.get("NewStateValue"), alarm.get("AlarmName")
    if state not in STATES or not isinstance(name, str) or not name.strip():
        raise Invalid("The message is no alarm of CloudWatch: it has no AlarmName, or no NewStateValue that we know.")
    told = _told(alarm, name, tags)
    if state == "OK":
        return Parsed([_over(told), _over(_silent(told))])
    if state == "ALARM":
        return Parsed([told, _over(_silent(told))])
    if insufficient == "ignore":
        return Parsed(note="Not enough data, which this integration ignores.")
    return Parsed([told if insufficient == "fire" else _silent(told)])


def _told(alarm: Mapping[str, Any], name: str, tags: Mapping[str, str]) -> Told:
    trigger = alarm.get("Trigger")
    trigger = trigger if isinstance(trigger, dict) else {}
    where = {
        "account": text(alarm.get("AWSAccountId"), "AWSAccountId", 60),
        "region": text(alarm.get("Region"), "Region", 60),
        "metric": text(trigger.get("MetricName"), "Trigger.MetricName", 300),
        "namespace": text(trigger.get("Namespace"), "Trigger.Namespace", 300),
    }
    dimensions = trigger.get("Dimensions")
    for one in dimensions[:30] if isinstance(dimensions, list) else []:
        if isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("value"), str):
            where[f"dimension_{one['name']}"[:200]] = one["value"][:1000]
    arn = text(alarm.get("AlarmArn"), "AlarmArn", 500)
    reason = text(alarm.get("NewStateReason"), "NewStateReason", 2000)
    description = text(alarm.get("AlarmDescription"), "AlarmDescription", 2000)
    return Told(
        status="firing",
        labels={"alertname": name[:300], **{label: value for label, value in where.items() if value}},
        name=name[:200],
        annotations={label: one for label, one in (("description", description), ("reason", reason)) if one},
        summary=reason or description or name,
        severity=tags.get(name),
        starts_at=instant(alarm.get("StateChangeTime"), "StateChangeTime"),
        restarts=True,
        key=arn or f"{where['account']}/{where['region']}/{name}"[:500],
    )


def _over(told: Told) -> Told:
    return Told(**{**vars(told), "status": "resolved", "ends_at": told.starts_at, "starts_at": None})


def _silent(told: Told) -> Told:
    changed = {"no_telemetry": True, "key": told.key + SILENT, "summary": f"No telemetry: {told.summary}"}
    return Told(**{**vars(told), **changed, "labels": {**told.labels, "no_telemetry": "true"}})
