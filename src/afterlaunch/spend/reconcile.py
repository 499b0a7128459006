"""What was reserved, what was settled, and a provider's bill: tokens first, then money (spend rules §9). Pure.

1. Tokens by model and class over the time; equal within tolerance, or missed (billed, not seen) or unbilled (seen, not
billed). 2. Money: what the bill has beside usage (fees, credits, discounts, tax) is told apart; missed and unbilled
tokens are worth what the table says; the rest of a model's difference is its price. 3. Days that differ against each
other but not in sum are edges of days. 4. What is missing of a model is put down to what is known to be unsure of it,
where that can hold it: tokens that were estimated, reservations that nobody settled, calls of unknown usage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from typing import Any

from afterlaunch.spend.bills import CLASSES, KINDS, BillLine, plain

TOKENS, MONEY = Decimal("0.001"), Decimal("0.005")
"""Tolerances: shares of what was billed."""
BESIDE = [kind for kind in KINDS if kind != "usage"]
KNOWN = ("estimated_calls", "expired_reservations", "calls_of_unknown_cost")
"""Reasons that explain what tokens are apart."""


@dataclass(frozen=True)
class Held:
    """What gateways' ledgers hold of a model. `settled_*`: of attempts whose usage is known; what expired unsettled
    or came without usage stands at what was reserved. Money is of attempts whose price was known; `unpriced`: the
    others."""

    model: str = ""
    attempts: int = 0
    reserved_tokens: int = 0
    reserved_nano: int = 0
    settled_tokens: int = 0
    settled_nano: int = 0
    expired: int = 0
    expired_tokens: int = 0
    expired_nano: int = 0
    unknown: int = 0
    unknown_tokens: int = 0
    unknown_nano: int = 0
    estimated: int = 0
    unpriced: int = 0

    @property
    def priced(self) -> bool:
        """Whether its money is known of any attempt."""
        return self.attempts > self.unpriced

    @property
    def error_tokens(self) -> int:
        """Reserved above what the same attempts came to; less than zero: reserved too little."""
        return self.reserved_tokens - self.settled_tokens - self.expired_tokens - self.unknown_tokens

    @property
    def error_nano(self) -> int:
        return self.reserved_nano - self.settled_nano - self.expired_nano - self.unknown_nano


AMOUNTS = tuple(one.name for one in fields(Held) if one.name != "model")


@dataclass(frozen=True)
class Settled:
    """What telemetry holds of a day and a model: tokens by class, known cost, calls, and calls of unknown cost;
    `estimated`: tokens that nobody told and the gateway estimated."""

    day: date
    model: str
    tokens: Mapping[str, int]
    nano: int
    calls: int
    unknown: int
    estimated: int = 0


@dataclass
class Row:
    """One model. Billed figures None: the bill does not tell them."""

    model: str
    billed_tokens: dict[str, int] = field(default_factory=dict)
    settled_tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    billed_nano: int | None = None
    settled_nano: int = 0
    calls: int = 0
    unknown: int = 0
    estimated: int = 0
    held: Held | None = None
    missed_nano: int | None = None
    price_nano: int | None = None
    tokens_because: str = ""  # why tokens are apart, where they are

    @property
    def tokens_apart(self) -> int:
        return sum(n - self.settled_tokens.get(name, 0) for name, n in self.billed_tokens.items())


@dataclass
class Outcome:
    """`status`: ok, breach, not_assessed. `explained` and `unexplained`: reason -> nano-USD; they sum to the difference
    of billed and settled money."""

    status: str
    reason: str
    rows: list[Row] = field(default_factory=list)
    billed_tokens: int | None = None
    settled_tokens: int = 0
    billed_nano: int | None = None
    settled_nano: int = 0
    calls: int = 0
    unknown: int = 0
    explained: dict[str, int] = field(default_factory=dict)
    unexplained: dict[str, int] = field(default_factory=dict)
    day_edges: int = 0  # tokens that only moved between days
    held: Held | None = None  # None: no gateway's ledger told anything of the time

    @property
    def difference_nano(self) -> int | None:
        return None if self.billed_nano is None else self.billed_nano - self.settled_nano

    @property
    def around_tokens(self) -> int | None:
        """Tokens that telemetry holds and no ledger does: around the gateway, or under no budget. Less than zero:
        spans were lost. None without a ledger."""
        if self.held is None:
            return None
        return self.settled_tokens - self.held.settled_tokens

    @property
    def lost_tokens(self) -> int:
        return max(0, -(self.around_tokens or 0))

    @property
    def around_calls(self) -> int | None:
        return None if self.held is None else self.calls - self.held.attempts

    @property
    def unexplained_tokens(self) -> int:
        """That are apart, class by class, in models where nothing known explains it."""
        return sum(
            abs(row.billed_tokens.get(name, 0) - row.settled_tokens.get(name, 0))
            for row in self.rows
            if self.billed_tokens is not None and row.tokens_because not in KNOWN
            for name in CLASSES
        )

    @property
    def unexplained_nano(self) -> int:
        return sum(abs(one) for one in self.unexplained.values())


Worth = Mapping[tuple[str, str], Decimal]
"""(model, class) -> nano-USD of a token."""


def reconcile(
    lines: Iterable[BillLine],
    settled: Iterable[Settled],
    worth: Worth,
    tokens: Decimal = TOKENS,
    money: Decimal = MONEY,
    held: Iterable[Held] = (),
) -> Outcome:
    lines, settled = list(lines), list(settled)
    rows = _rows(lines, settled)
    found = _hold(rows, held)
    out = Outcome(
        "not_assessed", "no_bill", sorted(rows.values(), key=lambda row: -(row.billed_nano or row.settled_nano))
    )
    out.settled_nano = sum(row.settled_nano for row in out.rows)
    out.settled_tokens = sum(sum(row.settled_tokens.values()) for row in out.rows)
    out.calls, out.unknown = sum(row.calls for row in out.rows), sum(row.unknown for row in out.rows)
    out.held = found
    if not lines:
        return out
    if any(line.tokens is not None for line in lines):
        out.billed_tokens = sum(line.tokens or 0 for line in lines)
        out.day_edges = _edges(lines, settled)
        for row in out.rows:
            row.tokens_because = _because(row)
    told = [line.nano for line in lines if line.nano is not None]
    if told:
        out.billed_nano = sum(told)
        _explain(out, lines, worth)
    out.status, out.reason = _judged(out, tokens, money)
    return out


def _rows(lines: Iterable[BillLine], settled: Iterable[Settled]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for line in lines:
        if line.kind != "usage":
            continue
        row = rows.setdefault(plain(line.model), Row(plain(line.model)))
        if line.tokens is not None:
            name = line.token_class or "input"
            row.billed_tokens[name] = row.billed_tokens.get(name, 0) + line.tokens
        if line.nano is not None:
            row.billed_nano = (row.billed_nano or 0) + line.nano
    for one in settled:
        row = rows.setdefault(plain(one.model), Row(plain(one.model)))
        for name, count in one.tokens.items():
            row.settled_tokens[name] += count
        row.settled_nano += one.nano
        row.calls += one.calls
        row.unknown += one.unknown
        row.estimated += one.estimated
    return rows


def _hold(rows: dict[str, Row], held: Iterable[Held]) -> Held | None:
    """Into the rows of their models; the sum of all, None where there is none."""
    found = None
    for one in held:
        row = rows.setdefault(plain(one.model), Row(plain(one.model)))
        row.held = _sum(row.held, one)
        found = _sum(found, one)
    return found


def _sum(before: Held | None, one: Held) -> Held:
    return Held(one.model, **{name: getattr(one, name) + (getattr(before, name) if before else 0) for name in AMOUNTS})


def _edges(lines: Iterable[BillLine], settled: Iterable[Settled]) -> int:
    """Tokens that are on another day there than here, of those that are in both."""
    by_day: dict[tuple[str, date], int] = {}
    for line in lines:
        if line.tokens is not None and line.kind == "usage":
            key = plain(line.model), line.day
            by_day[key] = by_day.get(key, 0) + line.tokens
    for one in settled:
        key = plain(one.model), one.day
        by_day[key] = by_day.get(key, 0) - sum(one.tokens.values())
    models: dict[str, list[int]] = {}
    for (model, _), count in by_day.items():
        models.setdefault(model, []).append(count)
    return sum((sum(abs(n) for n in counts) - abs(sum(counts))) // 2 for counts in models.values())


def _explain(out: Outcome, lines: Iterable[BillLine], worth: Worth) -> None:
    for line in lines:
        if line.kind != "usage" and line.nano:
            out.explained[line.kind] = out.explained.get(line.kind, 0) + line.nano
    for row in out.rows:
        difference = (row.billed_nano or 0) - row.settled_nano
        if row.billed_nano is None and row.billed_tokens:
            continue  # this bill tells its money elsewhere
        if row.billed_tokens and all((row.model, name) in worth for name in row.billed_tokens):
            apart = {name: n - row.settled_tokens.get(name, 0) for name, n in row.billed_tokens.items()}
            row.missed_nano = int(sum((worth[row.model, name] * n for name, n in apart.items()), Decimal(0)))
            row.price_nano = difference - row.missed_nano
            if row.missed_nano:
                reason = row.tokens_because or ("missed_calls" if row.missed_nano > 0 else "unbilled_calls")
                _add(out.explained if reason in KNOWN else out.unexplained, reason, row.missed_nano)
            _add(out.unexplained, "price", row.price_nano)
        elif row.unknown and row.unknown == row.calls:
            _add(out.explained, "calls_of_unknown_cost", difference)
        elif not row.calls:
            _add(out.unexplained, "missed_calls", difference)
        elif row.billed_nano is None:
            _add(out.unexplained, "unbilled_calls", difference)
        else:
            _add(out.unexplained, "price_or_volume", difference)
    left = (out.difference_nano or 0) - sum(out.explained.values()) - sum(out.unexplained.values())
    _add(out.unexplained, "other", left)


def _because(row: Row) -> str:
    """Why tokens of a model are apart. Calls whose usage nobody told hold what is missing if each has at most twice
    what a known one has; expired reservations at most twice what was reserved; estimates may be as wrong as they are
    large, either way."""
    missing, known = row.tokens_apart, row.calls - row.unknown
    if not row.billed_tokens or not missing:
        return ""
    if missing > 0 and row.unknown and known and missing <= 2 * row.unknown * sum(row.settled_tokens.values()) / known:
        return "calls_of_unknown_cost"
    if missing > 0 and row.held and missing <= 2 * (row.held.expired_tokens + row.held.unknown_tokens):
        return "expired_reservations"
    if abs(missing) <= row.estimated:
        return "estimated_calls"
    return "missed_calls" if missing > 0 else "unbilled_calls"


def _add(to: dict[str, int], reason: str, nano: int) -> None:
    if nano:
        to[reason] = to.get(reason, 0) + nano


def _judged(out: Outcome, tokens: Decimal, money: Decimal) -> tuple[str, str]:
    if out.billed_tokens is not None and out.unexplained_tokens > tokens * max(out.billed_tokens, 1):
        return "breach", "tokens_outside_tolerance"
    if out.billed_nano is not None:
        if out.unexplained_nano > money * max(abs(out.billed_nano), 1):
            return "breach", "money_outside_tolerance"
        return "ok", "within_tolerance"
    return "ok", "tokens_within_tolerance"


def document(out: Outcome, usd: Any) -> dict[str, Any]:
    """As the API tells it; `usd` writes nano-USD."""

    def money(nano: int | None) -> Any:
        return None if nano is None else usd(nano)

    share = out.unexplained_nano / abs(out.billed_nano) if out.billed_nano else None
    return {
        "status": out.status,
        "reason": out.reason,
        "billed_tokens": out.billed_tokens,
        "settled_tokens": out.settled_tokens,
        "billed_usd": money(out.billed_nano),
        "settled_usd": money(out.settled_nano),
        "difference_usd": money(out.difference_nano),
        "calls": out.calls,
        "calls_with_unknown_cost": out.unknown,
        "explained_usd": {reason: usd(nano) for reason, nano in out.explained.items()},
        "unexplained_usd": {reason: usd(nano) for reason, nano in out.unexplained.items()},
        "unexplained_share": share,
        "unexplained_tokens": out.unexplained_tokens,
        "tokens_on_another_day": out.day_edges,
        "reserved": _held_document(out.held, usd),
        "tokens_under_no_reservation": out.around_tokens,
        "calls_under_no_reservation": out.around_calls,
        "rows": [
            {
                "model": row.model or None,
                "billed_tokens": row.billed_tokens or None,
                "settled_tokens": row.settled_tokens,
                "billed_usd": money(row.billed_nano),
                "settled_usd": money(row.settled_nano),
                "worth_of_missed_usd": money(row.missed_nano),
                "price_difference_usd": money(row.price_nano),
                "calls": row.calls,
                "calls_with_unknown_cost": row.unknown,
                "tokens_apart_because": row.tokens_because or None,
                "reserved": _held_document(row.held, usd),
            }
            for row in out.rows
        ],
    }


def _held_document(held: Held | None, usd: Any) -> dict[str, Any] | None:
    """None: no ledger told of it. Money None where no attempt had a price."""
    if held is None:
        return None
    found: dict[str, Any] = {}
    for name in AMOUNTS:
        if name.endswith("_nano"):
            found[f"{name.removesuffix('_nano')}_usd"] = usd(getattr(held, name)) if held.priced else None
        else:
            found[name] = getattr(held, name)
    found["estimator_error_tokens"] = held.error_tokens
    found["estimator_error_usd"] = usd(held.error_nano) if held.priced else None
    return found
