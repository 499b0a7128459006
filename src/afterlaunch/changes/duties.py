"""Roll back by policy, verify from the gateway's telemetry, and record versions that appear by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from afterlaunch.alerts.actions import scope_withdrawn
from afterlaunch.changes.actions import incidents_of, rollback
from afterlaunch.changes.models import Change, ChangeEvent
from afterlaunch.changes.rules import (
    ArmVerdict,
    Decision,
    concentrated_on_candidate,
    contain_automatically,
    rollback_verified,
)
from afterlaunch.estate.models import Version
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.incidents.actions import contained
from afterlaunch.receivers.models import ToldChange
from afterlaunch.telemetry.records import gateway_calls
from afterlaunch.verdicts.models import Verdict

GRACE_SECONDS = 2.0  # real seconds from the flip to the last call that may still have begun before it
POLICY = automation("containment policy")
VERIFIER = automation("rollback verification")


def arm_verdicts(change: Change) -> list[ArmVerdict]:
    """The latest verdicts on the arms of the change's route."""
    route = change.route.name if change.route else ""
    place = {"client": change.system.client.slug, "system": change.system.key, "environment": change.environment}
    rows = Verdict.objects.filter(**place, route=route).exclude(arm="")
    return [ArmVerdict(row.judge, row.arm, row.status, row.severity) for row in rows]


def contain(now: datetime) -> list[tuple[Change, Decision]]:
    """Roll back every candidate whose breach is its own, where the owner allowed it."""
    done = []
    rolling = Change.objects.filter(state="rolling_out", route__isnull=False).exclude(kind="rollback")
    for change in rolling.select_related("system__client", "route"):
        if not change.system.automatic_rollback:
            continue
        fresh = [row for row in arm_verdicts(change) if row.status != "not_assessed"]
        decision = contain_automatically(True, change.share, concentrated_on_candidate(fresh))
        if decision.yes:
            rollback(POLICY, change, _why(decision))
            done.append((change, decision))
    return done


def _why(decision: Decision) -> str:
    judge = decision.reason.rpartition(":")[2]
    return f"Only the candidate is in breach ({judge}); the owner allowed to roll back by itself."


def contain_by_policy(now: datetime) -> None:
    contain(now)


def verify_rollbacks(now: datetime) -> None:
    """A rollback is done when the gateway reports only baseline calls since the flip."""
    waiting = Change.objects.filter(kind="rollback", state="rolling_out").select_related("system__client", "route")
    for change in waiting:
        _verify(change, now)


def _verify(change: Change, now: datetime) -> None:
    if change.route is None or change.started_at is None:
        return
    since = change.started_at + clock.lease(GRACE_SECONDS)
    if since >= now:
        return
    arms = gateway_calls(since, change.system.client.slug, change.route.name)
    decision = rollback_verified(arms.get("baseline", 0), arms.get("candidate", 0))
    said = _said(decision, arms)
    if not decision.yes:
        Change.objects.filter(pk=change.pk).update(verification=said)
        return
    with transaction.atomic():
        won = Change.objects.filter(pk=change.pk, state="rolling_out").update(
            state="complete", finished_at=now, verified_at=now, verification=said
        )
        if won:
            ChangeEvent.objects.create(change=change, at=now, kind="verified", text=said, actor=VERIFIER.name)
            for incident in incidents_of(change):
                contained(VERIFIER, incident, said, {"rollback": change.pk})
            scope_withdrawn(VERIFIER, change.system, change.environment, change.route.name, "candidate", said, now)
            details = {"text": said, "baseline_calls": arms.get("baseline", 0), "candidate_calls": 0}
            record(VERIFIER, "change.verified", f"change/{change.pk}", change.system.client.slug, details)


def _said(decision: Decision, arms: dict[str, int]) -> str:
    if decision.reason == "no_traffic_since":
        return "Not assessed: no call has come through the gateway since the rollback."
    if decision.reason == "candidate_still_served":
        return f"Not yet: the candidate answered {arms['candidate']} calls that began after the rollback."
    return f"Verified: the baseline answered all {arms['baseline']} calls since the rollback, the candidate none."


