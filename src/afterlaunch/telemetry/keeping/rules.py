"""What holds for a client and a system: the nearest decision. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from afterlaunch.telemetry.keeping.content import MASKED, OFF, ON, Pattern, Rule
from afterlaunch.telemetry.keeping.retention import DEFAULT_DAYS

HOUSE_PLACE: tuple[None, str] = (None, "")


@dataclass(frozen=True)
class Decision:
    """One row: nothing decided is empty."""

    capture: str = ""
    patterns: tuple[Pattern, ...] = ()
    days: Mapping[str, int] = field(default_factory=dict)
    sampled: float | None = None


class Rules:
    """All decisions at one moment, by (client's slug or None, system or "")."""

    def __init__(self, decisions: Iterable[tuple[tuple[str | None, str], Decision]] = ()) -> None:
        self.decisions = dict(decisions)
        self._known: dict[tuple[str, str | None], Rule] = {}
        self.sampling = any(one.sampled is not None for one in self.decisions.values())

    def of(self, client: str, system: str | None) -> Rule:
        """What becomes of content: the nearest capture; the patterns of all levels."""
        known = self._known.get((client, system))
        if known is None:
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[client, system] = self._of(client, system)
        return known

    def _of(self, client: str, system: str | None) -> Rule:
        places: list[tuple[str | None, str]] = [HOUSE_PLACE, (client, "")]
        if system:
            places.append((client, system))
        capture, patterns = MASKED, []
        for decision in (self.decisions[place] for place in places if place in self.decisions):
            capture = decision.capture or capture
            patterns += [one for one in decision.patterns if one not in patterns]
        return Rule(capture, tuple(patterns))

    def share_of(self, client: str | None, system: str | None) -> float | None:
        """Of its traces, where senders do not tell it: the nearest decision; None: nobody told."""
        places: list[tuple[str | None, str]] = [(client, system or ""), (client, ""), HOUSE_PLACE]
        shares = (self.decisions[place].sampled for place in places if place in self.decisions)
        return next((share for share in shares if share is not None), None)

    def strictest(self, client: str | None) -> Rule:
        """What holds wherever a sender for this client, or (None) for any, may say that it comes from."""
        told = [one for (whose, _), one in self.decisions.items() if client is None or whose in (None, client)]
        captures = {one.capture or MASKED for one in told} | {self.of(client or "", None).capture}
        capture = next(one for one in (OFF, MASKED, ON) if one in captures)
        return Rule(capture, tuple(dict.fromkeys(pattern for one in told for pattern in one.patterns)))

    def days_of(self, client: str | None) -> dict[str, int]:
        """Kind of data -> days, for a client or (None) for the house."""
        days = dict(DEFAULT_DAYS)
        for place in (HOUSE_PLACE, (client, "")):
            if place in self.decisions:
                days |= self.decisions[place].days
        return days

    def clients(self) -> set[str]:
        """Those that decided something of their own about time."""
        return {client for (client, _), decision in self.decisions.items() if client is not None and decision.days}
