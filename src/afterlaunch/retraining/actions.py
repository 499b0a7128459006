"""Policies are put, runs are asked for, approved, told of: permission, row and evidence in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core import signing
from django.db import transaction
from django.db.models import Max, QuerySet

from afterlaunch.changes.actions import altered, propose, propose_version
from afterlaunch.changes.rules import may_approve
from afterlaunch.estate.actions import system_by_id
from afterlaunch.estate.models import Registration, System
from afterlaunch.estate.models import Version as Seen
from afterlaunch.estate.registering import register
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed, NotFound
from afterlaunch.ground.redaction import masked
from afterlaunch.ground.settings import settings
from afterlaunch.retraining import results
from afterlaunch.retraining.definition import Values, read, references, written
from afterlaunch.retraining.models import IN_FLIGHT, Policy, Run
from afterlaunch.retraining.pipelines.words import FAILED, RUNNING, SUCCEEDED
from afterlaunch.retraining.rules import Decision
from afterlaunch.routes.actions import route_by_name
from afterlaunch.routes.models import Route

ENGINE = automation("retraining")
SALT = "retraining callback"
TOKEN = timedelta(days=40)  # so long may a run tell of itself
MOST = 200  # policies of a system
TOLD = (RUNNING, SUCCEEDED, FAILED)


def policies_of(system: System) -> QuerySet[Policy]:
    return Policy.objects.select_related("system__client").filter(system=system, ended_at=None)


def policy_by_name(actor: Actor, pk: int, name: str) -> Policy:
    row = policies_of(system_by_id(actor, pk)).filter(name=name).first()
    if row is None:
        raise NotFound("There is no such retraining policy.", "See the system's page of retraining.")
    return row


def run_by_number(policy: Policy, number: int) -> Run:
    row = Run.objects.select_related("policy__system__client").filter(policy=policy, number=number).first()
    if row is None:
        raise NotFound(f"There is no run {number}.")
    return row


@transaction.atomic
def put_policy(actor: Actor, system: System, name: str, spec: Any) -> Policy:
    """Secrets, commands and private addresses take an administrator of the house: the server reads the ones, runs the
    others and reaches the third for them."""
    slug = system.client.slug
    actor.require(Role.OPERATOR, slug)
    if not name.strip() or len(name) > 200 or not name.isprintable() or "/" in name:
        raise Invalid("A policy is called as the model that it trains: 1 to 200 characters, no slash.")
    values = read(spec)
    if values.route:
        _require_route(actor, system, values.route)
    System.objects.select_for_update().get(pk=system.pk)
    known = Policy.objects.filter(system=system, name=name).first()
    kept, now = written(values), clock.now()
    if known is not None and known.ended_at is None and known.spec == kept:
        return known
    trusted = _trusted(actor, known, values)
    if known is None and policies_of(system).count() >= MOST:
        raise Invalid(f"A system may have {MOST} retraining policies.")
    row = known or Policy(system=system, name=name, made_at=now)
    begins_anew = known is None or known.ended_at is not None or known.values.cron != values.cron
    row.spec, row.trusted, row.made_by, row.ended_at = kept, trusted, actor.name[:200], None
    row.scheduled_at = now if begins_anew else row.scheduled_at
    row.save()
    told = {"name": name, "trusted": trusted, "pipeline": values.pipeline["kind"], "approval": values.approval}
    record(actor, "retraining_policy.put", f"retraining_policy/{row.pk}", slug, told)
    return row


def _require_route(actor: Actor, system: System, name: str) -> Route:
    route = route_by_name(actor, name)
    if route.system_id != system.pk:
        raise Invalid(f"{name} is a route of another system.")
    return route


def _trusted(actor: Actor, known: Policy | None, values: Values) -> bool:
    if actor.may(Role.ADMIN, None):
        return True
    before = known.values if known is not None else None
    same = before is not None and (before.pipeline, before.registry) == (values.pipeline, values.registry)
    needs = references(values) or values.pipeline["kind"] == "command" or (known is not None and known.trusted)
    if needs and not same:
        raise NotAllowed(
            "A pipeline's secrets, its command and its address take an administrator of the house.",
            "Ask one; schedule, triggers, budget and approval may be altered without.",
        )
    return known is not None and known.trusted


@transaction.atomic
def end_policy(actor: Actor, policy: Policy) -> None:
    """What runs is followed to its end."""
    slug = policy.system.client.slug
    actor.require(Role.OPERATOR, slug)
    if not Policy.objects.filter(pk=policy.pk, ended_at=None).update(ended_at=clock.now()):
        raise Conflict("It has ended already.")
    record(actor, "retraining_policy.ended", f"retraining_policy/{policy.pk}", slug, {"name": policy.name})


def note(policy: Policy, occasion: str, trigger: str, why: str, author: Actor, decision: Decision) -> Run:
    """A new occasion, decided. Within a transaction that holds the policy's row."""
    now, values = clock.now(), policy.values
    number = (Run.objects.filter(policy=policy).aggregate(most=Max("number"))["most"] or 0) + 1
    run = Run(
        policy=policy, number=number, occasion=occasion, trigger=trigger, why=why, author=author.name[:200],
        author_identity=identity(author), key=secrets.token_hex(12), pipeline=dict(values.pipeline), noticed_at=now,
        cost=values.cost, cut_off=now,
    )  # fmt: skip
    return settle(author, run, decision)


