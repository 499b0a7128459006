"""The one pipeline: propose, approve, advance, complete, roll back."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.alerts.actions import scope_returned
from afterlaunch.changes.models import Change, ChangeEvent
from afterlaunch.changes.rules import may_approve, next_share
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.incidents.actions import start_containment
from afterlaunch.incidents.models import Incident
from afterlaunch.routes.actions import ArmValues, promote, set_candidate, set_share
from afterlaunch.routes.models import Arm, Route
from afterlaunch.routes.snapshot import current_epoch
from afterlaunch.verdicts.models import Verdict

PIPELINE = automation("rollback")
APPROVED = {"another_person": "Approved by another person than the author.", "pilot": "Approved by its author (pilot)."}


def changes_seen_by(actor: Actor) -> QuerySet[Change]:
    seen = actor.sees()
    rows = Change.objects.select_related("system__client", "route", "parent")
    return rows if seen is None else rows.filter(system__client__slug__in=seen)


def change_by_id(actor: Actor, pk: int) -> Change:
    change = changes_seen_by(actor).filter(pk=pk).first()
    if change is None:
        raise NotFound(f"There is no change {pk}.")
    return change


def _words(arm: Arm | None) -> dict[str, str]:
    if arm is None:
        return {}
    return {"upstream": arm.upstream.name, "model": arm.model, "prompt_version": arm.prompt_version}


def _identity(actor: Actor) -> str:
    return f"{actor.kind}:{actor.user_id or actor.token_id or actor.name}"


def _tell(actor: Actor, change: Change, kind: str, text: str, **details: Any) -> None:
    """Event and evidence of one deed."""
    ChangeEvent.objects.create(change=change, at=clock.now(), kind=kind, text=text, actor=actor.name)
    record(actor, f"change.{kind}", f"change/{change.pk}", change.system.client.slug, {"text": text, **details})


def _locked(actor: Actor, change: Change, role: Role = Role.OPERATOR) -> Change:
    fresh = Change.objects.select_for_update(of=("self",)).select_related("system__client", "route").get(pk=change.pk)
    actor.require(role, fresh.system.client.slug)
    return fresh


def altered(
    route: Route, upstream: str | None = None, model: str | None = None, prompt_version: str | None = None
) -> ArmValues:
    """The baseline's values, but for what is given."""
    arm = route.arm("baseline")
    return ArmValues(
        upstream if upstream is not None else (arm.upstream.name if arm else ""),
        model if model is not None else (arm.model if arm else ""),
        prompt_version if prompt_version is not None else (arm.prompt_version if arm else ""),
    )


@transaction.atomic
def propose(actor: Actor, route: Route, title: str, values: ArmValues, description: str = "") -> Change:
    """Propose other values for a route. Its kind follows from what differs from the baseline."""
    client = route.system.client.slug
    actor.require(Role.OPERATOR, client)
    if not title.strip():
        raise Invalid("A change needs a title.", "Say what changes, in a few words.")
    before = _words(route.arm("baseline"))
    after = {"upstream": values.upstream, "model": values.model, "prompt_version": values.prompt_version}
    differs = [name for name in after if after[name] != before.get(name, "")]
    if not differs:
        raise Invalid("This is what the baseline serves already.", "Change model, upstream or prompt version.")
    kind = {"prompt_version": "prompt", "model": "model", "upstream": "upstream"}[differs[0]]
    change = Change.objects.create(
        system=route.system,
        environment=route.environment,
        route=route,
        kind="configuration" if len(differs) > 1 else kind,
        title=title.strip(),
        description=description,
        author=actor.name,
        author_id_in_kind=_identity(actor),
        before=before,
        after=after,
        state="proposed",
        proposed_at=clock.now(),
    )
    _tell(actor, change, "proposed", change.title, before=before, after=after, route=route.name)
    return change


@transaction.atomic
def propose_version(
    actor: Actor, system: System, environment: str, component: str, label: str, before: str, description: str
) -> Change:
    """Propose a version of a model that no route of ours serves: who puts it in place reads the approval; that it went
    live is seen in telemetry."""
    actor.require(Role.OPERATOR, system.client.slug)
    change = Change.objects.create(
        system=system,
        environment=environment,
        kind="model",
        title=f"model {component}: {before} → {label}"[:300] if before else f"model {component}: {label}"[:300],
        description=description,
        author=actor.name,
        author_id_in_kind=_identity(actor),
        before={"model": component, "version": before} if before else {},
        after={"model": component, "version": label},
        state="proposed",
        proposed_at=clock.now(),
    )
    _tell(actor, change, "proposed", change.title, before=change.before, after=change.after)
    return change


@transaction.atomic
def approve(actor: Actor, change: Change) -> Change:
    """The candidate arm is put in place, at share 0."""
    change = _locked(actor, change)
    if change.state != "proposed":
        raise Conflict(f"Change {change.pk} is {change.state.replace('_', ' ')}, not proposed.")
    decision = may_approve(change.system.posture, change.author_id_in_kind, _identity(actor))
    if not decision.yes:
        raise NotAllowed("In governed production the author never approves alone.", "Ask another operator.")
    if change.route is not None:
        set_candidate(actor, change.route, ArmValues(**change.after), change.pk)
    change.state = "approved"
    change.save(update_fields=["state"])
    _tell(actor, change, "approved", APPROVED[decision.reason])
    return change


