"""Which tier of the rollups answers for which minutes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from math import gcd

from afterlaunch.telemetry.tables import TIERS

HOUR, DAY = TIERS["hour"], TIERS["day"]
MOST_PIECES = 12  # of a statement: more of them take longer to plan than minutes to add up
ANY = 10_000  # where minutes are forgotten, only hours and days know


@dataclass(frozen=True)
class Stretch:
    """The minutes [first, last) of one tier. `sign`: -1 for what another stretch holds too much."""

    tier: str
    first: int
    last: int
    sign: int = 1


def grain_of(bounds: Collection[int]) -> int:
    """The coarsest step that hits all of these minutes; 0 where there are none: then everything is added up."""
    return gcd(DAY, *bounds) if bounds else 0


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


def apart(pieces: Iterable[list[Stretch]], most: int = MOST_PIECES) -> list[Stretch] | None:
    """What was planned for times that follow one another, as one plan; None where it is of too many pieces."""
    out: list[Stretch] = []
    for one in chain.from_iterable(pieces):
        if out and (out[-1].tier, out[-1].last) == (one.tier, one.first):
            out[-1] = Stretch(one.tier, out[-1].first, one.last)
        else:
            out.append(one)
    return out if len(out) <= most else None


def shorter(found: list[Stretch], hours: Collection[int], days: Collection[int]) -> list[Stretch]:
    """The same sum from fewer rows, of what `plan` found and everything is added up of: where more than half of an
    outer day is asked for, the whole day less the rest."""
    inner = [one for one in found if one.tier == "day"]
    if not inner:
        return found
    first, last, begin, end = found[0].first, found[-1].last, inner[0].first, inner[-1].last
    if begin - first > DAY // 2 and begin - DAY in days and first > begin - DAY:
        less, rest = _less(begin - DAY, first, hours), [one for one in found if one.first > begin]
        found = [*less, Stretch("day", begin - DAY, inner[0].last), *rest]
    if last - end > DAY // 2 and end in days and last < end + DAY:
        rest, less = [one for one in found if one.last < end], _less(last, end + DAY, hours)
        found = [*rest, Stretch("day", max(one.first for one in found if one.last == end), end + DAY), *less]
    return found


def _less(first: int, last: int, hours: Collection[int]) -> list[Stretch]:
    return [Stretch(one.tier, one.first, one.last, -1) for one in plan(first, last, 0, hours, ())]


def _inside(starts: Collection[int], size: int, first: int, last: int) -> list[int]:
    """Those that lie inside as a whole; centuries without any cost nothing."""
    asked = range(-(-first // size) * size, last - size + 1, size)
    few = isinstance(starts, AbstractSet) and len(starts) < len(asked)
    return [one for one in (starts if few else asked) if one in (asked if few else starts)]
