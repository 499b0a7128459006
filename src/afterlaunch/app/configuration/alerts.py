"""Documents of what lets alerts in and keeps them quiet: integrations, maintenance windows, inhibition rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from afterlaunch.alerts.inhibit_rules import put_inhibit_rule
from afterlaunch.alerts.maintenance import put_window
from afterlaunch.alerts.matchers import from_rows, parse, written
from afterlaunch.alerts.models import InhibitRule, Integration, MaintenanceWindow
from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import (
    FLAG,
    INSTANT_OR_NONE,
    NEEDED_TEXT,
    TEXT,
    Field,
    instant,
    list_of,
    one_of,
    whole,
)
from afterlaunch.app.configuration.people import client
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid
from afterlaunch.receivers.doors import KINDS
from afterlaunch.receivers.integrations import LONGEST_WAIT, Values, put_integration
from afterlaunch.receivers.keys import add_key


def _words(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for pair in value.items() for one in pair):
        raise ValueError(value)
    return {word: value[word] for word in sorted(value)}


def _any_mapping(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise ValueError(value)
    return dict(value or {})


FIELDS: dict[str, tuple[str, Field]] = {
    "kind": ("kind", one_of(tuple(KINDS), needed=True)),
    "system": ("system", NEEDED_TEXT),
    "environment": ("environment", NEEDED_TEXT),
    "systemLabel": ("system_label", TEXT),
    "environmentLabel": ("environment_label", TEXT),
    "severityLabel": ("severity_label", TEXT),
    "severities": ("severities", Field("words of the tool, each with P1, P2, P3 or an empty text", _words)),
    "groupBy": ("group_by", list_of(NEEDED_TEXT)),
    "groupWaitSeconds": ("group_wait", whole(0, LONGEST_WAIT)),
    "groupIntervalSeconds": ("group_interval", whole(0, LONGEST_WAIT)),
    "repeatIntervalSeconds": ("repeat_interval", whole(60, LONGEST_WAIT)),
    "stormLimit": ("storm_limit", whole(1, 100_000)),
    "expiresAfterSeconds": ("expires_after", whole(0, LONGEST_WAIT)),
    "maySilence": ("may_silence", FLAG),
    "options": ("options", Field("a mapping of what this kind alone has", _any_mapping)),
}
INTEGRATION_FIELDS = {name: field for name, (_, field) in FIELDS.items()}


def _told(row: Integration) -> Spec:
    values = {name: getattr(row, column) for name, (column, _) in FIELDS.items()}
    return {**values, "system": row.system.key}


def read_integrations() -> list[tuple[Metadata, Spec]]:
    rows = Integration.objects.filter(removed_at=None).select_related("client", "system")
    return [
        ({"client": row.client.slug, "name": row.name}, _told(row)) for row in rows.order_by("client__slug", "name")
    ]


def put_integration_document(actor: Actor, metadata: Metadata, spec: Spec) -> str | None:
    """What a document leaves out stays as it is. Returns the key of a new one, told once."""
    of, name = client(metadata["client"]), metadata["name"]
    known = Integration.objects.filter(client=of, name=name, removed_at=None).select_related("system").first()
    before = _told(known) if known else {}
    values = {FIELDS[field][0]: value for field, value in {**before, **spec}.items()}
    row, made = put_integration(actor, of, name, Values(**values))
    return add_key(actor, row)[1] if made else None


def _matchers(value: Any) -> str:
    text: str = NEEDED_TEXT.take(value)
    try:
        return written(parse(text))
    except Invalid as problem:
        raise ValueError(problem.message) from None


MATCHERS = Field('matchers, such as {alertname="Down", instance=~"db-.*"}', _matchers, needed=True)
WINDOW_FIELDS = {
    "matchers": MATCHERS,
    "from": INSTANT_OR_NONE,
    "to": INSTANT_OR_NONE,
    "recurrence": Field("a recurrence, as Alertmanager writes time intervals, or null", lambda one: one),
    "comment": TEXT,
}
RULE_FIELDS = {"source": MATCHERS, "target": MATCHERS, "equal": list_of(NEEDED_TEXT)}


def read_windows() -> list[tuple[Metadata, Spec]]:
    """Windows that are over are history, not configuration."""
    rows = MaintenanceWindow.objects.filter(removed_at=None).select_related("client").order_by("client__slug", "name")
    now = clock.now()
    return [
        (
            {"client": row.client.slug, "name": row.name},
            {
                "matchers": written(from_rows(row.matchers)),
                "from": instant(row.starts_at) if row.starts_at else None,
                "to": instant(row.ends_at) if row.ends_at else None,
                "recurrence": row.recurrence,
                "comment": row.comment,
            },
        )
        for row in rows
        if row.recurrence is not None or (row.ends_at is not None and row.ends_at > now)
    ]


def put_window_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    begin, end = (datetime.fromisoformat(spec[name]) if spec.get(name) else None for name in ("from", "to"))
    of, wanted = client(metadata["client"]), parse(spec["matchers"])
    put_window(actor, of, metadata["name"], wanted, begin, end, spec.get("recurrence"), spec.get("comment", ""))


def read_inhibit_rules() -> list[tuple[Metadata, Spec]]:
    rows = InhibitRule.objects.select_related("client").order_by("client__slug", "name")
    return [
        (
            {"client": row.client.slug, "name": row.name},
            {"source": written(from_rows(row.source)), "target": written(from_rows(row.target)), "equal": row.equal},
        )
        for row in rows
    ]


def put_inhibit_rule_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    source, target = parse(spec["source"]), parse(spec["target"])
    put_inhibit_rule(actor, client(metadata["client"]), metadata["name"], source, target, spec.get("equal", []))
