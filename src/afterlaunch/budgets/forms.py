"""A budget as the form tells it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from afterlaunch.budgets.actions import THRESHOLDS, Values
from afterlaunch.budgets.units import counted, price, price_written, written
from afterlaunch.ground.errors import Invalid


def read(given: Mapping[str, str], before: Values | None = None) -> Values:
    """`before`: what is altered keeps scope, unit, window, zone and source. Raises Invalid."""
    unit = before.unit if before else given.get("unit", "usd")
    return Values(
        unit=unit,
        limit=counted(unit, given.get("limit", "")),
        window=before.window if before else given.get("window", "month"),
        scope=before.scope if before else scope(given.get("scope", "")),
        zone=before.zone if before else given.get("zone", "").strip() or "UTC",
        mode=given.get("mode", "hard"),
        no_price=given.get("no_price", "refuse"),
        default_pico=price(given.get("default_price", "").strip() or "0"),
        fed=before.fed if before else given.get("fed", "gateway"),
        thresholds=_thresholds(given.get("thresholds", "")),
        forecast=bool(given.get("forecast")),
        system=given.get("system", "").strip(),
        cheaper=given.get("cheaper", "").strip(),
    )


def scope(text: str) -> dict[str, str]:
    """`tenant=*, agent=triage`. Raises Invalid."""
    found: dict[str, str] = {}
    for part in re.split(r"[,\n]", text):
        name, sign, value = part.partition("=")
        if part.strip() and not (sign and value.strip()):
            raise Invalid(f"{part.strip()!r} is no part of a scope.", "Write them so: tenant=*, agent=triage")
        if part.strip():
            found[name.strip()] = value.strip()
    return found


def _thresholds(text: str) -> tuple[int, ...]:
    parts = [one.strip().rstrip("%").strip() for one in text.split(",") if one.strip()]
    if not all(one.isascii() and one.isdigit() and len(one) < 5 for one in parts):
        raise Invalid("Thresholds are whole percentages.", "For example 50, 80, 90, 100")
    return tuple(int(one) for one in parts)


def filled(values: Values | None) -> dict[str, object]:
    """What the form holds."""
    if values is None:
        return {
            "unit": "usd", "limit": "", "window": "month", "scope": "tenant=*", "zone": "", "mode": "hard",
            "no_price": "refuse", "default_price": "", "fed": "gateway", "forecast": True, "system": "", "cheaper": "",
            "thresholds": ", ".join(str(one) for one in THRESHOLDS),
        }  # fmt: skip
    return {
        "unit": values.unit,
        "limit": written(values.unit, values.limit),
        "window": values.window,
        "scope": ", ".join(f"{name}={value}" for name, value in values.scope.items()),
        "zone": values.zone,
        "mode": values.mode,
        "no_price": values.no_price,
        "default_price": price_written(values.default_pico) if values.default_pico else "",
        "fed": values.fed,
        "forecast": values.forecast,
        "system": values.system,
        "cheaper": values.cheaper,
        "thresholds": ", ".join(str(one) for one in values.thresholds),
    }
