"""Which slices carry the drift of a feature as it stands: the hours since it began, at most a day of them, against the
reference, or the same hours of the three weeks before where the feature has a rhythm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from afterlaunch.drift import rhythms, slices
from afterlaunch.drift.slices import Slice
from afterlaunch.predictions import judging, slicing, weekly
from afterlaunch.predictions.actions import HOUR, cut_of
from afterlaunch.predictions.models import Hour, Reference

DAY = 24  # hours
BAD = ("breach", "warning")


@dataclass(frozen=True)
class Sliced:
    """`why`: what could not be asked, or ''. `hours`: of the drift; `against`: what with, in words."""

    found: list[Slice]
    why: str = ""
    hours: int = 0
    against: str = ""


def slices_of(reference: Reference, version: str, newest: datetime, name: str) -> Sliced:
    by = cut_of(reference.pk, reference.digest)
    if by is None or not [key for key in by.values if key != name]:
        most = slicing.VALUES
        return Sliced([], f"The reference has no other column of 2 to {most} values, by which rows could be sliced.")
    rows = Hour.objects.filter(reference=reference, model_version=version).exclude(judged_at=None)
    drifted = []
    for hour in rows.filter(start__gt=newest - HOUR * DAY, start__lte=newest).order_by("-start").defer("profile"):
        told = next((one for one in hour.features if one["name"] == name), None)
        if told is None or told["status"] not in BAD:
            break
        drifted.append(hour)
    known = [hour for hour in drifted if hour.slices is not None]
    if not known:
        return Sliced([], "The hours were received before slices were counted." if drifted else "It does not drift.")
    now = by.empty()
    for hour in known:
        now += slicing.unpack(bytes(hour.slices or b""), by)
    rhythm = weekly.of(reference)
    if rhythm is not None and name in rhythm.features and (rhythm.since is None or newest >= rhythm.since):
        zone = ZoneInfo(rhythm.zone)
        starts = [
            rhythms.after_weeks(hour.start, -back, zone) for hour in known for back in range(1, rhythms.WEEKS + 1)
        ]
        past = rows.filter(start__in=starts).exclude(slices=None).values_list("slices", flat=True)
        before, against = by.empty(), f"the same hours of the {rhythms.WEEKS} weeks before"
        for body in past:
            before += slicing.unpack(bytes(body or b""), by)
    else:
        body = Reference.objects.values_list("slices", flat=True).get(pk=reference.pk)
        before, against = slicing.unpack(bytes(body or b""), by), "the reference"
    found = slices.ranked(slicing.of_feature(by, name, before, now), judging.LIMITS.tolerance)
    why = "" if found else f"Neither {against} nor the drifted hours have rows in a slice."
    return Sliced(found, why, len(known), against)