def note_versions(now: datetime) -> None:
    """A version seen for the first time beside an older one of its component is a change that came by itself."""
    known = Change.objects.filter(version__isnull=False).values_list("version_id", flat=True)
    fresh = Version.objects.exclude(pk__in=known).select_related("component__system__client").order_by("first_seen_at")
    for version in fresh[:200]:
        before = _previous(version)
        _note(version, before.label if before else "")


def _previous(version: Version) -> Version | None:
    others: Sequence[Version] = list(
        Version.objects.filter(
            component=version.component, environment=version.environment, first_seen_at__lt=version.first_seen_at
        )[:1]
    )
    return others[0] if others else None


@transaction.atomic
def _note(version: Version, before: str) -> None:
    component, system = version.component, version.component.system
    if component.kind == "model" and _arrived(version):
        return
    title = (
        f"{component.kind} {component.name}: {before} → {version.label}"
        if before
        else f"{component.kind} {component.name}: {version.label} first seen"
    )
    change, made = Change.objects.get_or_create(
        version=version,
        defaults={
            "system": system,
            "environment": version.environment,
            "kind": "observed",
            "title": title[:300],
            "author": "seen in telemetry",
            "before": {"version": before} if before else {},
            "after": {"version": version.label},
            "state": "observed",
            "proposed_at": version.first_seen_at,
        },
    )
    if made:
        actor = automation("telemetry")
        record(actor, "change.observed", f"change/{change.pk}", system.client.slug, {"title": change.title})


def _arrived(version: Version) -> bool:
    """A version that was proposed here is seen: its change is complete, or says that nobody approved it."""
    waiting = Change.objects.select_for_update().filter(
        system=version.component.system,
        environment=version.environment,
        route=None,
        version=None,
        state__in=("proposed", "approved"),
        after={"model": version.component.name, "version": version.label},
    )
    change = waiting.order_by("pk").first()
    if change is None:
        return False
    approved = change.state == "approved"
    said = "Seen in telemetry." if approved else "Seen in telemetry, though nobody has approved it."
    change.version, change.state = version, "complete" if approved else "observed"
    change.started_at = change.finished_at = version.first_seen_at
    change.save(update_fields=["version", "state", "started_at", "finished_at"])
    actor = automation("telemetry")
    ChangeEvent.objects.create(change=change, at=version.first_seen_at, kind="seen", text=said, actor=actor.name)
    slug = version.component.system.client.slug
    record(actor, "change.seen", f"change/{change.pk}", slug, {"text": said, "version": version.label})
    return True


def note_told_changes(now: datetime) -> None:
    """What other tools told of deploys, prompts, models and indexes is a change that was observed."""
    waiting = ToldChange.objects.filter(noted_at=None).select_related("integration__system__client")
    for told in waiting[:200]:
        _note_told(told, now)


@transaction.atomic
def _note_told(told: ToldChange, now: datetime) -> None:
    if not ToldChange.objects.filter(pk=told.pk, noted_at=None).update(noted_at=now):
        return
    integration = told.integration
    change = Change.objects.create(
        system=integration.system,
        environment=integration.environment,
        kind=_told_kind(told.kind),
        title=told.summary[:300],
        description=_described(told),
        author=told.source[:200] or integration.name,
        before={"version": told.before} if told.before else {},
        after={"version": told.after} if told.after else {},
        state="observed",
        proposed_at=told.at,
    )
    ChangeEvent.objects.create(
        change=change, at=now, kind="told", text=f"Told by {integration.name}.", actor=integration.name
    )
    details = {"title": change.title, "integration": integration.pk}
    record(automation("receivers"), "change.observed", f"change/{change.pk}", change.system.client.slug, details)


TOLD_KINDS = {
    **{kind: kind for kind in ("prompt", "model", "configuration", "deploy", "dependency", "index", "flag", "data")},
    "deployment": "deploy",
    "release": "deploy",
    "config": "configuration",
    "settings": "configuration",
    "package": "dependency",
    "library": "dependency",
    "retrieval index": "index",
    "feature flag": "flag",
    "toggle": "flag",
    "dataset": "data",
}
"""Words of other tools for what changed."""


def _told_kind(word: str) -> str:
    return TOLD_KINDS.get(word.strip().lower().replace("_", " ").replace("-", " "), "observed")


def _described(told: ToldChange) -> str:
    rows = [f"{name}: {value}" for name, value in told.details.items()]
    return "\n".join([*([told.url] if told.url else []), *rows])[:5000]
