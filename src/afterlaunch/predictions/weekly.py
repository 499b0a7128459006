"""What an hour is compared with where its reference has a rhythm of the week, and what is told of it."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from afterlaunch.drift import rhythms
from afterlaunch.predictions import judging, packed
from afterlaunch.predictions.actions import layouts_of
from afterlaunch.predictions.judging import Known
from afterlaunch.predictions.models import Bucket, Reference, Rhythm
from afterlaunch.predictions.packed import Profiles

HELD = 8  # hours of the week whose profiles are kept in memory


def of(reference: Reference) -> Rhythm | None:
    return Rhythm.objects.filter(reference=reference).first()


@lru_cache(maxsize=HELD)
def _bucket(rhythm: int, made_at: datetime, hour: int, features: tuple[str, ...], pk: int, digest: str) -> Profiles:
    """Of a rhythm, which never changes. An hour that the weeks did not have is empty."""
    layouts = layouts_of(pk, digest)
    row = Bucket.objects.filter(rhythm=rhythm, hour=hour).first()
    found = packed.unpack(bytes(row.profile), layouts) if row else {}
    return {name: found[name] if name in found else packed.empty_of(layouts[name]) for name in features}


def same_hours(rhythm: Rhythm | None, reference: Reference, start: datetime) -> tuple[Profiles, str]:
    """What an hour is compared with, of the features with a rhythm; and that in words."""
    if rhythm is None or not rhythm.features or (rhythm.since is not None and start < rhythm.since):
        return {}, ""
    hour = rhythms.hour_of_week(start, ZoneInfo(rhythm.zone))
    told = f"{rhythms.said(hour)} ({rhythm.zone}) of {rhythm.weeks} weeks"
    features = tuple(str(one) for one in rhythm.features)
    return _bucket(rhythm.pk, rhythm.made_at, hour, features, reference.pk, reference.digest), told


def known_at(known: Known, rhythm: Rhythm | None, reference: Reference, start: datetime) -> Known:
    same, told = same_hours(rhythm, reference, start)
    return judging.in_hours(known, same, told) if same else known


def begins(rhythm: Rhythm | None, before: datetime | None, start: datetime) -> bool:
    """Whether this hour is the first that is compared so, after others that were not."""
    return bool(rhythm and rhythm.since and before is not None and before < rhythm.since <= start)


def document(rhythm: Rhythm | None) -> dict[str, object]:
    if rhythm is None:
        return {"known": False, "why": f"A rhythm of the week is learnt from {rhythms.WEEKS} whole weeks."}
    names = ("zone", "starts_at", "ends_at", "weeks", "since", "features", "left_out", "shares", "made_at")
    return {"known": True} | {name: getattr(rhythm, name) for name in names}


def season(rhythm: Rhythm | None, name: str) -> str:
    """What is known of a feature's rhythm, in words."""
    if rhythm is None:
        return f"not known yet: {rhythms.WEEKS} whole weeks tell it"
    share = f"{100 * rhythm.shares.get(name, 0.0):.0f} %"
    if name in rhythm.features:
        return f"the hours of the week explain {share} of what differs between hours"
    if why := rhythm.left_out.get(name):
        return f"not used, though the hours of the week explain {share}. {why}"
    return f"none: the hours of the week explain {share} of what differs between hours"
