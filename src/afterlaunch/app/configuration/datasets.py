"""Documents of data contracts: the same form that `afterlaunch data check` takes, with whose they are."""

from __future__ import annotations

from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import NEEDED_TEXT, TEXT, Field
from afterlaunch.app.configuration.people import client
from afterlaunch.data_contracts.contract import API, KIND, SPEC_KEYS, made, spec_of, write
from afterlaunch.datasets.actions import all_in_force, put_contract
from afterlaunch.estate.models import System
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import NotFound


def _as_it_is(value: Any) -> Any:
    """What is wrong with it is said by the whole contract."""
    return value


LABELS = ("owner", "version")
FIELDS = {
    "owner": NEEDED_TEXT,
    "version": TEXT,
    **{name: Field("what docs/data-contracts.md tells", _as_it_is, needed=name == "columns") for name in SPEC_KEYS},
}


def read() -> list[tuple[Metadata, Spec]]:
    found = []
    for row in all_in_force():
        system, contract = row.dataset.system, row.contract
        names = {"client": system.client.slug, "system": system.key, "name": contract.name}
        found.append((names, {"owner": contract.owner, "version": contract.version, **spec_of(contract)}))
    return sorted(found, key=lambda one: tuple(one[0].values()))


def put(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    of = client(metadata["client"])
    system = System.objects.select_related("client").filter(client=of, key=metadata["system"]).first()
    if system is None:
        raise NotFound(f"{of.slug} has no system {metadata['system']!r}.", "Write a document of kind System for it.")
    labels = {name: spec[name] for name in LABELS if name in spec}
    rest = {name: value for name, value in spec.items() if name not in LABELS}
    contract = made({"apiVersion": API, "kind": KIND, "metadata": {**metadata, **labels}, "spec": rest})
    put_contract(actor, system, write(contract))