def settle(actor: Actor, run: Run, decision: Decision) -> Run:
    """What is decided of an occasion stands in its row; what was decided before and is the same is not told again."""
    now = clock.now()
    if (run.state, run.reason) == (decision.state, decision.reason):
        Run.objects.filter(pk=run.pk).update(reason_why=decision.why)
        return run
    run.state, run.reason, run.reason_why, run.decided_at = decision.state, decision.reason, decision.why, now
    if decision.state == "queued":
        run.due_at, run.cut_off, run.pipeline = now, now, dict(run.policy.values.pipeline)
    run.save()
    _tell(actor, run, decision.state, reason=decision.reason)
    return run


def identity(actor: Actor) -> str:
    return f"{actor.kind}:{actor.user_id or actor.token_id or actor.name}"


def _tell(actor: Actor, run: Run, deed: str, **details: Any) -> None:
    policy = run.policy
    told = {"policy": policy.name, "run": run.number, "trigger": run.trigger, **details}
    record(actor, f"retraining.{deed}", f"retraining_run/{run.pk}", policy.system.client.slug, told)


def tell_started(run: Run) -> None:
    """Within the transaction that says so in the row."""
    _tell(ENGINE, run, "started", key=run.key)


@transaction.atomic
def approve(actor: Actor, run: Run) -> Run:
    """In governed production who asked for it never approves it alone."""
    run = _locked(run)
    actor.require(Role.OPERATOR, run.policy.system.client.slug)
    if run.state != "waiting":
        raise Conflict(f"Run {run.number} is {run.get_state_display().lower()}; it does not wait for approval.")
    if run.policy.ended_at is not None:
        raise Conflict("Its policy has ended.")
    decision = may_approve(run.policy.system.posture, run.author_identity, identity(actor))
    if not decision.yes:
        raise NotAllowed("In governed production who asked for a run never approves it alone.", "Ask another operator.")
    run.approved_by = actor.name[:200]
    return settle(actor, run, Decision("queued", "approved", f"Approved by {actor.name}."))


@transaction.atomic
def decline(actor: Actor, run: Run) -> Run:
    run = _locked(run)
    actor.require(Role.OPERATOR, run.policy.system.client.slug)
    if run.state != "waiting":
        raise Conflict(f"Run {run.number} does not wait for approval.")
    run.ended_at = clock.now()
    return settle(actor, run, Decision("declined", "declined", f"Declined by {actor.name}."))


def _locked(run: Run) -> Run:
    rows = Run.objects.select_for_update(of=("self",)).select_related("policy__system__client")
    return rows.get(pk=run.pk)


def callback_of(run: Run) -> str:
    """The address at which the pipeline tells of this run alone; the address itself is the right to."""
    return f"{settings().public_url}/hooks/retraining/{signing.dumps(run.key, salt=SALT)}"


