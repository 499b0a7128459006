"""What one worker knows of a limit, and how much of it is granted to it."""

from __future__ import annotations

from afterlaunch.gateway.spending.records import Key

PART = 32  # of what is free, one part is a worker's
CALLS = 4  # a grant covers so many, or there is none


class Lot:
    """Of a limit, what this worker knows and may spend. `left`: what nobody has used or reserved; `room`: what is
    granted to this worker and free; `granted`: what the file says is granted; `asked`: the limit that its callers see
    now; `amount`: what one of them asked for last. Of a limit that only looks: no room."""

    __slots__ = ("amount", "asked", "at", "granted", "key", "left", "limit", "room")

    def __init__(self, key: Key, limit: int) -> None:
        self.key = key
        self.limit = self.asked = limit
        self.left = self.room = self.granted = 0
        self.amount, self.at = 1, 0.0


def part_of(free: int, lot: Lot, before: int) -> int:
    """Room of a grant: what this worker has where that still fits, else a part of what is free; 0 near the limit."""
    part = free // PART
    if part < CALLS * lot.amount:
        return 0
    return before if part // 2 <= before <= min(2 * part, free) else part
