"""Documents of on-call: teams, schedules with their overrides to come, escalation policies."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from afterlaunch.accounts.models import Client, User
from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, ZONE, Field, address, instant, list_of, mapping, one_of, whole
from afterlaunch.app.configuration.people import client, person
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid
from afterlaunch.notify.channels import live_channels
from afterlaunch.oncall.actions import checked_layers, edit_schedule, make_schedule, put_team
from afterlaunch.oncall.documents import camel, normal
from afterlaunch.oncall.models import EscalationPolicy, Override, Schedule, SystemPolicy, Team
from afterlaunch.oncall.overrides import add_override, cancel_override
from afterlaunch.oncall.policies import MODES, normal_again, normal_steps, normal_targets
from afterlaunch.oncall.policy_actions import assign_policy, save_policy

_INSTANT = Field("a time with its zone, such as 2026-03-02T18:00:00Z", instant, needed=True)
_OVERRIDE = mapping(
    {
        "type": one_of(("add", "remove", "replace", "cover"), needed=True),
        "person": address(none=True),
        "absent": address(none=True),
        "from": _INSTANT,
        "to": _INSTANT,
    }
)
TARGET_NAMES = {"schedule": "schedule", "person": "person", "team": "team", "channel": "channel"}


def _overrides(value: Any) -> list[Spec]:
    return list_of(_OVERRIDE).take(value)  # type: ignore[no-any-return]


def _member(where: str, given: Any) -> Any:
    """A person's address, or {team: NAME}."""
    if isinstance(given, dict) and set(given) == {"team"} and isinstance(given["team"], str):
        return given
    if not isinstance(given, str) or "@" not in given:
        raise Invalid(f"{where} is {given!r}.", "Name a person by their e-mail address, or {team: NAME}.")
    return given.lower()


def _layers(value: Any) -> list[Spec]:
    """Checked; a zone that is left out is the schedule's, which is known later."""
    given = camel(value)
    made = normal(given, "UTC", _member, "layers")
    for one, raw in zip(made, given, strict=True):
        if not raw.get("timeZone"):
            one["timeZone"] = None
    return made


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
SCHEDULE_FIELDS = {
    "timeZone": ZONE,
    "owner": address(none=True),
    "layers": Field("a list of layers", _layers, needed=True),
    "overrides": Field(list_of(_OVERRIDE).wants, _overrides),
}
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


# -- schedules ------------------------------------------------------------------------------------------------------


class _Names:
    """Names of one client's things for their pks, and back."""

    def __init__(self, of: Client) -> None:
        self._of = of
        self.emails: dict[int, str] = dict(User.objects.values_list("pk", "email"))
        self._teams: dict[int, str] = dict(Team.objects.filter(client=of).values_list("pk", "name"))
        rows = Schedule.objects.filter(client=of, removed_at=None)
        channels = live_channels(of.slug).values_list("pk", "name")
        self._known: dict[str, dict[int, str]] = {
            "schedule": dict(rows.values_list("pk", "name")),
            "team": self._teams,
            "person": self.emails,
            "channel": dict(channels),
        }

    def member_out(self, where: str, token: Any) -> Any:
        if isinstance(token, dict):
            return {"team": self._teams.get(token["team"], "")}
        return self.emails.get(token, "")

    def member_in(self, where: str, token: Any) -> Any:
        if isinstance(token, dict):
            return {"team": self._key("team", self._teams, token["team"])}
        return person(token).pk

    def target_out(self, one: Spec) -> Any:
        kind, key = one["kind"], one.get("id")
        return {kind: self._known[kind].get(key, "")} if key is not None else kind

    def target_in(self, one: Any) -> Spec:
        if isinstance(one, str):
            return {"kind": one}
        ((kind, name),) = one.items()
        if kind == "person":
            return {"kind": kind, "id": person(name).pk}
        return {"kind": kind, "id": self._key(kind, self._known[kind], name)}

    def _key(self, kind: str, known: dict[int, str], name: str) -> int:
        for key, one in known.items():
            if one == name:
                return key
        raise Invalid(f"{self._of} has no {kind} {name!r}.", f"Add a document of kind {kind.capitalize()}.")


def _in_force(row: Schedule) -> list[Spec]:
    """The layers of the newest version, also of one that is still to come."""
    newest = row.versions.order_by("-number").first()
    return newest.layers if newest else []


def _to_come(row: Schedule) -> list[Override]:
    rows = Override.objects.filter(schedule=row, cancelled_at=None, ends_at__gt=clock.now())
    return list(rows.select_related("absent", "person").order_by("pk"))


def _told(row: Override) -> Spec:
    return {
        "type": row.kind,
        "person": row.person.email if row.person else None,
        "absent": row.absent.email if row.absent else None,
        "from": instant(row.starts_at),
        "to": instant(row.ends_at),
    }


def read_schedules() -> list[tuple[Metadata, Spec]]:
    """Overrides that are over, and temporary schedules, are history, not configuration."""
    found = []
    rows = Schedule.objects.filter(removed_at=None).select_related("client", "owner")
    for row in rows.order_by("client__slug", "pk"):
        names = _Names(row.client)
        spec = {
            "timeZone": row.zone,
            "owner": row.owner.email if row.owner else None,
            "layers": normal(_in_force(row), row.zone, names.member_out),
            "overrides": [_told(one) for one in _to_come(row)],
        }
        found.append(({"client": row.client.slug, "name": row.name}, spec))
    return found


def put_schedule(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """A new version only where the layers themselves differ; overrides that are over are passed by."""
    of = client(metadata["client"])
    row = Schedule.objects.filter(client=of, name=metadata["name"], removed_at=None).select_related("client").first()
    zone = spec.get("timeZone") or (row.zone if row else of.time_zone)
    owner = person(spec["owner"]) if spec.get("owner") else None
    layers = normal(spec["layers"], zone, _Names(of).member_in)
    if row is None:
        row = make_schedule(actor, of, metadata["name"], zone, layers, owner)
    elif checked_layers(of, zone, layers) != _in_force(row) or zone != row.zone or owner not in (None, row.owner):
        edit_schedule(actor, row, layers, zone=zone, owner=owner)
    if "overrides" in spec:
        _put_overrides(actor, row, spec["overrides"])


def _put_overrides(actor: Actor, row: Schedule, wanted: list[Spec]) -> None:
    for one in _to_come(row):
        if _told(one) not in wanted:
            cancel_override(actor, row, one.pk)
    there = [_told(one) for one in _to_come(row)]
    for spec in wanted:
        begins, ends = datetime.fromisoformat(spec["from"]), datetime.fromisoformat(spec["to"])
        if spec not in there and ends > clock.now():
            comes = person(spec["person"]) if spec["person"] else None
            goes = person(spec["absent"]) if spec["absent"] else None
            add_override(actor, row, spec["type"], begins, ends, comes, goes)


# -- policies -------------------------------------------------------------------------------------------------------


def read_policies() -> list[tuple[Metadata, Spec]]:
    found = []
    rows = EscalationPolicy.objects.filter(removed_at=None).select_related("client")
    for row in rows.order_by("client__slug", "-default", "name"):
        names = _Names(row.client)
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
    names = _Names(of)
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
