"""Names in documents of on-call for what is stored, and back."""

from __future__ import annotations

from typing import Any

from afterlaunch.accounts.models import Client, User
from afterlaunch.app.configuration.document import Spec
from afterlaunch.app.configuration.people import person
from afterlaunch.ground.errors import Invalid
from afterlaunch.notify.channels import live_channels
from afterlaunch.oncall.models import Schedule, Team


def member(where: str, given: Any) -> Any:
    """A person's address, or {team: NAME}."""
    if isinstance(given, dict) and set(given) == {"team"} and isinstance(given["team"], str):
        return given
    if not isinstance(given, str) or "@" not in given:
        raise Invalid(f"{where} is {given!r}.", "Name a person by their e-mail address, or {team: NAME}.")
    return given.lower()


class Names:
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
