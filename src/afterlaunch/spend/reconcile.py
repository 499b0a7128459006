"""A bill against what telemetry settled, tokens first, then money (spend rules §9). Pure.

1. Tokens by model and class over the time; equal within tolerance, or missed (billed, not seen) or unbilled (seen, not
billed). 2. Money: what the bill has beside usage (fees, credits, discounts, tax) is told apart; missed and unbilled
tokens are worth what the table says; the rest of a model's difference is its price. 3. Days that differ against each
other but not in sum are edges of days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from afterlaunch.spend.bills import CLASSES, KINDS, BillLine, plain

TOKENS, MONEY = Decimal("0.001"), Decimal("0.005")
"""Tolerances: shares of what was billed."""
BESIDE = [kind for kind in KINDS if kind != "usage"]


@dataclass(frozen=True)
class Settled:
    """What telemetry holds of a day and a model: tokens by class, known cost, calls, and calls of unknown cost."""

    day: date
    model: str
    tokens: Mapping[str, int]
    nano: int
    calls: int
    unknown: int


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
    missed_nano: int | None = None
    price_nano: int | None = None

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

    @property
    def difference_nano(self) -> int | None:
        return None if self.billed_nano is None else self.billed_nano - self.settled_nano

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
) -> Outcome:
    lines, settled = list(lines), list(settled)
    rows = _rows(lines, settled)
    out = Outcome(
        "not_assessed", "no_bill", sorted(rows.values(), key=lambda row: -(row.billed_nano or row.settled_nano))
    )
    out.settled_nano = sum(row.settled_nano for row in out.rows)
    out.settled_tokens = sum(sum(row.settled_tokens.values()) for row in out.rows)
    out.calls, out.unknown = sum(row.calls for row in out.rows), sum(row.unknown for row in out.rows)
    if not lines:
        return out
    if any(line.tokens is not None for line in lines):
        out.billed_tokens = sum(line.tokens or 0 for line in lines)
        out.day_edges = _edges(lines, settled)
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
    return rows


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
                reason = (
                    "calls_of_unknown_cost"
                    if _as_unknown(row)
                    else "missed_calls"
                    if row.missed_nano > 0
                    else "unbilled_calls"
                )
                _add(out.explained if reason == "calls_of_unknown_cost" else out.unexplained, reason, row.missed_nano)
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


def _as_unknown(row: Row) -> bool:
    """Whether calls whose usage nobody told can hold what is missing: each at most twice what a known one has."""
    known, missing = row.calls - row.unknown, row.tokens_apart
    if missing <= 0 or not row.unknown or not known:
        return False
    return missing <= 2 * row.unknown * sum(row.settled_tokens.values()) / known


def _add(to: dict[str, int], reason: str, nano: int) -> None:
    if nano:
        to[reason] = to.get(reason, 0) + nano


def _judged(out: Outcome, tokens: Decimal, money: Decimal) -> tuple[str, str]:
    if out.billed_tokens is not None:
        apart = sum(
            abs(row.billed_tokens.get(name, 0) - row.settled_tokens.get(name, 0))
            for row in out.rows
            for name in CLASSES
        )
        if apart > tokens * max(out.billed_tokens, 1):
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
        "tokens_on_another_day": out.day_edges,
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
            }
            for row in out.rows
        ],
    }
