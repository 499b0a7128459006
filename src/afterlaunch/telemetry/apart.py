"""What cannot be read or stored as a whole, halved until what is at fault stands alone: its neighbours are kept.

Pure. At most `MOST` halvings: a body that is bad throughout costs little more than one that is bad in one place.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

MOST = 64
OURS = Path(__file__).parent
FAULTS: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, ArithmeticError, LookupError, AttributeError, AssertionError),
    *(NotImplementedError, RecursionError),
)
"""What code of ours raises for a value that it did not expect: it would again. Not what may pass by itself, as a lack
of memory or of a disk."""
P = TypeVar("P")
R = TypeVar("R")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Apart(Generic[P, R]):
    """`done`: what the good parts became; `bad`: the others, each with its fault."""

    done: list[R]
    bad: list[tuple[P, Exception]]


def apart(
    whole: P,
    act: Callable[[P], R],
    halves: Callable[[P], tuple[P, P] | None],
    faults: tuple[type[Exception], ...] = FAULTS,
) -> Apart[P, R]:
    """Do it with each part, in order; what else `act` raises passes through. `halves` of a single item are None."""
    out: Apart[P, R] = Apart([], [])
    left, cuts = deque([whole]), 0
    while left:
        one = left.popleft()
        try:
            out.done.append(act(one))
        except faults as problem:
            two = halves(one) if cuts < MOST else None
            if two is None:
                out.bad.append((one, problem))
            else:
                cuts += 1
                left.extendleft(reversed(two))
    return out


def halves_of_rows(table: Any) -> tuple[Any, Any] | None:
    middle = table.num_rows // 2
    return (table.slice(0, middle), table.slice(middle)) if middle else None


def halves_of_message(message: M, path: tuple[str, ...]) -> tuple[M, M] | None:
    """Two of this kind: the items down the `path` of repeated fields, by number, each with its surroundings."""
    items = getattr(message, path[0])
    if len(items) > 1:
        middle = len(items) // 2
        parts = [items[:middle], items[middle:]]
    elif len(items) == 1 and len(path) > 1 and (inner := halves_of_message(items[0], path[1:])):
        parts = [[one] for one in inner]
    else:
        return None
    first, second = (_with(message, path[0], some) for some in parts)
    return first, second


def _with(message: M, field: str, items: list[Message]) -> M:
    made = type(message)()
    made.CopyFrom(message)
    made.ClearField(field)
    getattr(made, field).extend(items)
    return made


def why(problem: BaseException) -> str:
    """The kind of the fault and its place in the code; its own words may repeat what the sender wrote."""
    frames = traceback.extract_tb(problem.__traceback__)
    ours = [one for one in frames if OURS in Path(one.filename).parents] or frames
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return type(problem).__name__ + place
