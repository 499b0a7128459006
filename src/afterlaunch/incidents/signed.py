"""Acknowledging by the signed link of a page: it works without signing in, once."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from afterlaunch.accounts.actions import actor_of_user
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.errors import Conflict, NotFound
from afterlaunch.incidents.actions import acknowledge
from afterlaunch.incidents.models import Incident
from afterlaunch.notify import links
from afterlaunch.notify.models import Page
from afterlaunch.notify.outbox import use_link
from afterlaunch.oncall import escalation


@dataclass(frozen=True)
class Opened:
    """A good link: its page and incident. `usable` is a named reason: "yes", "used", "expired", "ended",
    "acknowledged"."""

    page: Page
    incident: Incident
    usable: str


def open_link(token: str) -> Opened:
    """What a token leads to. NotFound for everything that we did not sign, with one and the same text."""
    link = links.read(token)
    page = Page.objects.select_related("person").filter(pk=link.page).first() if link else None
    kind, _, number = link.topic.partition("/") if link else ("", "", "")
    right = page is not None and link is not None and page.nonce == link.nonce and page.person_id == link.person
    if not right or page is None or link is None or link.action != "acknowledge" or kind != "incident":
        raise NotFound("This link is not valid.", "Open the incident's page instead.")
    rows = Incident.objects.select_related("system__client", "survivor__system__client")
    incident = rows.filter(pk=int(number)).first()
    if incident is not None and incident.survivor is not None:
        incident = incident.survivor  # its pages moved there
    if incident is None:
        raise NotFound("This link is not valid.", "Open the incident's page instead.")
    return Opened(page, incident, _usable(page, incident))


def _usable(page: Page, incident: Incident) -> str:
    if page.link_used_at is not None:
        return "used"
    if incident.status != "open":
        return "ended"
    if incident.acknowledged_at is not None and not escalation.is_live(incident.topic):
        return "acknowledged"
    return "expired" if clock.now() >= page.link_expires_at else "yes"


@transaction.atomic
def acknowledge_by_link(token: str, address: str, user_agent: str) -> Incident:
    """Consume the link and acknowledge, in one transaction; of two at once exactly one acts. Raises Conflict."""
    opened = open_link(token)
    if opened.usable != "yes" or not use_link(opened.page, clock.now()):
        raise Conflict("This link has done its work or has ended.", "Open the incident's page instead.")
    person = opened.page.person
    if person is None:
        raise Conflict("This link belongs to nobody.", "Open the incident's page instead.")
    actor = actor_of_user(person)
    incident = acknowledge(actor, opened.incident, " by the link of a page")
    details = {"page": opened.page.pk, "address": address[:60], "user_agent": user_agent[:200]}
    record(actor, "page.link_used", incident.topic, incident.system.client.slug, details)
    return incident
