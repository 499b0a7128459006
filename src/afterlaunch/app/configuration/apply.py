"""Apply documents: all or nothing, idempotent, with the difference shown.

1. Parse and check every document (`parse`); 2. in one transaction put those that differ, in the order of the kinds, and
publish what gateways hold once;
3. read everything again: the difference between before and after is what is shown; 4. a dry run rolls back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import yaml
from django.db import transaction

from afterlaunch.app.configuration.document import Spec
from afterlaunch.app.configuration.kinds import KINDS
from afterlaunch.app.configuration.parse import Document, Key, parse
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.routes.snapshot import Contradiction, publish, together
from afterlaunch.slo.openslo.importing import import_files

E = TypeVar("E", bound=AfterlaunchError)
__all__ = ["Difference", "Document", "apply", "export", "parse", "to_yaml"]


@dataclass(frozen=True)
class Difference:
    """`before` None: made; otherwise the fields that changed. `secret`: of a new caller key, told once."""

    kind: str
    name: str
    before: Spec | None
    after: Spec
    secret: str | None = None

    def lines(self) -> list[str]:
        if self.before is None:
            return [f"+ {self.kind} {self.name}", *(f"+   {k}: {v}" for k, v in self.after.items())]
        changed = [name for name in self.after if self.before.get(name) != self.after[name]]
        rows = [f"~ {self.kind} {self.name}"]
        for name in changed:
            rows += [f"-   {name}: {self.before.get(name)}", f"+   {name}: {self.after[name]}"]
        return rows


def export() -> list[Document]:
    """Everything that exists, in an order in which it can be applied again."""
    return [Document(kind, metadata, spec) for kind in KINDS for metadata, spec in kind.read()]


def to_yaml(documents: Iterable[Document]) -> str:
    return yaml.safe_dump_all((d.as_yaml() for d in documents), sort_keys=False, allow_unicode=True)


class _DryRun(Exception):
    pass


def apply(
    actor: Actor, documents: Iterable[Document], dry_run: bool = False, files: Iterable[tuple[str, str]] = ()
) -> list[Difference]:
    """Returns what changed, or would change. `files`: (text, name) of those whose OpenSLO documents are imported as
    well. Raises Invalid, NotAllowed: then nothing has changed."""
    differences: list[Difference] = []
    try:
        with transaction.atomic():
            before = {document.key: document.spec for document in export()}
            secrets = _put_together(actor, _in_order(documents), before)
            for document in export():
                old = before.get(document.key)
                if old != document.spec:
                    secret = None if dry_run else secrets.get(document.key)
                    kind, name = document.kind.name, document.name
                    differences.append(Difference(kind, name, old, document.spec, secret))
            for change in import_files(actor, files).changes:
                after = change.after or {"removed": True}
                differences += [Difference(change.kind, change.name, change.before, after)]
            if dry_run:
                raise _DryRun
    except _DryRun:
        return differences
    return differences


def _in_order(documents: Iterable[Document]) -> list[Document]:
    """By kind. Two documents of one thing contradict each other."""
    order = {kind.name: place for place, kind in enumerate(KINDS)}
    found: dict[Key, Document] = {}
    for document in documents:
        if (other := found.get(document.key)) is not None:
            raise Invalid(f"{document.where} is there twice.", f"Before, it stands at {other.where}.")
        found[document.key] = document
    return sorted(found.values(), key=lambda one: order[one.kind.name])


def _put_together(actor: Actor, documents: list[Document], before: dict[Key, Spec]) -> dict[Key, str]:
    """With one publication. Where that is refused, the error names the document without which it was not yet: found
    by halving, with a few tries that leave nothing behind. None is named where it is refused without any."""
    try:
        with transaction.atomic(), together():
            return _put(actor, documents, before)
    except Contradiction as problem:
        if _refused(actor, [], before) is not None:
            raise
        holds, refused, why = 0, len(documents), problem
        while refused - holds > 1:
            middle = (holds + refused) // 2
            if (wrong := _refused(actor, documents[:middle], before)) is None:
                holds = middle
            else:
                refused, why = middle, wrong
        raise _about(documents[refused - 1], why) from None


def _refused(actor: Actor, documents: list[Document], before: dict[Key, Spec]) -> Contradiction | None:
    """Why these alone would be; nothing of them stays."""
    try:
        with transaction.atomic():
            with together():
                _put(actor, documents, before)
                publish("a try")
            transaction.set_rollback(True)
    except Contradiction as problem:
        return problem
    return None


def _about(document: Document, problem: E) -> E:
    problem.message = f"{document.where}: {problem.message}"
    problem.args = (problem.message,)
    return problem


def _put(actor: Actor, documents: Iterable[Document], before: dict[Key, Spec]) -> dict[Key, str]:
    """Returns the secrets that were made. An error says which document it is about."""
    secrets: dict[Key, str] = {}
    for document in documents:
        if _already(before.get(document.key), document.spec):
            continue
        try:
            secret = document.kind.put(actor, document.metadata, document.spec)
        except AfterlaunchError as problem:
            raise _about(document, problem) from None
        if secret:
            secrets[document.key] = secret
    return secrets


def _already(existing: Spec | None, wanted: Spec) -> bool:
    return existing is not None and all(existing.get(name) == value for name, value in wanted.items())
