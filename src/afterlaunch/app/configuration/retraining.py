"""Documents of retraining policies: what is to be trained again, when, and by whose pipeline."""

from __future__ import annotations

from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import Field
from afterlaunch.app.configuration.people import client
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import NotFound
from afterlaunch.retraining.actions import put_policy
from afterlaunch.retraining.definition import SPEC
from afterlaunch.retraining.models import Policy


def _as_it_is(value: Any) -> Any:
    """What is wrong with it is said by the whole policy."""
    return value


FIELDS = {name: Field("what docs/retraining.md tells", _as_it_is, needed=name == "pipeline") for name in SPEC}


def read() -> list[tuple[Metadata, Spec]]:
    rows = Policy.objects.select_related("system__client").filter(ended_at=None)
    return [
        ({"client": row.system.client.slug, "system": row.system.key, "name": row.name}, dict(row.spec))
        for row in rows.order_by("system__client__slug", "system__key", "name")
    ]


def put(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    of = client(metadata["client"])
    system = System.objects.select_related("client").filter(client=of, key=metadata["system"]).first()
    if system is None:
        raise NotFound(f"{of.slug} has no system {metadata['system']!r}.", "Write a document of kind System for it.")
    put_policy(actor, system, metadata["name"], spec)
