"""Deeds on providers' bills: import one, and hold it against what telemetry settled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.prices.bundled import provider_id
from afterlaunch.pricing.actions import book_of
from afterlaunch.spend.bills import CLASSES, BillLine, plain, read_bill
from afterlaunch.spend.held import held
from afterlaunch.spend.models import Bill
from afterlaunch.spend.reconcile import Outcome, Settled, reconcile
from afterlaunch.telemetry.queries import stretches
from afterlaunch.telemetry.windows import Window

_CLASS = {
    "in_uncached": "input",
    "in_tool_use": "input",
    "in_cache_read": "cache_read",
    "in_cache_write_5m": "cache_write",
    "in_cache_write_1h": "cache_write",
    "in_cache_write_other": "cache_write",
    "out_visible": "output",
    "out_reasoning": "output",
}
_UNIT = {"input": "input", "cache_read": "cache_read", "cache_write": "cache_write", "output": "output"}


@transaction.atomic
def import_bill(
    actor: Actor, client: Client, provider: str, form: str, text: str, mapping: Mapping[str, str] | None = None
) -> Bill:
    """Keep a bill's lines. The same file again is the same bill. Raises Invalid, NotAllowed, TooLarge."""
    actor.require(Role.OPERATOR, client.slug)
    if not provider.strip():
        raise Invalid("A bill is of a provider.", "Name it as telemetry does, such as openai.")
    lines = read_bill(text, form, mapping)
    named = f"{provider_id(provider)} {form} {sorted((mapping or {}).items())}\n{text}"
    digest = hashlib.sha256(named.encode()).hexdigest()
    last = Bill.objects.filter(client=client, provider=provider_id(provider), form=form).first()
    if last is not None and last.digest == digest:
        return last
    row = Bill.objects.create(
        client=client,
        provider=provider_id(provider),
        form=form,
        first_day=min(line.day for line in lines),
        last_day=max(line.day for line in lines),
        lines=[line.document() for line in lines],
        digest=digest,
        imported_at=clock.now(),
        imported_by=actor.name,
    )
    details = {"provider": row.provider, "form": form, "lines": len(lines), "digest": digest}
    details |= {"first_day": row.first_day.isoformat(), "last_day": row.last_day.isoformat()}
    record(actor, "bill.imported", f"bill/{row.pk}", client.slug, details)
    return row


def lines_of(client: Client, provider: str, first: date, last: date, closed: bool = False) -> list[BillLine]:
    """Of the days [first, last]; where several bills of one form and account tell a day, the latest. `closed`: without
    days that were still running when their bill was imported."""
    rows = Bill.objects.filter(client=client, provider=provider, first_day__lte=last, last_day__gte=first)
    newest: dict[tuple[str, str, date], list[BillLine]] = {}
    for bill in rows.order_by("pk"):
        mine: dict[tuple[str, str, date], list[BillLine]] = {}
        for told in bill.lines:
            line = BillLine.of(told)
            open_yet = closed and line.day >= bill.imported_at.astimezone(UTC).date()
            if first <= line.day <= last and not open_yet:
                mine.setdefault((bill.form, line.account, line.day), []).append(line)
        newest |= mine
    return [line for lines in newest.values() for line in lines]


@dataclass(frozen=True)
class Month:
    """A month's bill and telemetry of one provider. `last`: the last day that the bill tells."""

    provider: str
    first: date
    last: date | None
    outcome: Outcome
    imported_at: datetime | None


def month_of(actor: Actor, client: Client, month: str) -> list[Month]:
    """Every provider that billed or was called in a month (2026-11), by the days that the bill tells so far."""
    actor.require(Role.VIEWER, client.slug)
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise Invalid(f"{month!r} is no month.", "Write it like 2026-11.") from None
    first, last = days_of(first)
    windows = windows_of(client, first, last)
    bills = Bill.objects.filter(client=client, first_day__lte=last, last_day__gte=first)
    billed = set(bills.values_list("provider", flat=True))
    called = {provider_id(row.key["provider"] or "") for row in windows if row.key["provider"]}
    return [month_of_provider(client, provider, first, windows) for provider in sorted(billed | called)]


def days_of(first: date) -> tuple[date, date]:
    """First and last day of a month."""
    return first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def windows_of(client: Client, first: date, last: date) -> list[Window]:
    """What telemetry holds of each UTC day, by provider and model."""
    days = [datetime.combine(first + timedelta(days=n), time(), UTC) for n in range((last - first).days + 2)]
    return stretches(days, ["provider", "model"], frozenset({client.slug}))


def month_of_provider(client: Client, provider: str, first: date, windows: list[Window], closed: bool = False) -> Month:
    """Of the month that begins on `first`; `windows`: its days, of any provider."""
    first, last = days_of(first)
    lines = lines_of(client, provider, first, last, closed)
    until = max((line.day for line in lines), default=last)
    mine = [row for row in windows if provider_id(row.key["provider"] or "") == provider and row.start.date() <= until]
    settled = [_settled(row) for row in mine]
    reserved = held(client.slug, provider, first, until)
    found = reconcile(lines, settled, _worth(client, provider, lines, settled, until), held=reserved)
    bills = Bill.objects.filter(client=client, provider=provider, first_day__lte=last, last_day__gte=first)
    newest = bills.order_by("-imported_at").first()
    return Month(provider, first, until if lines else None, found, newest.imported_at if newest else None)


def _settled(row: Window) -> Settled:
    tokens = dict.fromkeys(CLASSES, 0)
    for bucket, count in row.buckets.items():
        tokens[_CLASS[bucket]] += count
    return Settled(
        row.start.date(),
        row.key["model"] or "",
        tokens,
        row.cost_nano,
        row.calls,
        row.calls_unknown_cost,
        row.tokens_estimated,
    )


def _worth(
    client: Client, provider: str, lines: list[BillLine], settled: list[Settled], day: date
) -> dict[tuple[str, str], Decimal]:
    """What a token of each model is worth by the client's table at the end of the time, in nano-USD."""
    book, at = book_of(client), datetime.combine(day, time(12), UTC)
    out: dict[tuple[str, str], Decimal] = {}
    models = {line.model for line in lines} | {one.model for one in settled}
    for model in models - {""}:
        found = book.find(provider, model, at)
        for name, unit in _UNIT.items() if found else ():
            assert found is not None
            amount = found.prices.get(unit) or (found.prices.get("input") if unit.startswith("cache") else None)
            if amount is not None:
                out.setdefault((plain(model), name), amount.base * 1_000)
    return out


def as_document(client: Client, one: Month, told: Any) -> dict[str, Any]:
    return {
        "client": client.slug,
        "provider": one.provider,
        "from": one.first,
        "billed_until": one.last,
        "imported_at": one.imported_at,
        **told,
    }
