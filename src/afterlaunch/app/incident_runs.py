"""What a runbook's step or the containment menu can perform, by name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from afterlaunch.alerts.silences import silence
from afterlaunch.changes import actions as changes
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Conflict
from afterlaunch.incidents.actions import acknowledge
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.runs import Done, Plan, Run
from afterlaunch.labels import containing, decisions
from afterlaunch.routes.actions import ArmValues

SILENCE = timedelta(hours=1)


def _take(actor: Actor, incident: Incident) -> Plan:
    if incident.acknowledged_at is not None:
        return Plan(True, f"{incident.acknowledged_by} has taken it already; nothing would change.")
    return Plan(True, "Paging stops, the response clock is met, and you have it.")


def _taken(actor: Actor, incident: Incident, reason: str) -> Done:
    acknowledge(actor, incident, " from the runbook")
    return Done("Acknowledged.")


def _last_good(actor: Actor, incident: Incident) -> Plan:
    change = changes.containable(incident)
    if change is None or change.route is None:
        return Plan(False, "Nothing rolls out here, so there is no version to put back.")
    return Plan(
        True,
        f"Change {change.pk} ({change.title}) would be rolled back: route {change.route.name} answers from its baseline"
        " only. The evidence is frozen first.",
        change.share,
        "Proposes the same change again; it must be approved and advanced like any other.",
        {"change": change.pk, "state": change.state, "share": change.share},
    )


def _put_back(actor: Actor, incident: Incident, reason: str) -> Done:
    back = changes.contain(actor, incident, reason)
    return Done(f"{back.title}.", back.get_absolute_url(), {"rollback": back.pk})


def _propose_again(actor: Actor, incident: Incident, facts: Mapping[str, Any]) -> Done:
    back = changes.change_by_id(actor, int(facts["rollback"]))
    if back.parent is None or back.route is None:
        raise Conflict("The change that was rolled back is gone.", "Propose it anew under Changes.")
    values, title = ArmValues(**back.parent.after), f"Again: {back.parent.title}"
    again = changes.propose(actor, back.route, title[:300], values, f"Undoes the rollback {back.pk}.")
    return Done(f"Proposed again as change {again.pk}.", again.get_absolute_url())


def _quiet(actor: Actor, incident: Incident) -> Plan:
    return Plan(True, f"Alerts of {incident.system} raise nothing for an hour. They are still recorded.")


def _silenced(actor: Actor, incident: Incident, reason: str) -> Done:
    until = clock.now() + SILENCE
    silence(actor, incident.system, until, f"Incident {incident.pk}", environment=incident.environment)
    return Done(f"Silenced until {until:%H:%M} UTC.", f"/silences?system={incident.system_id}")


def _form(actor: Actor, incident: Incident) -> Plan:
    return Plan(True, "Opens the form of an update.")


def _to_the_form(actor: Actor, incident: Incident, reason: str) -> Done:
    return Done("Opened the form.", f"/incidents/{incident.pk}#updates")


def _suspects(actor: Actor, incident: Incident) -> Plan:
    named = containing.named_in(incident.system, incident.environment)
    if not named:
        return Plan(False, "No breach names one source of labels alone.")
    names = ", ".join(one.name for one in named)
    said = f"Labels of {names} would be set aside: kept, shown, no longer counted. What rests on them is judged anew."
    return Plan(True, said, 0, f"Counts the labels of {names} again.", {"sources": [one.pk for one in named]})


def _set_aside(actor: Actor, incident: Incident, reason: str) -> Done:
    named = containing.named_in(incident.system, incident.environment)
    for one in named:
        containing.stop_for(actor, incident, one, reason or f"Incident {incident.pk}")
    names = ", ".join(one.name for one in named)
    facts = {"sources": [one.pk for one in named]}
    return Done(f"Labels of {names} are set aside.", f"/systems/{incident.system_id}/performance#sources", facts)


def _count_again(actor: Actor, incident: Incident, facts: Mapping[str, Any]) -> Done:
    for pk in facts["sources"]:
        decisions.resume(actor, incident.system, int(pk))
    return Done("Its labels count again.", f"/systems/{incident.system_id}/performance#sources")


RUNS: tuple[Run, ...] = (
    Run("acknowledge", "I take it", _take, _taken),
    Run("contain", "Put the last good version back", _last_good, _put_back, _propose_again, contains=True),
    Run(containing.RUN, "Stop learning from a source", _suspects, _set_aside, _count_again, contains=True),
    Run("silence", "Silence for an hour", _quiet, _silenced),
    Run("update", "Write an update", _form, _to_the_form),
)
