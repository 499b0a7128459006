"""Parts of an incident's page that rooms above fill. `app.incident_panels` lists them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from django.conf import settings
from django.utils.module_loading import import_string

from afterlaunch.ground.actors import Actor
from afterlaunch.incidents.models import Incident


@dataclass(frozen=True)
class Panel:
    """`context(actor, incident)` returns what `template` needs, or None when it has nothing to show. The template is
    included in the page, inside a section with the id `panel-NAME` and the heading `title`; with `within` it is a part
    of the section of that id instead."""

    name: str
    title: str
    template: str
    context: Callable[[Actor, Incident], dict[str, Any] | None]
    within: str = ""


@lru_cache(maxsize=1)
def panels() -> tuple[Panel, ...]:
    return cast("tuple[Panel, ...]", import_string(settings.INCIDENT_PANELS))


def filled(actor: Actor, incident: Incident) -> list[dict[str, Any]]:
    """Every panel that has something to show."""
    rows = []
    for panel in panels():
        context = panel.context(actor, incident)
        if context is not None:
            rows.append({"panel": panel, "context": context})
    return rows
