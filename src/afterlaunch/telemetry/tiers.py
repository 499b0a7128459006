"""Which tier of the rollups answers for which minutes. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from math import gcd

from afterlaunch.telemetry.tables import TIERS

HOUR, DAY = TIERS["hour"], TIERS["day"]


@dataclass(frozen=True)
class Stretch:
    """The minutes [first, last) of one tier."""

    tier: str
    first: int
    last: int


def grain_of(bounds: Collection[int]) -> int:
    """The coarsest step that hits all of these minutes."""
    return gcd(DAY, *bounds)


def plan(first: int, last: int, grain: int, hours: Collection[int], days: Collection[int]) -> list[Stretch]:
    """`hours` and `days` are those (by their first minute) whose rows are up to date. `grain`: every bound that the
    question cares for is a multiple of so many minutes."""
    if first >= last:
        return []
    if grain % HOUR:
        return [Stretch("minute", first, last)]
    out: list[Stretch] = []
    for begin, end in pairwise(sorted({first, last, *range(-(-first // HOUR) * HOUR, last, HOUR)})):
        whole = begin % HOUR == 0 and end - begin == HOUR
        day = begin // DAY * DAY
        if grain % DAY == 0 and day in days and first <= day and day + DAY <= last:
            tier = "day"
        elif whole and begin in hours:
            tier = "hour"
        else:
            tier = "minute"
        if out and out[-1].tier == tier and out[-1].last == begin:
            out[-1] = Stretch(tier, out[-1].first, end)
        else:
            out.append(Stretch(tier, begin, end))
    return out
