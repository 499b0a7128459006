"""Infrastructure as a page: every system and host with small charts, limits and verdicts; one host in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from afterlaunch.estate.actions import systems_seen_by
from afterlaunch.estate.limits import Limits, in_force
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.infrastructure.asked import MINUTE, RANGES, Asked
from afterlaunch.infrastructure.asked import asked as wanted
from afterlaunch.infrastructure.figures import (
    BY_READING,
    HOSTS,
    SYSTEMS,
    Figure,
    by_part,
    course,
    declared,
    newest,
)
from afterlaunch.look import charts
from afterlaunch.look.requests import Request
from afterlaunch.scraping.actions import targets_seen_by
from afterlaunch.telemetry.signals.questions import by_minute
from afterlaunch.telemetry.signals.readings import Place, Reading, readings
from afterlaunch.verdicts.api import verdicts_seen_by
from afterlaunch.verdicts.models import Verdict

A_PAGE = 40  # hosts
STALE = 5  # minutes
TONES = {"breach": "breach", "warning": "warning"}
RANK = {"breach": 0, "warning": 1, "ok": 2, "not_assessed": 3}
Whose = tuple[str, str, str]


@dataclass
class Cell:
    """One figure of one place. `verdict` None: nobody judges it."""

    figure: Figure
    now: str
    line: Any
    parts: int
    verdict: Verdict | None

    @property
    def tone(self) -> str:
        return TONES.get(self.verdict.status, "") if self.verdict else ""


@dataclass
class Host:
    name: str
    address: str
    cells: list[Cell | None] = field(default_factory=list)

    @property
    def rank(self) -> int:
        return min((RANK[one.verdict.status] for one in self.cells if one and one.verdict), default=3)


@dataclass
class Whole:
    """One system in one environment. `figures`: those that a host of it has, as columns. `hosts`: the worst of them;
    `count`: of all."""

    whose: Whose
    system: System | None
    cells: list[Cell]
    figures: list[Figure]
    hosts: list[Host]
    count: int
    address: str
    verdicts: list[Verdict]

    @property
    def rank(self) -> int:
        return min([*(one.rank for one in self.hosts), *(RANK[one.status] for one in self.verdicts)], default=3)

    @property
    def more(self) -> int:
        return self.count - len(self.hosts)


def _read(actor: Actor, asked: Asked) -> dict[Place, dict[str, Reading]]:
    return readings(by_minute(asked.start, asked.end + MINUTE, actor.sees(), step=asked.step, narrow=asked.narrowed))


def _verdicts(actor: Actor, asked: Asked) -> dict[Whose, list[Verdict]]:
    """Of the present; none beside a time that is given by its ends."""
    found: dict[Whose, list[Verdict]] = {}
    if not asked.range:
        return found
    for row in verdicts_seen_by(actor).filter(judge__startswith="infrastructure.", **asked.narrowed):
        found.setdefault((row.client, row.system, row.environment), []).append(row)
    return found


@require_safe
def infrastructure(request: Request) -> HttpResponse:
    """Worst first. `host`: one of them in full."""
    asked = wanted(request)
    found = _read(request.actor, asked)
    verdicts = _verdicts(request.actor, asked)
    known = {(row.client.slug, row.key): row for row in systems_seen_by(request.actor)}
    if asked.host is not None:
        return _one(request, asked, found, verdicts, known)
    places: dict[Whose, dict[str, dict[str, Reading]]] = {}
    for (client, system, environment, host), read in found.items():
        places.setdefault((client, system, environment), {})[host] = read
    wholes = [_whole(whose, told, asked, verdicts.get(whose, []), known) for whose, told in places.items()]
    wholes.sort(key=lambda one: (one.rank, one.whose))
    hosts = sum(one.count for one in wholes)
    judged = [row for rows in verdicts.values() for row in rows]
    targets = targets_seen_by(request.actor).filter(paused=False)
    targets = targets.exclude(last_at=None).exclude(reason="")
    page = Paginator(wholes, 10).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "hosts": hosts,
        "systems": len(wholes),
        "breaches": sum(row.status == "breach" for row in judged),
        "warnings": sum(row.status == "warning" for row in judged),
        "targets_down": targets.count(),
        **_head(asked),
        "narrowed": asked.narrowed,
        "kept": list(asked.narrowed.items()),
        "all": asked.link(),
        "here": asked.link(**asked.narrowed),
    }
    return render(request, "infrastructure/infrastructure.html", context)


def _head(asked: Asked) -> dict[str, Any]:
    return {
        "asked": asked,
        "range": asked.range,
        "ranges": RANGES,
        "lasting": asked.lasting(),
        "present": asked.present(),
        "files": asked.files(),
    }


def _limits(whose: Whose, known: Mapping[tuple[str, str], System]) -> Limits:
    system = known.get(whose[:2])
    return in_force(system.infrastructure if system else {})


def _whole(
    whose: Whose,
    told: Mapping[str, Mapping[str, Reading]],
    asked: Asked,
    verdicts: Sequence[Verdict],
    known: Mapping[tuple[str, str], System],
) -> Whole:
    limits = _limits(whose, known)
    by_host = {(row.host, row.judge): row for row in verdicts}
    columns = [figure for figure in HOSTS if any(figure.reading in read for host, read in told.items() if host)]
    hosts = []
    for name, read in told.items():
        if not name or not any(figure.reading in read for figure in HOSTS):
            continue
        host = Host(name, _address(whose, asked, name))
        host.cells = [_cell(figure, read, limits, asked, by_host.get((name, figure.judge))) for figure in columns]
        hosts.append(host)
    hosts.sort(key=lambda one: (one.rank, one.name))
    own = told.get("", {})
    cells = [_cell(figure, own, limits, asked, by_host.get(("", figure.judge))) for figure in (*SYSTEMS, *HOSTS)]
    return Whole(
        whose,
        known.get(whose[:2]),
        [one for one in cells if one is not None],
        columns,
        hosts if "system" in asked.narrowed else hosts[:A_PAGE],
        len(hosts),
        _address(whose, asked),
        [row for row in verdicts if not row.host],
    )


def _address(whose: Whose, asked: Asked, host: str | None = None) -> str:
    client, system, environment = whose
    told = {"client": client, "system": system, "environment": environment}
    return asked.link(**told, **({} if host is None else {"host": host}))


def _cell(
    figure: Figure, read: Mapping[str, Reading], limits: Limits, asked: Asked, verdict: Verdict | None
) -> Cell | None:
    reading = read.get(figure.reading)
    if reading is None:
        return None
    values = course(reading, asked.minutes, figure.lowest)
    now = figure.written(newest(values, max(1, STALE // asked.step)))
    line = charts.small(values, declared(figure, limits), figure.top, f"{figure.title}: {now}")
    return Cell(figure, now, line, len(reading.parts), verdict)


def _one(
    request: Request,
    asked: Asked,
    found: Mapping[Place, Mapping[str, Reading]],
    verdicts: Mapping[Whose, Sequence[Verdict]],
    known: Mapping[tuple[str, str], System],
) -> HttpResponse:
    """One host, or, with an empty name, what is told of the system as a whole."""
    host = asked.host
    places = [place for place in found if place[3] == host]
    if not places:
        raise NotFound("Nothing was told of this host in this time.", "Choose a longer time.")
    if len(places) > 1:
        raise Invalid("Several systems have a host of this name.", "Name client, system and environment.")
    place = places[0]
    whose: Whose = place[:3]
    limits = _limits(whose, known)
    rows = {row.judge: row for row in verdicts.get(whose, ()) if row.host == host}
    cards = [_card(BY_READING[name], reading, limits, asked, rows, whose) for name, reading in found[place].items()]
    context = {
        "host": host,
        "whose": whose,
        "system": known.get(whose[:2]),
        "cards": cards,
        **_head(asked),
        "back": asked.link(**asked.narrowed),
        "kept": [*asked.narrowed.items(), ("host", host)],
    }
    return render(request, "infrastructure/host.html", context)


def _card(
    figure: Figure,
    reading: Reading,
    limits: Limits,
    asked: Asked,
    rows: Mapping[str, Verdict],
    whose: Whose,
) -> dict[str, Any]:
    minutes = asked.minutes
    parts = by_part(reading.parts, minutes, 8)
    scale = 100.0 if figure.unit == "share" else 1.0
    points = [
        (clock.from_ns(minute * 60 * 10**9), {part: _times(values[n], scale) for part, values in parts.items()})
        for n, minute in enumerate(minutes)
    ]
    client, system, _ = whose
    first = reading.source.partition(",")[0]
    return {
        "figure": figure,
        "verdict": rows.get(figure.judge),
        "chart": charts.lines(
            points,
            "%" if figure.unit == "share" else figure.unit,
            limits=[one * scale for one in declared(figure, limits)],
        ),
        "source": reading.source,
        "explore": "/explorer?" + urlencode({"name": first, "client": client, "system": system, "by": "host"}),
        "parts": len(reading.parts),
    }


def _times(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale
