"""Deeds on inhibition rules."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.alerts.matchers import MOST, Matcher, as_rows, selective, written
from afterlaunch.alerts.models import InhibitRule
from afterlaunch.alerts.silences import look_again
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound


def inhibit_rules_seen_by(actor: Actor) -> QuerySet[InhibitRule]:
    seen = actor.sees()
    rows = InhibitRule.objects.select_related("client")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def inhibit_rule_by_id(actor: Actor, pk: int) -> InhibitRule:
    row = inhibit_rules_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no inhibition rule {pk}.")
    return row


@transaction.atomic
def put_inhibit_rule(
    actor: Actor, client: Client, name: str, source: Sequence[Matcher], target: Sequence[Matcher], equal: Sequence[str]
) -> InhibitRule:
    """Declare one, or alter the one of that name. Raises Invalid."""
    actor.require(Role.OPERATOR, client.slug)
    if not name.strip() or len(name) > 60:
        raise Invalid("An inhibition rule needs a name of up to 60 characters.")
    for what, wanted in (("source", source), ("target", target)):
        if not wanted or len(wanted) > MOST or not selective(wanted):
            raise Invalid(f"The {what} needs a matcher that does not match everything.")
    values = {"source": as_rows(list(source)), "target": as_rows(list(target)), "equal": sorted(set(equal))}
    row = InhibitRule.objects.filter(client=client, name=name).first()
    if row is not None and {key: getattr(row, key) for key in values} == values:
        return row
    made = {"created_at": clock.now(), "created_by": actor.name}
    row, _ = InhibitRule.objects.update_or_create(
        client=client, name=name, defaults=values, create_defaults={**values, **made}
    )
    told = {"source": written(source), "target": written(target), "equal": values["equal"]}
    record(actor, "inhibition.declared", f"inhibition/{row.pk}", client.slug, {"name": name, **told})
    look_again(client.slug, clock.now())
    return row


@transaction.atomic
def remove_inhibit_rule(actor: Actor, row: InhibitRule) -> None:
    actor.require(Role.OPERATOR, row.client.slug)
    pk, slug = row.pk, row.client.slug
    row.delete()
    record(actor, "inhibition.removed", f"inhibition/{pk}", slug, {"name": row.name})
    look_again(slug, clock.now())
