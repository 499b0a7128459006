"""What shadows have used of their own budgets: taken in from gateways, and where each stands in its window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q, Sum

from afterlaunch.contracts.budgets import UNITS, Budget, Window, window_of
from afterlaunch.contracts.handling import Handling
from afterlaunch.contracts.plain import made
from afterlaunch.contracts.shadow import Shadow, named
from afterlaunch.look import formats
from afterlaunch.routes.models import Route, ShadowUse


class Counted(NamedTuple):
    """As a gateway tells it. `budget`: as `contracts.shadow.named` reads it."""

    budget: str
    window_start: int
    at: float
    used: int
    reserved: int
    refused: int


@dataclass(frozen=True)
class ShadowStanding:
    """In the window that runs now. Amounts are of the budget's unit, over all gateways; `refused`: copies that were not
    sent. `told`: whether a gateway has told of this window at all. `renews` None: never."""

    route: Route
    shadow: Shadow
    budget: Budget
    used: int
    reserved: int
    refused: int
    told: bool
    renews: datetime | None

    @property
    def left(self) -> int:
        return max(0, self.budget.limit - self.used - self.reserved)

    @property
    def part(self) -> float:
        """Used, of the limit; above 1 where answers cost more than was reserved for them."""
        return self.used / self.budget.limit

    @property
    def bar(self) -> float:
        """Percent of the width."""
        return min(100.0, self.part * 100)

    @property
    def shown_used(self) -> str:
        return formats.money(self.used) if self.budget.unit == "usd" else formats.compact(self.used)

    @property
    def shown_limit(self) -> str:
        return self._shown(self.budget.limit)

    @property
    def shown_left(self) -> str:
        return self._shown(self.left)

    def _shown(self, amount: int) -> str:
        return formats.money(amount) if self.budget.unit == "usd" else f"{formats.compact(amount)} {self.budget.unit}"

    @property
    def model(self) -> str:
        """Of the copies; empty: the caller's own."""
        candidate = self.route.arm("candidate")
        return self.shadow.model or (candidate.model if self.shadow.upstream is None and candidate else "")


@transaction.atomic
def take(gateway: str, counted: Iterable[Counted]) -> int:
    """How many were news: the later telling of a window wins. Routes that are no more are passed over."""
    rows = sorted(counted)
    names = {name for one in rows if (name := named(one.budget)) is not None}
    routes = dict(Route.objects.filter(name__in={route for route, _ in names}).values_list("name", "pk"))
    news = 0
    for one in rows:
        route, unit = named(one.budget) or ("", "")
        if route not in routes or unit not in UNITS:
            continue
        where: dict[str, Any] = {
            "route_id": routes[route],
            "unit": unit,
            "window_start": one.window_start,
            "gateway": gateway,
        }
        ShadowUse.objects.get_or_create(**where)
        values: Mapping[str, Any] = {"used": one.used, "reserved": one.reserved, "refused": one.refused, "at": one.at}
        news += ShadowUse.objects.filter(**where, at__lte=one.at).exclude(**values).update(**values)
    return news


def shadow_of(route: Route) -> Shadow | None:
    """None where it has none, or one that is off."""
    shadow = made(Handling, route.handling).shadow
    return shadow if shadow.share and shadow.budget is not None else None


def standings(routes: Iterable[Route], now: datetime) -> dict[int, ShadowStanding]:
    """By route's key, of those that have a shadow. One question."""
    running = {route.pk: (route, shadow) for route in routes if (shadow := shadow_of(route)) is not None}
    if not running:
        return {}
    found: dict[int, tuple[Route, Shadow, Budget, Window]] = {}
    wanted = Q()
    for pk, (route, shadow) in running.items():
        assert shadow.budget is not None  # shadow_of
        budget = shadow.budget.of(route.name)
        window = window_of(budget.window, budget.zone, now)
        found[pk] = (route, shadow, budget, window)
        wanted |= Q(route=pk, unit=budget.unit, window_start=int(window.start.timestamp()))
    sums = ShadowUse.objects.filter(wanted).values("route").order_by("route")
    sums = sums.annotate(used=Sum("used"), reserved=Sum("reserved"), refused=Sum("refused"))
    by = {row["route"]: row for row in sums}
    return {pk: _standing(*known, by.get(pk)) for pk, known in found.items()}


def _standing(
    route: Route, shadow: Shadow, budget: Budget, window: Window, row: Mapping[str, Any] | None
) -> ShadowStanding:
    used, reserved, refused = (row["used"], row["reserved"], row["refused"]) if row else (0, 0, 0)
    return ShadowStanding(route, shadow, budget, used, reserved, refused, row is not None, window.end)


def standing(route: Route | None, now: datetime) -> ShadowStanding | None:
    return standings([route], now).get(route.pk) if route is not None else None


def forget(before: int) -> None:
    """Windows that began earlier (seconds since 1970)."""
    ShadowUse.objects.filter(window_start__gt=0, window_start__lt=before).delete()
