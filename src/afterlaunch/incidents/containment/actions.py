"""The containment menu: look first, then act, then undo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.incidents.actions import start_containment
from afterlaunch.incidents.containment.models import ContainmentPolicy, Measure
from afterlaunch.incidents.containment.rows import policy_of
from afterlaunch.incidents.containment.rules import Decision, may_contain
from afterlaunch.incidents.deeds import locked, require_open, tell
from afterlaunch.incidents.kinds import Containment, kind_named
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.runbooks.actions import tick_run
from afterlaunch.incidents.runs import Done, Plan, run_named
from afterlaunch.incidents.timeline import append

LONGEST = 500


@dataclass(frozen=True)
class Dry:
    """A dry run: what would happen, and whether this actor may."""

    item: Containment
    plan: Plan
    cap: int
    decision: Decision


def item_of(incident: Incident, key: str) -> Containment:
    for item in kind_named(incident.kind).containment:
        if key in (item.key, item.run):
            return item
    raise NotFound(f"The menu of this incident has no {key!r}.", "Change the incident's kind for another menu.")


def dry_run(actor: Actor, incident: Incident, key: str, reach: int | None = None, text: str = "") -> Dry:
    """Changes nothing. `reach` and `text`: what a person says of a measure that is done by hand."""
    item = item_of(incident, key)
    if item.run:
        plan = run_named(item.run).plan(actor, incident)
    else:
        plan = Plan(True, text or item.how, reach, item.undo, {"key": item.key})
    cap, _ = policy_of(incident.system.client_id)
    operator = actor.may(Role.OPERATOR, incident.system.client.slug)
    return Dry(item, plan, cap, may_contain(plan.possible, plan.reach, cap, operator, actor.kind == "automation"))


def act(actor: Actor, incident: Incident, key: str, digest: str, reason: str) -> Done:
    """Perform a line of the menu that the product can do, as its dry run told. Raises Conflict when things have moved
    since, NotAllowed above the cap."""
    actor.require(Role.RESPONDER, incident.system.client.slug)
    require_open(incident)
    look = dry_run(actor, incident, key)
    if not look.item.run:
        raise Invalid("This is done by hand.", "Say what you did.")
    if not look.plan.possible:
        raise Conflict(look.plan.text)
    _require(look.decision)
    if digest != look.plan.digest:
        raise Conflict("Things have moved since the dry run.", "Look at the dry run again.")
    done = run_named(look.item.run).perform(actor, incident, reason.strip()[:LONGEST])
    tick_run(actor, incident, look.item.run, done.text)
    return done


def _require(decision: Decision) -> None:
    if decision.yes:
        return
    why = "nobody knows how much traffic it touches" if decision.reason == "reach_unknown" else "it is above the cap"
    raise NotAllowed(f"This takes an operator: {why}.", "Ask an operator to do it, or take a smaller measure.")


@transaction.atomic
def by_hand(actor: Actor, incident: Incident, key: str, text: str, reach: int | None, undo: str = "") -> Measure:
    """A person says what they did outside of the product; it must show recovery like any other measure."""
    if not text.strip():
        raise Invalid("Say what you did.")
    if reach is not None and not 0 <= reach <= 10_000:
        raise Invalid("The share of the traffic lies between 0 and 100 %.")
    fresh = locked(actor, incident)
    require_open(fresh)
    look = dry_run(actor, fresh, key, reach, text.strip())
    if look.item.run:
        raise Invalid("The product does this itself.", "Look at its dry run.")
    _require(look.decision)
    told = {"key": key, "reach": reach, "undo": undo.strip() or look.item.undo}
    start_containment(actor, fresh, f"{look.item.title}: {text.strip()[:2000]}", told)
    return Measure.objects.filter(incident=fresh).latest("pk")


@transaction.atomic
def undo(actor: Actor, incident: Incident, measure: int, reason: str) -> Done:
    """Take a measure back: by the product where it can, else a person says that they did. Twice changes nothing."""
    fresh = locked(actor, incident)
    row = Measure.objects.select_for_update().filter(incident=fresh, pk=measure).first()
    if row is None:
        raise NotFound(f"Incident {fresh.pk} has no measure {measure}.")
    if row.state == "undone":
        return Done("It is undone.")
    if not reason.strip():
        raise Invalid("Undoing it needs a reason.")
    facts: Mapping[str, Any] = {**row.facts, "run": row.run}
    taken = run_named(row.run).undo if row.run else None
    done = taken(actor, fresh, facts) if taken else Done("Undone by hand.")
    row.state, row.settled_at = "undone", clock.now()
    row.save(update_fields=["state", "settled_at"])
    said = f"Undone: {row.text[:200]} ({reason.strip()[:LONGEST]}). {done.text}"
    append(actor, fresh, "containment.undone", said, {"measure": row.pk, "address": done.address})
    tell(actor, fresh, "incident.containment_undone", {"measure": row.pk, "reason": reason.strip()[:200]})
    return done


@transaction.atomic
def put_policy(actor: Actor, client: Client, cap: int, show_minutes: int) -> ContainmentPolicy:
    """`cap` in basis points."""
    actor.require(Role.ADMIN, client.slug)
    if not 0 <= cap <= 10_000:
        raise Invalid("The cap lies between 0 and 100 % of the traffic.")
    if not 1 <= show_minutes <= 24 * 60:
        raise Invalid("A measure must show recovery within 1 minute to 24 hours.")
    values = {"cap": cap, "show_minutes": show_minutes, "changed_at": clock.now(), "changed_by": actor.name}
    row, _ = ContainmentPolicy.objects.update_or_create(client=client, defaults=values)
    record(actor, "containment_policy.put", f"client/{client.slug}", client.slug, {"cap": cap, "minutes": show_minutes})
    return row
