"""What the page and the API tell of a system's answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from afterlaunch.answers import embedding, layouts, references
from afterlaunch.answers.judging import WEEK, last_day
from afterlaunch.answers.layouts import DESCRIPTORS
from afterlaunch.answers.models import Hour, Reference, ReferencePart
from afterlaunch.drift import figures
from afterlaunch.drift.pictures import picture
from afterlaunch.estate.models import System
from afterlaunch.predictions import packed
from afterlaunch.predictions.judging import false_alarms_of
from afterlaunch.predictions.views import SHOWN, Beside, Row, matrix

HOUR = references.HOUR
UNJUDGED = "This slice has fewer than 100 answers in the reference's period."


def environments(system: System) -> list[str]:
    rows = Hour.objects.filter(system=system, slice="", cells=layouts.cells()).order_by("environment")
    return list(rows.values_list("environment", flat=True).distinct())


def in_force(system: System, environment: str) -> Reference | None:
    return references.in_force(system, environment)


def newest_of_slices(reference: Reference) -> list[dict[str, Any]]:
    """The newest verdict on each slice, the whole first."""
    parts = ReferencePart.objects.filter(reference=reference).order_by("slice").values_list("slice", "answers")
    found = []
    for name, answers in parts:
        rows = Hour.objects.filter(reference=reference, slice=name).exclude(judged_at=None)
        hour = rows.defer("profile", "state", "features").order_by("-start").first()
        told = {"slice": name, "reference_answers": answers, "status": "not_assessed", "why": UNJUDGED, "answers": 0}
        if hour is not None:
            told |= {"status": hour.status, "why": hour.why, "answers": hour.compared, "hour": hour.start}
        found.append(told)
    return found


def hours_of(reference: Reference, slice_: str, shown: int = SHOWN) -> list[Hour]:
    """The judged ones among the last hours with answers, oldest first."""
    rows = Hour.objects.filter(reference=reference, slice=slice_).exclude(judged_at=None)
    newest = rows.order_by("-start").values_list("start", flat=True).first()
    if newest is None:
        return []
    return list(rows.filter(start__gt=newest - HOUR * shown).defer("profile", "state").order_by("start"))


def rows_of(hours: list[Hour]) -> list[Row]:
    return matrix(hours)  # type: ignore[arg-type]  # hours of predictions and of answers tell the same


def then_and_now(reference: Reference, newest: Hour, name: str, told: str) -> tuple[SafeString, list[Beside]]:
    """The distribution of one descriptor in the reference and among the compared answers as a picture, and in figures;
    empty without any."""
    part = ReferencePart.objects.filter(reference=reference, slice=newest.slice).first()
    if part is None:
        return SafeString(""), []
    past = Hour.objects.filter(
        system=newest.system_id,
        environment=newest.environment,
        slice=newest.slice,
        cells=layouts.cells(),
        start__lte=newest.start,
        start__gt=newest.start - HOUR * WEEK,
        start__gte=reference.ends_at,
    )
    hours = last_day([(hour.start, hour.answers, hour) for hour in past.defer("state", "features").order_by("start")])
    before = packed.unpack(bytes(part.profile), layouts.in_force())[name]
    now = references.merged(hours)[name]
    return mark_safe(picture(before, now, told)), figures.beside(before, now)  # noqa: S308


def titled(row: Row) -> dict[str, Any]:
    return {
        "row": row,
        "title": DESCRIPTORS[row.name].title,
        "strip": replace(row, name=DESCRIPTORS[row.name].title).strip,
    }


def reference_document(row: Reference) -> dict[str, Any]:
    return {
        "id": row.pk,
        "environment": row.environment,
        "version": row.version,
        "from": row.starts_at,
        "to": row.ends_at,
        "answers": row.answers,
        "digest": row.digest,
        "made_at": row.made_at,
        "made_by": row.made_by,
    }


def meaning() -> dict[str, Any]:
    """Whether an embedding model is in force; why not, where one is named."""
    return {"assessed": bool(embedding.digest()), "why_not": embedding.why_not()}


def document(system: System, environment: str | None) -> dict[str, Any]:
    found = []
    for name in environments(system):
        if environment is not None and name != environment:
            continue
        reference = in_force(system, name)
        told: dict[str, Any] = {"environment": name, "reference": None, "slices": [], "meaning": meaning()}
        if reference is not None:
            told["reference"] = reference_document(reference)
            for one in newest_of_slices(reference):
                rows = Hour.objects.filter(reference=reference, slice=one["slice"]).exclude(judged_at=None)
                newest = rows.order_by("-start").values_list("features", flat=True).first()
                expected = false_alarms_of(newest or []).as_document()
                told["slices"].append(one | {"descriptors": newest or [], "false_alarms_per_month": expected})
        found.append(told)
    return {"system": system.key, "client": system.client.slug, "environments": found}
