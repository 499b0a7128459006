"""Money and shares of the token report in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterlaunch.look.formats import UNKNOWN
from afterlaunch.reports.words import cents, estimate_mark, exact
from afterlaunch.telemetry.attribution import Share


def signed(nano: int) -> str:
    return ("−" if nano < 0 else "+") + cents(abs(nano))


def exactly(nano: int) -> str:
    return ("−" if nano < 0 else "+" if nano else "") + exact(abs(nano))


def usd(text: str) -> str:
    amount = float(text)
    return f"{'−' if amount < 0 else ''}${abs(amount):,.2f}"


def share_of(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:.0%}"


def projected(one: Mapping[str, Any]) -> str:
    if one["saving_usd"] is None:
        return "not assessed"
    low, middle, high = (usd(one[name]) for name in ("saving_low_usd", "saving_usd", "saving_high_usd"))
    return middle if low == high else f"{middle} ({low} to {high})"


def proved(one: Mapping[str, Any]) -> str:
    told = one["measured"]
    if not told or "share" not in told:
        return "nothing yet"
    low, high = usd(told["saving_low_usd"]), usd(told["saving_high_usd"])
    return f"{usd(told['saving_share_usd'])} a month ({low} to {high}), {told['share']:.1%} of the cost per call"


def cost_of(one: Share) -> str:
    mark = estimate_mark(one.calls_estimated)
    return "unknown" if one.calls and one.calls_unknown_cost == one.calls else mark + exact(one.cost_nano)
