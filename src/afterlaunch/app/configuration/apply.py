"""Apply documents: all or nothing, idempotent, with the difference shown.

1. Parse and check every document; 2. in one transaction put those that differ, in the order of the kinds;
3. read everything again: the difference between before and after is what is shown; 4. a dry run rolls back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml
from django.db import transaction

from afterlaunch.app.configuration.kinds import KINDS, Kind, Spec
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid

API_VERSION = "afterlaunch/v1"
Key = tuple[str, tuple[tuple[str, str], ...]]
_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Document:
    kind: Kind
    metadata: dict[str, str]
    spec: Spec

    @property
    def key(self) -> Key:
        return self.kind.name, tuple(sorted(self.metadata.items()))

    def as_yaml(self) -> dict[str, Any]:
        return {"apiVersion": API_VERSION, "kind": self.kind.name, "metadata": self.metadata, "spec": self.spec}


@dataclass(frozen=True)
class Difference:
    """`before` None: made; otherwise the fields that changed."""

    kind: str
    name: str
    before: Spec | None
    after: Spec

    def lines(self) -> list[str]:
        if self.before is None:
            return [f"+ {self.kind} {self.name}", *(f"+   {k}: {v}" for k, v in self.after.items())]
        changed = [name for name in self.after if self.before.get(name) != self.after[name]]
        rows = [f"~ {self.kind} {self.name}"]
        for name in changed:
            rows += [f"-   {name}: {self.before.get(name)}", f"+   {name}: {self.after[name]}"]
        return rows


def parse(text: str, source: str) -> list[Document]:
    """YAML, several documents. Raises Invalid naming source, document and field."""
    try:
        raw = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as problem:
        raise Invalid(f"{source}: this is no YAML: {problem}") from None
    return [_document(one, f"{source}, document {number}") for number, one in enumerate(raw, 1)]


def _document(raw: Any, where: str) -> Document:
    if not isinstance(raw, dict) or raw.get("apiVersion") != API_VERSION:
        raise Invalid(f"{where}: apiVersion must be {API_VERSION}.")
    kind = _BY_NAME.get(str(raw.get("kind")))
    if kind is None:
        raise Invalid(f"{where}: there is no kind {raw.get('kind')!r}.", "Kinds: " + ", ".join(_BY_NAME))
    metadata, spec = raw.get("metadata"), raw.get("spec") or {}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise Invalid(f"{where}: metadata and spec are mappings.")
    if missing := [name for name in kind.metadata if not metadata.get(name)]:
        raise Invalid(f"{where}: metadata.{missing[0]} is missing.")
    if unknown := sorted(set(spec) - set(kind.fields)):
        raise Invalid(f"{where}: {kind.name} has no field {unknown[0]!r}.", "Fields: " + ", ".join(kind.fields))
    return Document(kind, {name: str(metadata[name]) for name in kind.metadata}, spec)


def export() -> list[Document]:
    """Everything that exists, in an order in which it can be applied again."""
    return [Document(kind, metadata, spec) for kind in KINDS for metadata, spec in kind.read()]


def to_yaml(documents: Iterable[Document]) -> str:
    return yaml.safe_dump_all((d.as_yaml() for d in documents), sort_keys=False, allow_unicode=True)


class _DryRun(Exception):
    pass


def apply(actor: Actor, documents: Iterable[Document], dry_run: bool = False) -> list[Difference]:
    """Returns what changed, or would change. Raises Invalid, NotAllowed: then nothing has changed."""
    differences: list[Difference] = []
    try:
        with transaction.atomic():
            before = {document.key: document.spec for document in export()}
            order = {kind.name: place for place, kind in enumerate(KINDS)}
            for document in sorted(documents, key=lambda d: order[d.kind.name]):
                if not _already(before.get(document.key), document.spec):
                    document.kind.put(actor, document.metadata, document.spec)
            for document in export():
                old = before.get(document.key)
                if old != document.spec:
                    name = "/".join(document.metadata.values())
                    differences.append(Difference(document.kind.name, name, old, document.spec))
            if dry_run:
                raise _DryRun
    except _DryRun:
        return differences
    return differences


def _already(existing: Spec | None, wanted: Spec) -> bool:
    return existing is not None and all(existing.get(name) == value for name, value in wanted.items())
