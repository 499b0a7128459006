"""What a kind of document is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from afterlaunch.app.configuration.fields import Field
from afterlaunch.ground.actors import Actor

Spec = dict[str, Any]
Metadata = dict[str, str]


@dataclass(frozen=True)
class Kind:
    """`read` gives (metadata, spec) of every row; `put` makes one row so, and returns a secret that is told once,
    where it made one. `metadata` names the identity, `fields` what a spec may hold; `labels` are metadata that are no
    identity: within, they stand with the fields."""

    name: str
    metadata: tuple[str, ...]
    fields: Mapping[str, Field]
    read: Callable[[], list[tuple[Metadata, Spec]]]
    put: Callable[[Actor, Metadata, Spec], str | None]
    labels: tuple[str, ...] = ()
