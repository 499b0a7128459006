"""A person moves an incident on, writes down what was found, and closes it."""

from __future__ import annotations

import re

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import User
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Conflict, Invalid
from afterlaunch.incidents import roles
from afterlaunch.incidents.actions import incidents_seen_by, skip
from afterlaunch.incidents.checklist import facts_of
from afterlaunch.incidents.deeds import locked, require_open, tell
from afterlaunch.incidents.lifecycle import WORKING, blockers, may_move
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.timeline import append, head

STORY = {"impact": "Impact", "cause": "Probable cause", "fix": "What mended it"}
LONGEST = 5000


@transaction.atomic
def move(actor: Actor, incident: Incident, to: str, reason: str = "") -> Incident:
    """To another working phase. Raises Conflict with what to do instead."""
    fresh = locked(actor, incident)
    require_open(fresh)
    going = may_move(fresh.phase, to, reason, machine=actor.kind == "automation")
    if not going.yes:
        raise Conflict(f"It can't go from {fresh.phase} to {to}.", going.hint)
    if fresh.phase == "triage" and fresh.severity == "P1" and roles.who(fresh, "commander") is None:
        _command(actor, fresh)
    before, now = fresh.phase, clock.now()
    fresh.phase = to
    skip(fresh, going.skipped, reason)
    if to == "diagnosis":
        fresh.skipped = [one for one in fresh.skipped if one["phase"] != "diagnosis"]
    if to == "containment":
        fresh.containment_started_at = fresh.containment_started_at or now
    fresh.save(update_fields=["phase", "skipped", "containment_started_at"])
    said = f"{before.capitalize()} → {to}" + (f": {reason.strip()}" if reason.strip() else ".")
    if going.skipped:
        said += f" Skipped: {', '.join(going.skipped)}."
    append(actor, fresh, "phase", said, {"before": before, "after": to, "skipped": list(going.skipped)})
    tell(actor, fresh, "incident.moved", {"before": before, "after": to, "reason": reason.strip()[:200]})
    return fresh


def _command(actor: Actor, fresh: Incident) -> None:
    """A P1 leaves triage with a commander: whoever moves it, when nobody else is."""
    if actor.user_id is None:
        raise Conflict("A P1 needs a commander before it leaves triage.", "Assign one.")
    roles.give(actor, fresh, "commander", User.objects.get(pk=actor.user_id))


def cause_key_of(words: str) -> str:
    """The words by which repeats of one cause are found: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:80]


@transaction.atomic
def write_story(actor: Actor, incident: Incident, cause_key: str | None = None, **texts: str) -> Incident:
    """Impact, probable cause, what mended it: what is given and differs is kept, and stands in the timeline. A cause
    that is named after diagnosis was passed over settles that task."""
    fresh = locked(actor, incident)
    unknown = set(texts) - set(STORY)
    if unknown:
        raise Invalid(f"There is nothing to write named {', '.join(sorted(unknown))}.", ", ".join(STORY))
    changed = {name: text.strip()[:LONGEST] for name, text in texts.items() if text.strip() != getattr(fresh, name)}
    for name, text in changed.items():
        setattr(fresh, name, text)
        append(actor, fresh, name, f"{STORY[name]}: {text}" if text else f"{STORY[name]} was taken back.")
    if "cause" in changed:
        fresh.cause_at = clock.now() if changed["cause"] else None
    key = cause_key_of(cause_key) if cause_key is not None else fresh.cause_key
    if key != fresh.cause_key:
        fresh.cause_key = key
        append(actor, fresh, "cause", f"It counts as the cause “{key}”." if key else "It counts as no known cause.")
    fresh.save(update_fields=[*STORY, "cause_at", "cause_key"])
    if changed or cause_key is not None:
        tell(actor, fresh, "incident.story_written", {"what": ", ".join(changed) or "cause key", "cause_key": key})
    return fresh


@transaction.atomic
def close(actor: Actor, incident: Incident) -> Incident:
    """The end. Raises Conflict while something that blocks it is open; twice changes nothing."""
    fresh = locked(actor, incident)
    if fresh.phase == "closed":
        return fresh
    if fresh.status == "open":
        raise Conflict("It is open.", "Resolve it first.")
    lacking = blockers(facts_of(fresh))
    if lacking:
        raise Conflict("It can't be closed yet: " + "; ".join(need.text.lower() for need in lacking) + ".")
    fresh.phase, fresh.closed_at = "closed", clock.now()
    fresh.save(update_fields=["phase", "closed_at"])
    append(actor, fresh, "closed", "Closed: nothing is left to do.")
    tell(actor, fresh, "incident.closed", {"timeline_head": head(fresh)})
    return fresh


def same_cause(actor: Actor, incident: Incident) -> QuerySet[Incident]:
    """Other incidents of the client with the same cause, the newest first."""
    rows = incidents_seen_by(actor).filter(system__client=incident.system.client_id, cause_key=incident.cause_key)
    return rows.exclude(pk=incident.pk).exclude(cause_key="").exclude(outcome="false_alarm")


def known_causes(actor: Actor, incident: Incident) -> list[str]:
    """Causes that the client's incidents had, for choosing the same words again."""
    rows = incidents_seen_by(actor).filter(system__client=incident.system.client_id).exclude(cause_key="")
    return sorted(set(rows.order_by().values_list("cause_key", flat=True).distinct()))


def furthest(incident: Incident) -> list[dict[str, str]]:
    """The working phases with a word for each: done, now, skipped or to come."""
    passed_over = {one["phase"] for one in incident.skipped}
    if incident.phase not in WORKING:
        return [{"phase": one, "state": "skipped" if one in passed_over else "done"} for one in WORKING]
    here = WORKING.index(incident.phase)
    states = []
    for place, one in enumerate(WORKING):
        state = "now" if place == here else "to come" if place > here else "done"
        states.append({"phase": one, "state": "skipped" if one in passed_over and place < here else state})
    return states
