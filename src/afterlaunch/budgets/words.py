"""What pages and alerts say of budgets. Pure."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from afterlaunch.budgets.rules import Forecast
from afterlaunch.budgets.units import bare, shown
from afterlaunch.contracts.budgets import EACH


def when(at: datetime, zone: str) -> str:
    """Thursday 26 November 14:00 (Europe/Berlin)."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%A} {local.day} {local:%B %H:%M} ({zone})"


def scope_of(scope: dict[str, str]) -> str:
    """each tenant, agent = triage."""
    parts = [f"each {name}" if value == EACH else f"{name} = {value}" for name, value in sorted(scope.items())]
    return ", ".join(parts) or "all calls"


def expected(forecast: Forecast, unit: str, limit: int, local: str) -> str:
    """`local`: the time at which the limit is reached, for the reader."""
    if forecast.kind == "reached":
        return "The limit is reached."
    if forecast.kind == "reaches":
        return f"Spent by {local} at this rate."
    if forecast.kind == "holds" and forecast.ends_at is not None:
        return f"Holds: {bare(unit, forecast.ends_at)} of {shown(unit, limit)} by the end at this rate."
    if forecast.kind == "holds":
        return "Holds for years at this rate."
    if forecast.kind == "idle":
        return "Nothing was used lately."
    return "Too early to tell."
