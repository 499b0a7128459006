"""Deeds on integrations: declare, alter, remove, try."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.alerts.models import Integration, by_alertname
from afterlaunch.alerts.rules import GRAVEST
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.receivers.doors import KINDS
from afterlaunch.receivers.formats import cloudwatch, generic
from afterlaunch.receivers.formats.shape import Told
from afterlaunch.receivers.keys import require_known
from afterlaunch.receivers.landing import told

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9 _.-]{0,59}")
_ARN = re.compile(r"arn:aws(-[a-z]+)*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}")
LONGEST_WAIT = 7 * 86_400
OPTIONS: dict[str, tuple[str, ...]] = {
    "prometheus": (),
    "alertmanager": (),
    "grafana": ("signatureHeader", "timestampHeader", "acceptReplay", "noTelemetrySeverity"),
    "pagerduty": ("relaysPerson",),
    "sns": ("topics", "signatureVersion2Only", "insufficientData", "severityByAlarm", "noTelemetrySeverity"),
    "generic": ("mapping",),
}


@dataclass(frozen=True)
class Values:
    """What an integration is. Waits in seconds; see `alerts.models.Integration`."""

    kind: str
    system: str
    environment: str = "prod"
    system_label: str = ""
    environment_label: str = ""
    severity_label: str = "severity"
    severities: Mapping[str, str] = field(default_factory=dict)
    group_by: list[str] = field(default_factory=by_alertname)
    group_wait: int = 30
    group_interval: int = 300
    repeat_interval: int = 14_400
    storm_limit: int = 100
    expires_after: int = 0
    may_silence: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


def integrations_seen_by(actor: Actor) -> QuerySet[Integration]:
    """Only those of clients that the actor may see."""
    seen = actor.sees()
    rows = Integration.objects.filter(removed_at=None).select_related("client", "system", "tally")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def integration_by_id(actor: Actor, pk: int) -> Integration:
    row = integrations_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no integration {pk}.")
    return row


@transaction.atomic
def put_integration(actor: Actor, client: Client, name: str, values: Values) -> tuple[Integration, bool]:
    """Declare one, or alter the one of that name; the second value says whether it is new. Raises Invalid."""
    actor.require(Role.OPERATOR, client.slug)
    if not _NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name of an integration.", "Letters, digits, spaces, dots, dashes; up to 60.")
    system = System.objects.filter(client=client, key=values.system).first()
    if system is None:
        raise Invalid(f"{client.slug} has no system {values.system!r}.", "Alerts without a system open no incident.")
    wanted = {**asdict(values), "system": system, **_checked(values)}
    row = Integration.objects.select_for_update(of=("self",)).filter(client=client, name=name, removed_at=None).first()
    if row is not None and row.kind != values.kind:
        raise Invalid(f"{name} is of the kind {row.kind}.", "Remove it, and declare another one.")
    before = {} if row is None else {key: getattr(row, key) for key in wanted}
    if row is None:
        made = {"created_at": clock.now(), "created_by": actor.name, "public_id": secrets.token_hex(8)}
        row = Integration.objects.create(client=client, name=name, **wanted, **made)
    elif before != wanted:
        for key, value in wanted.items():
            setattr(row, key, value)
        row.save()
    else:
        return row, False
    deed = "integration.altered" if before else "integration.made"
    changed = [key for key, value in wanted.items() if before.get(key) != value]
    record(actor, deed, f"integration/{row.pk}", client.slug, {"name": name, "kind": row.kind, "changed": changed})
    return row, not before


def _checked(values: Values) -> dict[str, Any]:
    """Raises Invalid."""
    require_known(values.kind, tuple(KINDS))
    severities = {str(word).strip().lower(): str(grade) for word, grade in values.severities.items()}
    if any(grade not in ("", *GRAVEST) for grade in severities.values()):
        raise Invalid("A severity is mapped to P1, P2, P3, or nothing.", "Nothing: it is stored without an incident.")
    for name in ("group_wait", "group_interval", "repeat_interval", "expires_after"):
        if not 0 <= getattr(values, name) <= LONGEST_WAIT:
            raise Invalid(f"{name.replace('_', ' ').capitalize()} must be up to seven days.")
    if values.repeat_interval < 60 or not 1 <= values.storm_limit <= 100_000:
        raise Invalid("The repeat interval is at least a minute, the storm's limit at least 1.")
    if not values.environment.strip() or len(values.group_by) > 20:
        raise Invalid("An environment is needed, and at most 20 labels to group by.")
    if values.may_silence and values.kind != "prometheus":
        raise Invalid("Only the key of a Prometheus integration can read and silence alerts.")
    return {"severities": severities, "group_by": list(values.group_by), "options": _options(values)}


def _options(values: Values) -> dict[str, Any]:
    given = dict(values.options)
    if unknown := sorted(set(given) - set(OPTIONS[values.kind])):
        raise Invalid(f"An integration of the kind {values.kind} has no option {unknown[0]!r}.")
    if values.kind == "sns":
        topics = given.get("topics", [])
        if not isinstance(topics, list) or not topics or not all(_ARN.fullmatch(str(one)) for one in topics):
            raise Invalid("The topics must be ARNs of SNS.", "arn:aws:sns:eu-central-1:123456789012:alarms")
        if given.get("insufficientData", "no_telemetry") not in cloudwatch.INSUFFICIENT:
            raise Invalid("Insufficient data is one of " + ", ".join(cloudwatch.INSUFFICIENT) + ".")
        tags = given.get("severityByAlarm", {})
        if not isinstance(tags, dict) or not all(isinstance(word, str) for word in tags.values()):
            raise Invalid("Severities by alarm must be names with a severity each.")
    if values.kind == "generic":
        generic.checked(given.get("mapping", {}))
    if given.get("noTelemetrySeverity", "P3") not in ("", *GRAVEST):
        raise Invalid("The severity of what tells nothing is P1, P2, P3, or nothing.")
    for name in ("signatureHeader", "timestampHeader"):
        if not re.fullmatch(r"[A-Za-z0-9-]{0,100}", str(given.get(name, ""))):
            raise Invalid(f"{given[name]!r} is no name of a header.")
    return given


@transaction.atomic
def remove_integration(actor: Actor, row: Integration) -> None:
    """Its keys open nothing any more; its alerts stay. Twice changes nothing."""
    actor.require(Role.OPERATOR, row.client.slug)
    if Integration.objects.filter(pk=row.pk, removed_at=None).update(removed_at=clock.now()):
        record(actor, "integration.removed", f"integration/{row.pk}", row.client.slug, {"name": row.name})


def send_test(actor: Actor, row: Integration) -> None:
    """An alert of no severity, which is stored, shown, and over at once: no incident, no page."""
    actor.require(Role.OPERATOR, row.client.slug)
    labels = {"alertname": "AfterlaunchTest", "test": "true", row.severity_label or "severity": "none"}
    said = f"Sent from the page by {actor.name}."
    for status in ("firing", "resolved"):
        one = Told(
            status=status,
            labels=labels,
            name="AfterlaunchTest",
            summary=said,
            severity="none",
            restarts=True,
            key="afterlaunch test",
        )
        told(row, [one], None)
