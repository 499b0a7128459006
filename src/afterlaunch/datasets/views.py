"""What the page and the API tell of datasets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from afterlaunch.data_contracts.verdicts import LINE, PARTS
from afterlaunch.datasets.actions import datasets_of, newest_versions
from afterlaunch.datasets.duties import DEFAULT, newest_of, place_of
from afterlaunch.datasets.models import Check, Dataset, Standing, Version
from afterlaunch.datasets.rules import ORDER, Said, contract, freshness, quality, volume
from afterlaunch.estate.models import System
from afterlaunch.look import charts
from afterlaunch.verdicts.words import Status

SHOWN, MOST = 60, 500  # checks
WORST = 12  # columns


@dataclass(frozen=True)
class Line:
    """A dataset in one environment, as a list shows it. `said`: what each judge says of it, by its word."""

    dataset: Dataset
    version: Version
    environment: str
    standing: Standing | None
    newest: Check | None
    said: dict[str, Said] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        return min((one.status for one in self.said.values()), key=ORDER.index)


def lines(system: System, now: datetime) -> list[Line]:
    """The worst first."""
    newest = {one.dataset_id: one for one in newest_versions().filter(dataset__system=system)}
    standings: dict[int, list[Standing]] = defaultdict(list)
    for row in Standing.objects.filter(dataset__system=system).defer("detector"):
        standings[row.dataset_id].append(row)
    checks = newest_of(one.pk for rows in standings.values() for one in rows)
    out = []
    for dataset in datasets_of(system):
        version = newest.get(dataset.pk)
        if version is None:
            continue  # it was made since
        version.dataset = dataset
        known: list[Standing | None] = [*standings[dataset.pk]]
        out += [
            _line(dataset, version, standing, checks.get(standing.pk) if standing else None, now)
            for standing in known or [None]
        ]
    return sorted(out, key=lambda one: (ORDER.index(one.status), one.dataset.name, one.environment))


def _line(dataset: Dataset, version: Version, standing: Standing | None, newest: Check | None, now: datetime) -> Line:
    place = place_of(version, standing, newest)
    judged = {"quality": quality(place, now), "contract": contract(place, now), "volume": volume(place, now)}
    fresh = freshness(place, now)
    if fresh is not None:
        judged["freshness"] = fresh
    environment = standing.environment if standing else DEFAULT
    return Line(dataset, version, environment, standing, newest, judged)


def checks_of(line: Line, shown: int = SHOWN) -> list[Check]:
    """The newest first."""
    if line.standing is None:
        return []
    rows = Check.objects.select_related("version").filter(standing=line.standing)
    return list(rows.order_by("-received_at", "-pk")[:shown])


def picture(checks: Sequence[Check]) -> str:
    """The score over the last deliveries; nothing while there is only one."""
    points: list[tuple[datetime, dict[str, float | None]]] = [
        (one.received_at, {"clean": one.score}) for one in reversed(checks)
    ]
    if sum(1 for one in checks if one.score is not None) < 2:
        return ""
    return charts.lines(points, "% clean", width=900, height=170, limits=[100 * LINE])


def parts_of(checks: Sequence[Check]) -> list[tuple[str, float | None, list[float | None]]]:
    """(part, now, over time) of each; None: the contract does not ask for it."""
    told = [one.document["parts"] for one in reversed(checks)]
    return [(name, told[-1].get(name), [one.get(name) for one in told]) for name in PARTS] if told else []


@dataclass(frozen=True)
class Column:
    name: str
    records: int
    share: float
    rules: list[dict[str, Any]]


def worst(check: Check) -> list[Column]:
    """Columns by the records that break their worst rule."""
    by: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for rule in check.document["rules"]:
        if rule["records"]:
            by[", ".join(rule["columns"])].append(rule)
    rows = [
        Column(name, max(one["records"] for one in rules), max(one["records"] for one in rules) / check.records, rules)
        for name, rules in by.items()
    ]
    return sorted(rows, key=lambda one: (-one.records, one.name))[:WORST]


def version_document(row: Version, text: bool = True) -> dict[str, Any]:
    told = {
        "number": row.number,
        "version": row.label,
        "owner": row.owner,
        "digest": row.digest,
        "breaking": row.breaking,
        "differences": row.differences,
        "made_at": row.made_at,
        "made_by": row.made_by,
    }
    return told | ({"text": row.text} if text else {})


def check_document(row: Check) -> dict[str, Any]:
    told = row.document
    return {
        "id": row.pk,
        "received_at": row.received_at,
        "received_by": row.received_by,
        "source": row.source,
        "contract": row.version.number,
        "records_unlike_before": bool(row.usual.get("alert")),
        **{name: value for name, value in told.items() if name != "contract"},
    }


def line_document(line: Line) -> dict[str, Any]:
    upstream = line.version.contract.upstream
    return {
        "name": line.dataset.name,
        "environment": line.environment,
        "owner": line.version.owner,
        "upstream": {
            "kind": upstream.kind,
            "provider": upstream.provider,
            "consumers": upstream.consumers,
            "deprecated": upstream.deprecated,
        }
        if upstream
        else None,
        "contract": line.version.number,
        "status": line.status.value,
        "judges": {
            name: {"status": one.status.value, "reason": one.reason, "why": one.why} for name, one in line.said.items()
        },
        "deliveries": line.standing.deliveries if line.standing else 0,
        "last_at": line.standing.last_at if line.standing else None,
        "newest": line.standing.newest if line.standing else None,
        "score": line.newest.score if line.newest else None,
        "records": line.newest.records if line.newest else None,
        "verdict": line.newest.verdict if line.newest else None,
    }
