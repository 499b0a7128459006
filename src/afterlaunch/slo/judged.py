"""Minutes in which a judge found a breach: an indicator made of another judge's verdicts.

A minute is bad while the verdict is breach, good while it is ok or a warning; one not assessed is neither.
"""

from __future__ import annotations

from datetime import timedelta

from afterlaunch.ground import clock
from afterlaunch.slo.models import SloVersion
from afterlaunch.telemetry.queries import minute_of
from afterlaunch.telemetry.tables import MINUTE_NS
from afterlaunch.verdicts.models import Verdict, VerdictChange

GOOD, BAD = ("ok", "warning"), "breach"
Made = tuple[int, int, int]


def buckets(version: SloVersion, first: int, end: int) -> list[Made]:
    """(start, 1, whether bad) of each assessed minute; a minute has the verdict at its end."""
    measure = version.definition.measure
    rows = Verdict.objects.filter(
        judge=measure.judge,
        client=version.slo.client.slug,
        system=measure.system,
        environment=measure.environment,
        route=measure.route,
        arm="",
        provider="",
        host="",
    )
    verdict = rows.first()
    if verdict is None:
        return []
    start = clock.from_ns(first * MINUTE_NS)
    before = VerdictChange.objects.filter(verdict=verdict, at__lt=start).order_by("-at", "-pk").first()
    changes = [(first, before.after)] if before else []
    later = VerdictChange.objects.filter(verdict=verdict, at__gte=start).order_by("at", "pk")
    changes += [(minute_of(at), after) for at, after in later.values_list("at", "after")]
    until = min(end, minute_of(verdict.assessed_at + timedelta(minutes=1)))
    out: list[Made] = []
    for number, (begin, status) in enumerate(changes):
        stop = changes[number + 1][0] if number + 1 < len(changes) else until
        if status in GOOD or status == BAD:
            out += [(minute, 1, int(status == BAD)) for minute in range(begin, min(stop, until))]
    return out