@transaction.atomic
def advance(actor: Actor, change: Change) -> Change:
    """To the next stage: 10, 50, 100 %, then complete: the candidate becomes the baseline."""
    change = _locked(actor, change)
    if change.state not in ("approved", "rolling_out") or change.route is None:
        raise Conflict(f"Change {change.pk} is {change.state.replace('_', ' ')}; it can't advance.")
    following = next_share(change.share)
    if following is None:
        promote(actor, change.route, f"change {change.pk} is complete")
        change.state, change.finished_at = "complete", clock.now()
        change.save(update_fields=["state", "finished_at"])
        _tell(actor, change, "completed", "The candidate is the baseline now.")
        return change
    set_share(actor, change.route, following, f"change {change.pk}")
    scope_returned(change.system, change.environment, change.route.name, "candidate")
    change.state, change.share = "rolling_out", following
    change.started_at = change.started_at or clock.now()
    change.save(update_fields=["state", "share", "started_at"])
    _tell(actor, change, "advanced", f"The candidate serves {following / 100:g} %.", share=following)
    return change


@transaction.atomic
def rollback(actor: Actor, change: Change, reason: str) -> Change:
    """Put the last good version back: evidence is frozen first, then the candidate's share is 0 under a new epoch.

    Gateways take the epoch within a second. Returns the rollback, a change of its own; it counts as done only when
    the gateway's telemetry shows it (`duties.verify_rollbacks`). Twice changes nothing more.
    """
    change = _locked(actor, change, Role.RESPONDER)
    done = change.rollbacks.first()
    if done is not None:
        return done
    if change.state not in ("approved", "rolling_out") or change.route is None:
        raise Conflict(f"Change {change.pk} is {change.state.replace('_', ' ')}; there is nothing to roll back.")
    _freeze(actor, change)
    _flip(change)
    now = clock.now()
    change.state, change.finished_at = "rolled_back", now
    change.save(update_fields=["state", "finished_at"])
    back = Change.objects.create(
        system=change.system,
        environment=change.environment,
        route=change.route,
        kind="rollback",
        title=f"Roll back: {change.title}"[:300],
        description=reason,
        author=actor.name,
        author_id_in_kind=_identity(actor),
        before=change.after,
        after=change.before,
        state="rolling_out",
        parent=change,
        proposed_at=now,
        started_at=now,
        epoch=current_epoch(),
    )
    _tell(actor, change, "rolled_back", reason, rollback=back.pk)
    for incident in incidents_of(change):
        details = {"rollback": back.pk, "change": change.pk, "epoch": back.epoch, **_as_measure(change)}
        start_containment(PIPELINE, incident, f"Change {change.pk} was rolled back by {actor.name}: {reason}", details)
    _tell(actor, back, "started", reason, undoes=change.pk, epoch=back.epoch)
    return back


def _as_measure(change: Change) -> dict[str, Any]:
    """How the incident keeps it: the line of its menu, how much traffic it touched, how it is undone."""
    undo = f"Propose change {change.pk} again and let it advance."
    return {"key": "rollback", "run": "contain", "reach": change.share, "undo": undo}


def incidents_of(change: Change) -> QuerySet[Incident]:
    """The open incidents of the change's system and environment."""
    return Incident.objects.filter(system=change.system, environment=change.environment, status="open")


def _flip(change: Change) -> None:
    """Responders may roll back though they may not move shares: the flip is done in the pipeline's own name."""

    if change.route is not None:
        set_share(PIPELINE, change.route, 0, f"rollback of change {change.pk}")


def _freeze(actor: Actor, change: Change) -> None:
    """What was known and in force at the moment of the decision, as a digest in the log."""
    rows = Verdict.objects.filter(client=change.system.client.slug, system=change.system.key)
    state = [
        [
            row.judge,
            row.environment,
            row.route,
            row.arm,
            row.provider,
            row.host,
            row.status,
            row.explanation,
            str(row.since),
        ]
        for row in rows.order_by("pk")
    ]
    frozen = hashlib.sha256(orjson.dumps(state)).hexdigest()
    _tell(
        actor,
        change,
        "frozen",
        f"{len(state)} verdicts and the configuration were frozen before the rollback.",
        verdicts=len(state),
        verdicts_sha256=frozen,
        epoch=current_epoch(),
        share=change.share,
    )


def containable(incident: Incident) -> Change | None:
    """What rolls out where the incident is, its route's change first; None when nothing does."""
    rolling = Change.objects.filter(
        system=incident.system, environment=incident.environment, state__in=("rolling_out", "approved")
    ).exclude(kind="rollback")
    here = rolling.filter(route__name=incident.route) if incident.route else rolling
    return here.first() or rolling.first()


def contain(actor: Actor, incident: Incident, reason: str = "") -> Change:
    """Roll back what `containable` finds. Raises Conflict when nothing is."""
    actor.require(Role.RESPONDER, incident.system.client.slug)
    change = containable(incident)
    if change is None:
        raise Conflict("Nothing is being rolled out here; there is no candidate to take back.", "See Changes.")
    return rollback(actor, change, reason or f"Containment of incident {incident.pk}.")
