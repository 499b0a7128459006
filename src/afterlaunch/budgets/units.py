"""Amounts of a budget as people write them and as they are counted. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from afterlaunch.ground.errors import Invalid
from afterlaunch.look import formats

NANO = Decimal(10**9)
PICO_PER_TOKEN = 10**6  # of a US dollar per million tokens


def counted(unit: str, written: object) -> int:
    """Dollars as nano-USD; tokens and requests are whole already. Raises Invalid."""
    try:
        given = Decimal(str(written).replace(",", "").replace("$", "").strip())
    except InvalidOperation:
        raise Invalid(f"{written!r} is no amount.", "For example 250 or 99.50") from None
    amount = given * NANO if unit == "usd" else given
    if not given.is_finite() or amount != amount.to_integral_value():
        finest = "nine decimals of a dollar" if unit == "usd" else "whole numbers"
        raise Invalid(f"{written!r} is finer than {finest}.")
    return int(amount)


def written(unit: str, amount: int) -> str:
    """The exact counterpart of `counted`."""
    return f"{(Decimal(amount) / NANO).normalize():f}" if unit == "usd" else str(amount)


def price(written_price: object) -> int:
    """US dollars per million tokens as pico-USD per token. Raises Invalid."""
    return counted("usd", written_price) * PICO_PER_TOKEN // 10**9


def price_written(pico: int) -> str:
    return f"{(Decimal(pico) / PICO_PER_TOKEN).normalize():f}"


def bare(unit: str, amount: int) -> str:
    """Where the unit stands beside it."""
    return formats.money(amount) if unit == "usd" else formats.compact(amount)


def shown(unit: str, amount: int | None) -> str:
    """For pages and alerts."""
    if unit == "usd":
        return formats.money(amount)
    return f"{formats.compact(amount)} {unit}"
