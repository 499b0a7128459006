"""What the page of an incident shows beside its clock and timeline, gathered in a fixed number of questions."""

from __future__ import annotations

from typing import Any

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.incidents import moves
from afterlaunch.incidents.actions import incidents_seen_by
from afterlaunch.incidents.checklist import facts_of, took_of
from afterlaunch.incidents.containment.pages import panel as containment
from afterlaunch.incidents.export import TYPES
from afterlaunch.incidents.kinds import CHOICES
from afterlaunch.incidents.lifecycle import EARLY, Facts, blockers, may_go, needs, needs_review
from afterlaunch.incidents.models import ROLES, Incident
from afterlaunch.incidents.nextstep import Around, Next, next_step
from afterlaunch.incidents.paging import Paging, why_again, words
from afterlaunch.incidents.reviews.models import Review
from afterlaunch.incidents.roles import people_of
from afterlaunch.incidents.rules import STABILITY
from afterlaunch.incidents.runbooks.pages import panel as runbook
from afterlaunch.incidents.updates.pages import panel as updates
from afterlaunch.oncall.models import Escalation

OTHERS, REPEATS = 50, 10
CAME_BACK = ("paged again", "reopened", "acknowledged")


def shown(actor: Actor, incident: Incident) -> dict[str, Any]:
    """Context of the page; the caller has checked that the actor may see the incident."""
    client = incident.system.client.slug
    may, facts = actor.may(Role.RESPONDER, client), facts_of(incident)
    review = Review.objects.filter(incident=incident).first()
    escalation = Escalation.objects.filter(topic=incident.topic).first()
    again = why_again(_paging(incident, escalation), clock.now()) if incident.status == "open" else ""
    context = {
        "may_respond": may,
        "may_operate": actor.may(Role.OPERATOR, client),
        "room": runbook(incident),
        "containment": containment(actor, incident),
        "updates": updates(actor, incident),
        "roles": _roles(actor, incident),
        "people": people_of(client) if may else (),
        "needs": needs(facts),
        "blockers": blockers(facts),
        "needs_review": needs_review(incident.peak_severity),
        "review": review,
        "phases": moves.furthest(incident),
        "may_go": may_go(incident.phase),
        "early": incident.phase in EARLY,
        "kinds": CHOICES,
        "took": took_of(incident),
        "files": incident.files.filter(removed_at=None),
        "forms": list(TYPES),
        "repeats": list(moves.same_cause(actor, incident)[:REPEATS]),
        "causes": moves.known_causes(actor, incident) if may else (),
        "others": _others(actor, incident) if incident.phase in EARLY else (),
    }
    context |= {"escalation": escalation, "escalation_words": words(escalation.reason) if escalation else ""}
    return {**context, "again": again, "next": _next(incident, facts, context, review, again)}


def _paging(incident: Incident, row: Escalation | None) -> Paging:
    """The newest entry that says why it came back counts only while nobody has taken it since."""
    entry = None
    if incident.acknowledged_at is None:
        entry = incident.timeline.filter(kind__in=CAME_BACK).order_by("-pk").first()
    again = entry.text if entry is not None and entry.kind != "acknowledged" else ""
    live, reason = (row.state == "live", row.reason) if row else (False, "")
    return Paging(live, reason, incident.acknowledged_at, incident.acknowledged_by, again)


def _roles(actor: Actor, incident: Incident) -> list[dict[str, Any]]:
    rows = []
    for name, title in ROLES:
        holders = incident.holders(name)
        mine = any(one.person_id == actor.user_id for one in holders) or actor.user_id is None
        rows.append({"name": name, "title": title, "holders": holders, "mine": mine})
    return rows


def _others(actor: Actor, incident: Incident) -> list[Incident]:
    rows = incidents_seen_by(actor).filter(status="open", system__client=incident.system.client_id)
    return list(rows.exclude(pk=incident.pk)[:OTHERS])


def _next(incident: Incident, facts: Facts, context: dict[str, Any], review: Review | None, again: str) -> Next | None:
    rollback = next((look.plan.text for look in context["containment"]["menu"] if look.item.run == "contain"), "")
    possible = any(look.plan.possible and look.item.run == "contain" for look in context["containment"]["menu"])
    step = next((row for row in context["room"]["steps"] if not row["done"]), None)
    around = Around(
        here=f"/incidents/{incident.pk}",
        now=clock.now(),
        rollback=rollback if possible else "",
        step=step["step"].number if step else 0,
        step_text="".join(part.text for part in step["parts"]) if step else "",
        stable_at=incident.recovered_at + STABILITY if incident.recovered_at else None,
        review_state=review.state if review else "",
        again=again,
    )
    return next_step(facts, around)
