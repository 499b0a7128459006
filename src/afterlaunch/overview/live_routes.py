"""What the gateways' routes carry right now: calls of the last 15 minutes by arm, beside the share that is set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.http import urlencode

from afterlaunch.routes.models import Route
from afterlaunch.telemetry import queries
from afterlaunch.telemetry.windows import Window

LATELY = timedelta(minutes=15)
ARMS = ("baseline", "candidate", "shadow")


@dataclass(frozen=True)
class Carried:
    """One arm. `part`: of the calls that callers waited for, None for a shadow, which nobody waits for."""

    arm: str
    window: Window
    part: float | None
    address: str


@dataclass(frozen=True)
class LiveRoute:
    """`asked`: the candidate's share as it is set, `sent`: as it was; None without a call. `apart`: so far from what is
    set that chance does not explain it (four standard deviations); cohorts and long sessions may."""

    route: Route
    arms: list[Carried]
    asked: float
    sent: float | None
    apart: bool

    @property
    def candidate(self) -> bool:
        """Whether it was sent anything."""
        return any(one.arm == "candidate" for one in self.arms)

    @property
    def calls(self) -> int:
        return sum(one.window.calls for one in self.arms if one.part is not None)


def live(routes: Iterable[Route], clients: queries.Clients, now: datetime) -> list[LiveRoute]:
    """One question for all routes."""
    rows = queries.windows(now - LATELY, now + timedelta(minutes=1), ["client", "route", "arm"], clients)
    by: dict[tuple[str | None, str | None], dict[str, Window]] = defaultdict(dict)
    for row in rows:
        if row.key["arm"] in ARMS:
            by[row.key["client"], row.key["route"]][row.key["arm"] or ""] = row
    return [_live(route, by.get((route.system.client.slug, route.name), {})) for route in routes]


def _live(route: Route, found: dict[str, Window]) -> LiveRoute:
    waited = sum(row.calls for arm, row in found.items() if arm != "shadow")
    arms = [_carried(route, arm, found[arm], waited) for arm in ARMS if arm in found]
    asked = route.share / 10_000
    sent = next((one.part for one in arms if one.arm == "candidate"), 0.0) if waited else None
    off = sent is not None and abs(sent - asked) > 4 * (max(asked * (1 - asked), 0.01) / waited) ** 0.5
    return LiveRoute(route, arms, asked, sent, off)


def _carried(route: Route, arm: str, window: Window, waited: int) -> Carried:
    told = {"q": f"route:{route.name} arm:{arm}", "range": "1h"}
    part = None if arm == "shadow" else window.calls / waited
    return Carried(arm, window, part, f"/calls?{urlencode(told)}")
