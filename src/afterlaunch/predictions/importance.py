"""Columns of attributions among predictions: what the model looks at, of the last day, against the reference."""

from __future__ import annotations

from datetime import datetime

from afterlaunch.drift import importance
from afterlaunch.predictions import packed, rules
from afterlaunch.predictions.actions import HOUR, layouts_of
from afterlaunch.predictions.models import Hour, Reference
from afterlaunch.predictions.packed import Profiles
from afterlaunch.profiles.layouts import NumericLayout
from afterlaunch.profiles.numeric import NumericProfile
from afterlaunch.verdicts.words import Finding

PREFIX = "attribution:"
HOURS = 24


def finding(reference: Reference, now: datetime) -> Finding | None:
    """None without columns of attributions, and where no hour was judged since the last look."""
    layouts = layouts_of(reference.pk, reference.digest)
    names = [name for name, one in layouts.items() if name.startswith(PREFIX) and isinstance(one, NumericLayout)]
    if not names:
        return None
    judged = Hour.objects.filter(reference=reference).exclude(judged_at=None)
    newest = judged.order_by("-start").first()
    if newest is None:
        return rules.unranked("No hour of predictions has been judged yet.")
    if now - newest.start - HOUR > rules.SILENT:
        return rules.unranked("There are no predictions of the last hours.")
    if newest.judged_at != now:
        return None
    hours = judged.filter(model_version=newest.model_version, start__gt=newest.start - HOUR * HOURS)
    day = packed.empty({name: layouts[name] for name in names})
    for hour in hours.exclude(profile=None).iterator(24):
        profiles = packed.unpack(bytes(hour.profile or b""), layouts)
        day = packed.merge(day, {name: profiles[name] for name in names})
    before = importance.importances(_numeric(packed.unpack(bytes(reference.profile), layouts), names))
    present = importance.importances(_numeric(day, names))
    if why := importance.assessable(before, present):
        return rules.unranked(why, present.rows)
    return rules.ranked(importance.compare(before, present), present.rows)


def _numeric(profiles: Profiles, names: list[str]) -> dict[str, NumericProfile]:
    found = {}
    for name in names:
        one = profiles[name]
        if isinstance(one, NumericProfile):
            found[name.removeprefix(PREFIX)] = one
    return found
