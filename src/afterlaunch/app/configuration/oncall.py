"""Documents of on-call: teams and escalation policies."""

from __future__ import annotations

from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, Field, address, list_of, one_of, whole
from afterlaunch.app.configuration.oncall_names import Names
from afterlaunch.app.configuration.people import client, person
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid
from afterlaunch.oncall.actions import put_team
from afterlaunch.oncall.documents import camel
from afterlaunch.oncall.models import EscalationPolicy, SystemPolicy, Team
from afterlaunch.oncall.policies import MODES, normal_again, normal_steps, normal_targets
from afterlaunch.oncall.policy_actions import assign_policy, save_policy

TARGET_NAMES = {"schedule": "schedule", "person": "person", "team": "team", "channel": "channel"}


def _target(where: str, given: Any) -> Any:
    """{schedule: NAME}, {person: ADDRESS}, {team: NAME}, {channel: NAME}, or a bare schedule or owner."""
    if given in ("schedule", "owner"):
        return given
    if isinstance(given, dict) and len(given) == 1:
        ((kind, name),) = given.items()
        if kind in TARGET_NAMES and isinstance(name, str) and name:
            return {kind: name.lower() if kind == "person" else name}
    hint = "Use schedule, owner, {schedule: NAME}, {person: ADDRESS}, {team: NAME} or {channel: NAME}."
    raise Invalid(f"{where} is {given!r}.", hint)


def _steps(value: Any) -> list[Spec]:
    return normal_steps(camel(value), _target)


TEAM_FIELDS = {"members": list_of(address(needed=True), least=1)}
POLICY_FIELDS = {
    "default": FLAG,
    "steps": Field("a list of steps", _steps, needed=True),
    "repeat": whole(-1, 100),
    "ackMode": one_of(MODES),
    "againAfterMinutes": Field("minutes by severity, such as {P1: 30}", normal_again),
    "catchAll": Field("a list of targets", lambda value: normal_targets("catchAll", _list(value), _target)),
    "systems": list_of(Field("the key of a system", str)),
}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(value)
    return value


# -- teams ----------------------------------------------------------------------------------------------------------


def read_teams() -> list[tuple[Metadata, Spec]]:
    rows = Team.objects.select_related("client").prefetch_related("members").order_by("client__slug", "name")
    return [
        ({"client": row.client.slug, "name": row.name}, {"members": sorted(user.email for user in row.members.all())})
        for row in rows
    ]


def put_team_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    of = client(metadata["client"])
    row = Team.objects.filter(client=of, name=metadata["name"]).first()
    put_team(actor, of, metadata["name"], [person(email) for email in spec["members"]], row)


# -- policies -------------------------------------------------------------------------------------------------------


def read_policies() -> list[tuple[Metadata, Spec]]:
    found = []
    rows = EscalationPolicy.objects.filter(removed_at=None).select_related("client")
    for row in rows.order_by("client__slug", "-default", "name"):
        names = Names(row.client)
        steps = [
            {
                "delay": one["delay"],
                "targets": [names.target_out(target) for target in one["targets"]],
                "conditions": one["conditions"],
            }
            for one in row.steps
        ]
        systems = SystemPolicy.objects.filter(policy=row).order_by("system__key").values_list("system__key", flat=True)
        spec = {
            "default": row.default,
            "steps": _steps(steps),
            "repeat": row.repeat,
            "ackMode": row.ack_mode,
            "againAfterMinutes": row.again,
            "catchAll": normal_targets("catchAll", [names.target_out(one) for one in row.catch_all], _target),
            "systems": list(systems),
        }
        found.append(({"client": row.client.slug, "name": row.name}, spec))
    return found


def put_policy(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    of = client(metadata["client"])
    row = EscalationPolicy.objects.filter(client=of, name=metadata["name"], removed_at=None).first()
    names = Names(of)
    steps = [{**one, "targets": [names.target_in(target) for target in one["targets"]]} for one in spec["steps"]]
    last = [names.target_in(one) for one in spec["catchAll"]] if "catchAll" in spec else row.catch_all if row else None
    made = save_policy(
        actor,
        of,
        metadata["name"],
        steps,
        repeat=spec.get("repeat", row.repeat if row else 1),
        ack_mode=spec.get("ackMode", row.ack_mode if row else "one"),
        again=spec.get("againAfterMinutes", row.again if row else None),
        catch_all=last,
        default=spec.get("default", row.default if row else False),
        row=row,
    )
    if "systems" in spec:
        _put_systems(actor, made, spec["systems"])


def _put_systems(actor: Actor, row: EscalationPolicy, keys: list[str]) -> None:
    for system in System.objects.filter(oncall__policy=row).exclude(key__in=keys):
        assign_policy(actor, system, None)
    for key in keys:
        found = System.objects.filter(client=row.client, key=key).first()
        if found is None:
            raise Invalid(f"{row.client} has no system {key!r}.", "Add a document of kind System.")
        if not SystemPolicy.objects.filter(system=found, policy=row).exists():
            assign_policy(actor, found, row)
