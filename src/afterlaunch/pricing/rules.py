"""What an entry of a client's price table may say, and how it becomes a row. Pure.

name: contract-2026            percent: "7.5"
provider: openai               prices: {input: "2.5", output: {base: "10", above: {"200000": "15"}}}
model: gpt-4o                  conditions: {processing: batch}
from: 2026-01-01T00:00:00Z     daily: "00:30-16:30"
until: 2027-01-01T00:00:00Z    owner: Finance, reason: Contract 4711
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import re2

from afterlaunch.ground.errors import Invalid
from afterlaunch.prices.book import Book, Discount, Own
from afterlaunch.prices.bundled import LONGEST, provider_id
from afterlaunch.prices.rows import CONDITIONS, PER, Amount, Row, Source, Times, ties
from afterlaunch.prices.table import SLOT_MINUTES

MEMBERS = (
    *("name", "provider", "model", "pattern", "prices", "percent", "from", "until", "daily", "conditions"),
    *("currency", "owner", "reason"),
)
NEEDED = ("name", "provider", "owner", "reason")
MOST_ENTRIES = 5_000
OVERRIDE = "override"
MOST_PRICE, FINEST = Decimal(1_000_000), 12


@dataclass(frozen=True)
class Entry:
    """One entry as it is kept. `percent` is set for a discount, `prices` for a row."""

    name: str
    provider: str
    model: str = ""
    pattern: bool = False
    prices: Mapping[str, Any] = field(default_factory=dict)
    percent: Decimal | None = None
    starts: datetime | None = None
    ends: datetime | None = None
    daily: str = ""
    conditions: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    reason: str = ""
    source: str = OVERRIDE

    @property
    def times(self) -> Times:
        return Times(self.starts, self.ends, _between(self.daily) if self.daily else None)

    def document(self) -> dict[str, Any]:
        """As it is written in a file; what is empty is left out."""
        out = {
            "name": self.name,
            "provider": self.provider,
            "model": self.model,
            "pattern": self.pattern,
            "prices": dict(self.prices),
            "percent": None if self.percent is None else f"{self.percent.normalize():f}",
            "from": _written(self.starts),
            "until": _written(self.ends),
            "daily": self.daily,
            "conditions": dict(self.conditions),
            "owner": self.owner,
            "reason": self.reason,
        }
        return {name: value for name, value in out.items() if value not in (None, "", False, {})}


def read_entry(told: object, source: str = OVERRIDE) -> Entry:
    """Raises Invalid, which says what is wrong."""
    if not isinstance(told, Mapping):
        raise Invalid("An entry is an object.", f"It may have: {', '.join(MEMBERS)}")
    unknown = sorted(str(name) for name in told if name not in MEMBERS)
    if unknown:
        raise Invalid(f"An entry has no {', '.join(unknown)}.", f"It may have: {', '.join(MEMBERS)}")
    missing = [name for name in NEEDED if not str(told.get(name) or "").strip()]
    if missing:
        raise Invalid(f"The entry lacks {', '.join(missing)}.", "Who asked for a price, and why, is part of it.")
    name, model = str(told["name"]).strip(), str(told.get("model") or "").strip()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,119}", name):
        raise Invalid(f"{name!r} is no name for an entry.", "Letters, digits and ._:/@-, at most 120.")
    if str(told.get("currency") or "USD").upper() != "USD":
        raise Invalid(f"{name}: only USD is priced.", "Amounts of other currencies are never converted silently.")
    if len(model) > LONGEST:
        raise Invalid(f"{name}: no model has so long a name.")
    pattern = told.get("pattern") or False
    if not isinstance(pattern, bool):
        raise Invalid(f"{name}: pattern is true or false.")
    percent, prices = _percent(name, told.get("percent")), _prices(name, told.get("prices") or {})
    if (percent is None) == (not prices):
        raise Invalid(f"{name}: an entry has either prices or a percentage.")
    if prices and not model:
        raise Invalid(f"{name}: prices are of one model.", "Name it, or a pattern of names.")
    starts, ends = _instant(name, "from", told.get("from")), _instant(name, "until", told.get("until"))
    if starts and ends and ends <= starts:
        raise Invalid(f"{name}: until lies before from.")
    daily = str(told.get("daily") or "").strip()
    if pattern:
        _compiled(name, model)
    if daily:
        _between(daily, name)
    if percent is not None and (daily or told.get("conditions") or pattern):
        raise Invalid(f"{name}: a percentage has no conditions but its dates.", "Give a row of prices instead.")
    return Entry(
        name,
        provider_id(str(told["provider"])),
        model,
        pattern,
        prices,
        percent,
        starts,
        ends,
        daily,
        _conditions(name, told.get("conditions") or {}),
        str(told["owner"]).strip()[:200],
        str(told["reason"]).strip()[:500],
        source,
    )


def _compiled(name: str, model: str) -> None:
    try:
        re2.compile(model)
        re.compile(model)
    except (re2.error, re.error) as problem:
        raise Invalid(f"{name}: {model!r} is no pattern.") from problem


def _percent(name: str, told: Any) -> Decimal | None:
    if told in (None, ""):
        return None
    found = _decimal(name, "percent", told)
    if not -1000 <= found <= 100 or found == 0 or -_exponent(found) > 4:
        raise Invalid(
            f"{name}: {told} is no percentage.", "What comes off: above 0 to 100; below 0, what comes on top."
        )
    return found


def _prices(name: str, told: Any) -> dict[str, Any]:
    if not isinstance(told, Mapping):
        raise Invalid(f"{name}: prices is an object of units and amounts.", f"Units: {', '.join(PER)}")
    out: dict[str, Any] = {}
    for unit, amount in told.items():
        if unit not in PER:
            raise Invalid(f"{name}: nobody charges by {unit!r}.", f"Units: {', '.join(PER)}")
        if isinstance(amount, Mapping):
            above = amount.get("above") or {}
            if set(amount) - {"base", "above"} or "base" not in amount or not isinstance(above, Mapping):
                raise Invalid(f"{name}: {unit} has a base and what it is above how many input tokens.")
            if not all(str(n).isdigit() for n in above):
                raise Invalid(f"{name}: {unit}.above names numbers of input tokens.")
            steps = {str(int(n)): _price(name, unit, p) for n, p in sorted(above.items(), key=lambda one: int(one[0]))}
            base = _price(name, unit, amount["base"])
            out[str(unit)] = {"base": base, "above": steps} if steps else base
        else:
            out[str(unit)] = _price(name, unit, amount)
    return out


def _price(name: str, unit: str, told: Any) -> str:
    found = _decimal(name, unit, told)
    if not 0 <= found <= MOST_PRICE or -_exponent(found) > FINEST:
        raise Invalid(f"{name}: {told} is no price of {unit}.", "USD, 0 or more, with at most 12 decimals.")
    return f"{found.normalize():f}"


def _exponent(number: Decimal) -> int:
    return int(number.normalize().as_tuple().exponent)


def _decimal(name: str, of: str, told: Any) -> Decimal:
    if isinstance(told, bool) or not isinstance(told, str | int | float | Decimal):
        raise Invalid(f"{name}: {of} is no number.")
    try:
        found = Decimal(repr(told) if isinstance(told, float) else str(told).strip())
    except InvalidOperation:
        raise Invalid(f"{name}: {of} {told!r} is no number.", "Write it as a decimal, like 2.50.") from None
    if not found.is_finite():
        raise Invalid(f"{name}: {of} is no number.")
    return found


def _instant(name: str, of: str, told: Any) -> datetime | None:
    if told in (None, ""):
        return None
    if isinstance(told, datetime):
        found = told
    elif isinstance(told, date):
        found = datetime.combine(told, time(), UTC)
    else:
        try:
            found = datetime.fromisoformat(str(told))
        except ValueError:
            raise Invalid(f"{name}: {of} {told!r} is no instant.", "Write it like 2026-01-01T00:00:00Z.") from None
    found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    if found.minute % SLOT_MINUTES or found.second or found.microsecond:
        raise Invalid(f"{name}: prices change on quarters of an hour.", f"{of} is {told}.")
    return found


def _between(told: str, name: str = "") -> tuple[time, time]:
    found = re.fullmatch(r"(\d\d:\d\d)-(\d\d:\d\d)", told)
    try:
        if not found:
            raise ValueError
        begin, end = time.fromisoformat(found[1]), time.fromisoformat(found[2])
    except ValueError:
        raise Invalid(f"{name}: daily {told!r} is no interval.", "Write it in UTC, like 00:30-16:30.") from None
    if begin == end or begin.minute % SLOT_MINUTES or end.minute % SLOT_MINUTES:
        raise Invalid(f"{name}: prices change on quarters of an hour.", f"daily is {told}.")
    return begin, end


def _conditions(name: str, told: Any) -> dict[str, str]:
    if (
        not isinstance(told, Mapping)
        or set(told) - set(CONDITIONS)
        or not all(isinstance(v, str) for v in told.values())
    ):
        raise Invalid(f"{name}: conditions are facts of a call.", f"Facts: {', '.join(CONDITIONS)}")
    return {str(fact): value.strip().lower() for fact, value in told.items() if value.strip()}


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def book(entries: Iterable[Entry], version: str) -> Book:
    own: list[Own] = []
    discounts: list[Discount] = []
    for one in entries:
        if one.percent is not None:
            discounts.append(Discount(one.name, one.provider, one.model, one.percent, one.times))
        else:
            row = Row(one.name, amounts(one.prices), Source(one.source, version), one.times, one.conditions)
            own.append(Own(one.provider, one.model, row, one.pattern))
    return Book(tuple(own), tuple(discounts), version)


def amounts(prices: Mapping[str, Any]) -> dict[str, Amount]:
    out = {}
    for unit, told in prices.items():
        if isinstance(told, Mapping):
            tiers = tuple((int(above), Decimal(price)) for above, price in told["above"].items())
            out[unit] = Amount(Decimal(told["base"]), tuple(sorted(tiers)))
        else:
            out[unit] = Amount(Decimal(told))
    return out


def check(entries: Sequence[Entry]) -> None:
    """Raises Invalid where two rows would price the same call equally closely, or two percentages come off together."""
    rows: dict[tuple[str, str, bool], list[Row]] = {}
    for one in entries:
        if one.percent is None:
            row = Row(one.name, {}, Source(one.source, ""), one.times, one.conditions)
            rows.setdefault((one.provider, one.model.lower(), one.pattern), []).append(row)
    for (provider, model, _), same in rows.items():
        for first, second in ties(same):
            raise Invalid(
                f"{first.id} and {second.id} both price {provider} {model} at the same time.",
                "Give one an end or a condition, or write it under the name of the other.",
            )
    off = [one for one in entries if one.percent is not None]
    for number, this in enumerate(off):
        for that in off[number + 1 :]:
            same_place = (this.provider, this.model.lower()) == (that.provider, that.model.lower())
            if same_place and this.times.meet(that.times):
                raise Invalid(f"{this.name} and {that.name} both come off {this.provider}.", "Give one an end.")
    _patterns(entries)


def _patterns(entries: Sequence[Entry]) -> None:
    """A pattern must not meet an exact row of the same closeness."""
    rows = [one for one in entries if one.percent is None]
    for one in (row for row in rows if row.pattern):
        for two in rows:
            if two is one or two.provider != one.provider or not re.fullmatch(one.model, two.model, re.IGNORECASE):
                continue
            pair = [Row(each.name, {}, Source(each.source, ""), each.times, each.conditions) for each in (one, two)]
            if ties(pair):
                raise Invalid(f"The pattern of {one.name} meets {two.name}.", "Make one more special, or end it.")


@dataclass(frozen=True)
class Difference:
    """`what`: new, changed, gone."""

    name: str
    what: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def differences(before: Iterable[Entry], after: Iterable[Entry]) -> list[Difference]:
    old, new = ({one.name: one.document() for one in entries} for entries in (before, after))
    out = []
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        if was != now:
            out.append(Difference(name, "new" if was is None else "gone" if now is None else "changed", was, now))
    return out
