"""Which tier of the rollups answers for which minutes. Pure."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
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
    whole_days = _inside(days, DAY, first, last) if grain % DAY == 0 else []
    covered = set(whole_days)
    whole_hours = [one for one in _inside(hours, HOUR, first, last) if one // DAY * DAY not in covered]
    pieces = [Stretch("day", one, one + DAY) for one in whole_days]
    pieces += [Stretch("hour", one, one + HOUR) for one in whole_hours]
    out: list[Stretch] = []
    at = first
    for piece in sorted(pieces, key=lambda one: one.first):
        if at < piece.first:
            out.append(Stretch("minute", at, piece.first))
        if out and out[-1].tier == piece.tier:
            out[-1] = Stretch(piece.tier, out[-1].first, piece.last)
        else:
            out.append(piece)
        at = piece.last
    return [*out, Stretch("minute", at, last)] if at < last else out


def _inside(starts: Collection[int], size: int, first: int, last: int) -> list[int]:
    """Those that lie inside as a whole; centuries without any cost nothing."""
    asked = range(-(-first // size) * size, last - size + 1, size)
    few = isinstance(starts, AbstractSet) and len(starts) < len(asked)
    return [one for one in (starts if few else asked) if one in (asked if few else starts)]