def run_of_callback(token: str) -> Run:
    try:
        key = signing.loads(token, salt=SALT, max_age=TOKEN)
    except signing.BadSignature:
        raise NotFound("This address tells of no run, or of one that is long over.") from None
    run = Run.objects.select_related("policy__system__client").filter(key=key).first()
    if run is None:
        raise NotFound("This address tells of no run.")
    return run


def told(
    run: Run,
    state: str,
    message: str,
    external: str,
    address: str,
    result: Mapping[str, Any] | None,
    by_itself: bool = False,
) -> Run:
    """What a pipeline says of its run; `by_itself`: in its callback. Told twice it changes nothing; a run that ended
    stays as it ended. Where a registry knows the models, success without a version ends when it knows this one."""
    if state not in TOLD:
        raise Invalid(f"status is one of {', '.join(TOLD)}.")
    if address and not address.startswith(("https://", "http://")):
        raise Invalid("url is a web address.")
    found = results.checked(result)
    with transaction.atomic():
        run = _locked(run)
        if run.state in (SUCCEEDED, FAILED):
            if run.state == state:
                return run
            raise Conflict(f"Run {run.number} has {run.state} already.")
        if run.state not in ("starting", RUNNING, "queued"):
            raise Conflict(f"Run {run.number} was not started.")
        if by_itself and run.result is not None and state != SUCCEEDED:
            raise Conflict(f"Run {run.number} has succeeded already.")
        now = clock.now()
        run.started_at = run.started_at or now
        run.message, run.external = masked(message)[:2_000] or run.message, external[:300] or run.external
        run.address = address[:1_000] or run.address
        if state == RUNNING:
            run.state = RUNNING
            run.save()
            return run
        if by_itself and state == SUCCEEDED and run.policy.values.registry and not found.get("version"):
            run.state, run.result, run.due_at = RUNNING, dict(found), now
            run.save()
            return run
        return _ended(run, state, found)


def _ended(run: Run, state: str, found: Mapping[str, Any]) -> Run:
    run.state, run.ended_at, run.due_at = state, clock.now(), None
    run.save()
    if state == SUCCEEDED:
        _register(run, found)
    details = {"version": run.registration.label} if run.registration else {}
    _tell(ENGINE, run, state, **details, change=run.change_id)
    return run


def _register(run: Run, found: Mapping[str, Any]) -> None:
    """A version with its lineage, and a proposed change for it. Nothing goes live by itself."""
    policy, values = run.policy, run.policy.values
    label = found.get("version") or f"{policy.name}-{run.key[:8]}"
    source = f"retraining run {run.number}" + (f", {found['run']}" if found.get("run") else "")
    address = found.get("address") or ""
    lineage = dict(found)
    lineage["code"] = found.get("code") or {"pipeline": {k: v for k, v in run.pipeline.items() if k in PUBLIC}}
    try:
        run.registration = register(ENGINE, policy.system, "model", policy.name, label, source, address, lineage)
    except Conflict as problem:
        run.message = f"{run.message} {problem.message}".strip()
        run.save(update_fields=["message"])
        return
    run.change = _proposed(run, values, label)
    run.save(update_fields=["registration", "change"])


PUBLIC = ("kind", "repository", "workflow", "ref", "project", "dag")


def _proposed(run: Run, values: Values, label: str) -> Any:
    policy = run.policy
    why = f"Trained again by run {run.number} ({run.trigger}): {run.why}"
    route = Route.objects.filter(name=values.route, system=policy.system).first() if values.route else None
    if route is not None:
        asked = altered(route, model=label)
        return propose(ENGINE, route, f"model {policy.name}: {label}", asked, why)
    seen = Seen.objects.filter(component__system=policy.system, component__kind="model", component__name=policy.name)
    before = seen.filter(environment=values.environment).order_by("-last_seen_at", "-pk").first()
    return propose_version(
        ENGINE, policy.system, values.environment, policy.name, label, before.label if before else "", why
    )


def registrations_of(system: System) -> QuerySet[Registration]:
    return Registration.objects.select_related("component").filter(component__system=system)


def in_flight(policy: Policy) -> int:
    return Run.objects.filter(policy=policy, state__in=IN_FLIGHT).count()
