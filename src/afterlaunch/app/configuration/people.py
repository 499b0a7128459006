"""Documents of people: who they are, what they may do, how they are reached."""

from __future__ import annotations

from typing import Any

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.accounts.people import put_client, put_person
from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import TEXT, ZONE, Field, list_of, mapping, one_of
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.references import REFERENCE, dereferenced
from afterlaunch.notify.actions import add_contact, remove_contact
from afterlaunch.notify.kinds import kinds
from afterlaunch.notify.models import ContactMethod

CLIENT_FIELDS = {"displayName": TEXT, "timeZone": ZONE}
_ROLE = mapping({"role": one_of([role.value for role in Role], needed=True), "client": Field("text", lambda v: v)})


def _roles(value: Any) -> list[Spec]:
    return sorted(list_of(_ROLE).take(value), key=str)


PERSON_FIELDS = {
    "displayName": TEXT,
    "timeZone": Field(ZONE.wants, lambda value: ZONE.take(value) if value else ""),
    "roles": Field(list_of(_ROLE).wants, _roles),
}


def person(email: str | None) -> User:
    user = User.objects.filter(email=(email or "").lower()).first()
    if user is None:
        raise Invalid(f"There is no person {email!r}.", "Add a document of kind Person.")
    return user


def client(slug: str) -> Client:
    found = Client.objects.filter(slug=slug).first()
    if found is None:
        raise Invalid(f"There is no client {slug!r}.", "Add a document of kind Client.")
    return found


def read_clients() -> list[tuple[Metadata, Spec]]:
    return [
        ({"name": row.slug}, {"displayName": row.name, "timeZone": row.time_zone})
        for row in Client.objects.order_by("slug")
    ]


def put_client_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    known = Client.objects.filter(slug=metadata["name"]).first()
    name = spec.get("displayName", known.name if known else metadata["name"])
    put_client(actor, metadata["name"], name, spec.get("timeZone", known.time_zone if known else "UTC"))


def read_people() -> list[tuple[Metadata, Spec]]:
    grants: dict[int, list[Grant]] = {}
    for grant in Grant.objects.select_related("client"):
        grants.setdefault(grant.user_id, []).append(grant)
    return [({"name": user.email}, _person_spec(user, grants.get(user.pk, []))) for user in _active()]


def _active() -> list[User]:
    return list(User.objects.filter(is_active=True).order_by("email"))


def _person_spec(user: User, grants: list[Grant]) -> Spec:
    held: list[Spec] = [{"role": g.role, "client": g.client.slug if g.client else None} for g in grants]
    return {"displayName": user.name, "timeZone": user.time_zone, "roles": sorted(held, key=str)}


def put_person_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """What a document leaves out stays as it is."""
    user = User.objects.filter(email=metadata["name"].lower()).first()
    before = _person_spec(user, list(Grant.objects.filter(user=user).select_related("client"))) if user else {}
    spec = {"displayName": "", "timeZone": "", "roles": [], **before, **spec}
    held = [Held(Role(row["role"]), row["client"]) for row in spec["roles"]]
    put_person(actor, metadata["name"], spec["displayName"], held, spec["timeZone"])


# -- how they are reached ----------------------------------------------------------------------------------------

METHOD = mapping(
    {
        "kind": Field("the name of a kind of notification", lambda value: _kind(value), needed=True),
        "address": Field("an address, or env:NAME or file:/path of one that is secret", TEXT.take, needed=True),
        "verified": Field("true or false", lambda value: True if value is None else bool(value)),
    }
)
CONTACTS_FIELDS = {"methods": list_of(METHOD)}
PUBLIC = "email"  # the only kind whose address is no secret


def _kind(value: Any) -> str:
    if value not in kinds():
        raise ValueError(value)
    return str(value)


def _methods(user: User) -> list[ContactMethod]:
    """Those that a document can name: whose address is no secret, or came from a reference."""
    rows = ContactMethod.objects.filter(user=user, removed_at=None)
    return [row for row in rows if row.kind == PUBLIC or row.reference]


def left_out() -> int:
    """Contact methods that no document can name, because their address is a secret and nobody said where it lies."""
    return ContactMethod.objects.filter(removed_at=None, reference="").exclude(kind=PUBLIC).count()


def _told(row: ContactMethod) -> Spec:
    return {"kind": row.kind, "address": row.reference or row.address, "verified": row.verified_at is not None}


def read_contacts() -> list[tuple[Metadata, Spec]]:
    found = [(user, _methods(user)) for user in _active()]
    return [({"person": user.email}, {"methods": [_told(row) for row in rows]}) for user, rows in found if rows]


def put_contacts(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """The list is the whole list: what it does not name is removed, and its order is the order of trying."""
    user, wanted = person(metadata["person"]), spec.get("methods", [])
    keep = {(one["kind"], one["address"]) for one in wanted}
    for row in _methods(user):
        if (row.kind, row.reference or row.address) not in keep:
            remove_contact(actor, row)
    for position, one in enumerate(wanted):
        given = one["address"]
        secret = one["kind"] != PUBLIC
        if secret and not REFERENCE.fullmatch(given):
            raise Invalid(
                f"methods[{position}].address: the address of a {one['kind']} is a secret.",
                "Use env:NAME or file:/path.",
            )
        row = add_contact(actor, user, one["kind"], dereferenced(given, "apply") if secret else given, one["verified"])
        row.position, row.reference = position, given if secret else ""
        row.save(update_fields=["position", "reference"])
