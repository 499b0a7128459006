"""Actions of the product that a runbook's step or the containment menu can perform. `app.incident_runs` lists them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import orjson
from django.conf import settings
from django.utils.module_loading import import_string

from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import NotFound
from afterlaunch.incidents.models import Incident


@dataclass(frozen=True)
class Plan:
    """What a run would do now, found out without doing it. `reach`: the share of the system's traffic that it touches,
    in basis points; None is unknown. `facts`: what it was made from, so that one can tell whether it still holds."""

    possible: bool
    text: str
    reach: int | None = None
    undo: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        body = [self.possible, self.text, self.reach, self.undo, dict(self.facts)]
        return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True)
class Done:
    """What a run did; `address` leads to it. `facts` are kept for undoing it."""

    text: str
    address: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """`contains`: it stops harm, and so it needs a dry run, keeps below the cap and must show recovery. A run asks for
    permission itself, as every deed does."""

    name: str
    title: str
    plan: Callable[[Actor, Incident], Plan]
    perform: Callable[[Actor, Incident, str], Done]
    undo: Callable[[Actor, Incident, Mapping[str, Any]], Done] | None = None
    contains: bool = False


@lru_cache(maxsize=1)
def runs() -> dict[str, Run]:
    listed = cast("tuple[Run, ...]", import_string(settings.INCIDENT_RUNS))
    return {run.name: run for run in listed}


def run_named(name: str) -> Run:
    if name not in runs():
        raise NotFound(f"There is nothing to run named {name!r}.")
    return runs()[name]
