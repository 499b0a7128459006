"""A person's rules in the database: their own to set, or an administrator's for them."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from afterlaunch.accounts.models import User
from afterlaunch.calendars.windows import read_window
from afterlaunch.evidence.log import record
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.settings import settings
from afterlaunch.notify.models import ContactMethod, NotificationRules, Page
from afterlaunch.notify.preferences import Planned, Rules, Step, checked, planned


def rules_of(user: User) -> Rules:
    """Without any of their own: the first method at once, no quiet hours."""
    zone = user.time_zone or settings().text("TIME_ZONE")
    row = NotificationRules.objects.filter(user=user).first()
    if row is None:
        return Rules(zone=zone)
    return Rules(
        urgent=tuple(Step(contact, delay) for contact, delay in row.urgent),
        normal=tuple(Step(contact, delay) for contact, delay in row.normal),
        quiet=tuple(read_window(one) for one in row.quiet),
        collect=row.collect,
        zone=zone,
    )


def plan_for(user: User, contacts: list[ContactMethod], purpose: str, severity: str, now: datetime) -> list[Planned]:
    """When each method is due. What is being collected already for a method is joined, not begun anew."""
    rules = rules_of(user)
    found = planned(rules, purpose, severity, [one.pk for one in contacts], now)
    if not rules.collect:
        return found
    waiting = Page.objects.filter(person=user, state="pending", held__startswith="collected", due_at__gte=now)
    sooner: dict[int, datetime] = {}
    for contact, due in waiting.order_by("-due_at").values_list("contact_id", "due_at"):
        sooner[contact or 0] = due
    return [
        Planned(one.contact, min(one.due, sooner[one.contact]), one.held)
        if one.held.startswith("collected") and one.contact in sooner
        else one
        for one in found
    ]


@transaction.atomic
def set_rules(actor: Actor, user: User, rules: Rules) -> NotificationRules:
    """Raises Invalid."""
    if actor.user_id != user.pk:
        actor.require(Role.ADMIN, None)
    known = ContactMethod.objects.filter(user=user, removed_at=None).values_list("pk", flat=True)
    checked(rules, list(known))
    row, _ = NotificationRules.objects.update_or_create(
        user=user,
        defaults={
            "urgent": [[one.contact, one.delay] for one in rules.urgent],
            "normal": [[one.contact, one.delay] for one in rules.normal],
            "quiet": [one.document() for one in rules.quiet],
            "collect": rules.collect,
        },
    )
    details = {"person": user.pk, "urgent": row.urgent, "normal": row.normal, "collect": row.collect}
    record(actor, "contact.rules_set", f"person/{user.pk}", None, {**details, "quiet": row.quiet})
    return row
