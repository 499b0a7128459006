"""What was asked of labels, and what came of it: where nothing is wrong, and where nothing could be told, that is said
too."""

from __future__ import annotations

from dataclasses import dataclass

from afterlaunch.performance.judging import BREACH, NOT_ASSESSED, OK, WARNING
from afterlaunch.performance.sources import Trouble

ORDER = (BREACH, WARNING, OK, NOT_ASSESSED)


@dataclass(frozen=True)
class Check:
    """`method`: how it was asked; `n`: of what it was told; `troubles`: what is wrong, of which source."""

    kind: str
    title: str
    status: str
    why: str
    method: str
    n: int = 0
    troubles: tuple[Trouble, ...] = ()

    def as_document(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in ("kind", "title", "status", "why", "method", "n")}


def of(kind: str, title: str, method: str, n: int, troubles: list[Trouble], calm: str) -> Check:
    """One that was assessed. `calm`: what is said where nothing is wrong."""
    if not troubles:
        return Check(kind, title, OK, calm, method, n)
    worst = min(troubles, key=lambda one: ORDER.index(one.status))
    return Check(kind, title, worst.status, " ".join(one.why for one in troubles), method, n, tuple(troubles))


def unknown(kind: str, title: str, method: str, why: str, n: int = 0) -> Check:
    return Check(kind, title, NOT_ASSESSED, f"Not assessed. {why}", method, n)
