"""What the page and the API tell of a system's drift: features by hours, and one feature then and now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from afterlaunch.drift import figures
from afterlaunch.drift.false_alarms import FalseAlarms
from afterlaunch.drift.pictures import picture
from afterlaunch.estate.models import System
from afterlaunch.predictions import judging, packed, standing, upstream, weekly
from afterlaunch.predictions.actions import HOUR, layouts_of, references_of
from afterlaunch.predictions.models import Hour, Reference
from afterlaunch.predictions.packed import Profiles
from afterlaunch.predictions.standing import Sliced
from afterlaunch.verdicts.models import Verdict

SHOWN = 48  # hours
ORDER = ("breach", "warning", "not_assessed", "ok")
CELL, HEIGHT = 10, 18
Beside = tuple[str, str, str]  # what, then, now
SLICED = 5  # drifted features whose slices the API tells
LISTED, MOST_LISTED = 30, 60
"""Features of a page, unless all are asked for."""


@dataclass(frozen=True, eq=False)
class Row:
    """A feature over the hours. `cells`: (hour, status, why); None: there were no predictions."""

    name: str
    kind: str
    cells: list[tuple[Hour, dict[str, Any]] | None]
    starts: list[datetime]

    @property
    def newest(self) -> dict[str, Any]:
        return next((cell[1] for cell in reversed(self.cells) if cell), {})

    @property
    def rank(self) -> int:
        return ORDER.index(self.newest.get("status", "not_assessed"))

    @property
    def strip(self) -> SafeString:
        """Hours as cells, the newest at the right; drawn as SVG with a title each."""
        drawn = []
        for at, (start, cell) in enumerate(zip(self.starts, self.cells, strict=True)):
            if cell is None:
                continue
            status = cell[1]["status"]
            told = f"{start:%Y-%m-%d %H:%M} UTC, {status.replace('_', ' ')}: {cell[1]['why']}"
            drawn.append(
                f'<rect class="{status}" x="{at * CELL}" width="{CELL - 1}" height="{HEIGHT}">'
                f"<title>{escape(told)}</title></rect>"
            )
        width = len(self.starts) * CELL
        label = escape(f"{self.name} over {len(self.starts)} hours")
        return mark_safe(  # noqa: S308
            f'<svg class="strip" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none" role="img"'
            f' aria-label="{label}">{"".join(drawn)}</svg>'
        )


def places(system: System) -> list[Reference]:
    """The references in force, one of each environment."""
    newest: dict[str, Reference] = {}
    for row in references_of(system):
        newest.setdefault(row.environment, row)
    return list(newest.values())


def versions_of(reference: Reference) -> list[str]:
    """The version that was seen last comes first."""
    rows = Hour.objects.filter(reference=reference).order_by("-start").values_list("model_version", flat=True)
    return list(dict.fromkeys(rows[:2_000]))


def hours_of(reference: Reference, version: str, shown: int = SHOWN) -> list[Hour]:
    """The judged ones of the last hours with predictions, oldest first."""
    rows = Hour.objects.filter(reference=reference, model_version=version).exclude(judged_at=None)
    newest = rows.order_by("-start").values_list("start", flat=True).first()
    if newest is None:
        return []
    found = rows.filter(start__gt=newest - HOUR * shown).defer("profile", "state", "slices", "base", "base_slices")
    return list(found.order_by("start"))


def matrix(hours: list[Hour], shown: int = SHOWN) -> list[Row]:
    """The worst now first."""
    if not hours:
        return []
    newest = hours[-1].start
    starts = [newest - timedelta(hours=back) for back in range(shown - 1, -1, -1)]
    by_start = {hour.start: {one["name"]: one for one in hour.features} | {"": hour} for hour in hours}
    rows = []
    for one in hours[-1].features:
        cells = []
        for start in starts:
            told = by_start.get(start)
            cells.append((told[""], told[one["name"]]) if told and one["name"] in told else None)
        rows.append(Row(one["name"], one["kind"], cells, starts))
    return sorted(rows, key=lambda row: (row.rank, row.name))


def listed(rows: list[Row], chosen: Row | None, every: bool) -> list[Row]:
    """The first ones, and as many more as are not well now; with the one that is looked at."""
    if every:
        return rows
    wrong = sum(1 for row in rows if row.newest.get("status") in ("breach", "warning"))
    kept = rows[: min(max(LISTED, wrong), MOST_LISTED)]
    return kept if chosen is None or chosen in kept else [*kept, chosen]


def then_and_now(reference: Reference, hour: Hour, name: str, told: str) -> tuple[SafeString, list[Beside]]:
    """The distribution of one feature as a picture, and in figures; empty where there is nothing to tell."""
    layouts = layouts_of(reference.pk, reference.digest)
    same, _ = weekly.same_hours(weekly.of(reference), reference, hour.start)
    before = same[name] if name in same else _profiles(reference.profile, layouts, name)
    now = _profiles(hour.profile, layouts, name)
    if before is None or now is None:
        return SafeString(""), []
    return mark_safe(picture(before, now, told)), figures.beside(before, now)  # noqa: S308


def figures_of(reference: Reference, hour: Hour) -> dict[str, Any]:
    """Every feature in the reference and in an hour."""
    if hour.profile is None:
        return {}
    layouts = layouts_of(reference.pk, reference.digest)
    before, now = (packed.unpack(bytes(body), layouts) for body in (reference.profile, hour.profile))
    return {name: {"reference": figures.of(one), "hour": figures.of(now[name])} for name, one in before.items()}


def _profiles(body: Any, layouts: Any, name: str) -> Any:
    if body is None:
        return None
    found: Profiles = packed.unpack(bytes(body), layouts)
    return found.get(name)


def upstream_of(system: System, environment: str, row: Row | None) -> list[upstream.Event]:
    """What changed upstream when this feature began to drift; empty where it does not drift."""
    if row is None:
        return []
    cells = [cell for cell in reversed(row.cells) if cell is not None]
    since = upstream.began((hour.start, told["status"]) for hour, told in cells)
    return upstream.events(system, environment, since) if since else []


def sliced(reference: Reference, version: str, row: Row | None) -> Sliced | None:
    """Which slices carry the drift of this feature; None where it does not drift now."""
    if row is None or row.newest.get("status") not in standing.BAD:
        return None
    newest = next(cell[0].start for cell in reversed(row.cells) if cell is not None)
    return standing.slices_of(reference, version, newest, row.name)


def slices_document(reference: Reference, hours: list[Hour]) -> list[dict[str, Any]]:
    """Of the features that drift in the newest hour of a version, a few."""
    if not hours:
        return []
    newest = hours[-1]
    bad = [one["name"] for one in newest.features if one["status"] in standing.BAD][:SLICED]
    found = []
    for name in bad:
        told = standing.slices_of(reference, newest.model_version, newest.start, name)
        found.append(
            {
                "feature": name,
                "model_version": newest.model_version or None,
                "hours": told.hours,
                "against": told.against,
                "not_assessed": told.why,
                "slices": [one.as_document() for one in told.found[:50]],
            }
        )
    return found


def importance_of(system: System, environment: str) -> dict[str, Any] | None:
    """The verdict on what the model looks at, with the first features then and now; None without attributions."""
    place = {"client": system.client.slug, "system": system.key, "environment": environment}
    row = Verdict.objects.filter(judge="drift.importance", **place).first()
    if row is None:
        return None
    then, now = ([one for one in str(row.evidence.get(key, "")).split(", ") if one] for key in ("then", "now"))
    pairs = [(at, had, has) for at, (had, has) in enumerate(zip(then, now, strict=False), 1)]
    return {"status": row.status, "why": row.explanation, "pairs": pairs, "rows": row.count}


def reference_document(row: Reference) -> dict[str, Any]:
    return {
        "id": row.pk,
        "environment": row.environment,
        "version": row.version,
        "source": row.source,
        "from": row.starts_at,
        "to": row.ends_at,
        "rows": row.rows,
        "columns": row.columns,
        "left_out": row.left_out,
        "digest": row.digest,
        "made_at": row.made_at,
        "made_by": row.made_by,
    }


def document(system: System, environment: str | None, shown: int) -> dict[str, Any]:
    found = []
    for reference in places(system):
        if environment and reference.environment != environment:
            continue
        versions = [hours_of(reference, version, shown) for version in versions_of(reference)]
        told = [_told(hour) for hours in versions for hour in hours]
        found.append(
            {
                "reference": reference_document(reference),
                "rhythm": weekly.document(weekly.of(reference)),
                "hours": told,
                "figures": [
                    {"start": hours[-1].start, "model_version": hours[-1].model_version or None}
                    | {"features": figures_of(reference, hours[-1])}
                    for hours in versions
                    if hours
                ],
                "slices": [one for hours in versions for one in slices_document(reference, hours)],
                "importance": importance_of(system, reference.environment),
            }
        )
    return {"system": system.key, "client": system.client.slug, "environments": found}


def _told(hour: Hour) -> dict[str, Any]:
    return {
        "start": hour.start,
        "model_version": hour.model_version or None,
        "rows": hour.rows,
        "status": hour.status,
        "why": hour.why,
        "judged_at": hour.judged_at,
        "to_be_judged_again": hour.due,
        "features": hour.features,
        "false_alarms_per_month": false_alarms_of(hour).as_document(),
    }


def false_alarms_of(hour: Hour) -> FalseAlarms:
    return judging.false_alarms_of(hour.features)


def count_of(rows: Iterable[Row]) -> dict[str, int]:
    found = dict.fromkeys(ORDER, 0)
    for row in rows:
        found[row.newest.get("status", "not_assessed")] += 1
    return found
