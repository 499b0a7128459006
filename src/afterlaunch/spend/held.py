"""What gateways' ledgers hold by day, taken in and added up: the reserved side of reconciliation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.db import transaction

from afterlaunch.contracts.gateway_names import LONGEST, formerly
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.prices.bundled import provider_id
from afterlaunch.spend.models import LedgerDay
from afterlaunch.spend.reconcile import AMOUNTS, Held

MOST = 5_000  # days in one body
TEXTS = {"client": 60, "provider": 120, "model": 200}
Key = tuple[str, date, str, str]


@transaction.atomic
def take(actor: Actor, gateway: str, days: Sequence[object]) -> tuple[int, list[tuple[int, str]]]:
    """How many were news; places of bad ones with what is wrong. A later telling wins, so that telling again changes
    nothing. Raises NotAllowed, Invalid."""
    actor.require(Role.INGEST, None)
    if not gateway.strip() or len(gateway) > LONGEST:
        raise Invalid(f"A gateway tells its id, at most {LONGEST} characters.")
    if len(days) > MOST:
        raise Invalid(f"At most {MOST:,} days at a time.", "Send them in several bodies.")
    good: dict[Key, LedgerDay] = {}
    bad: list[tuple[int, str]] = []
    for place, one in enumerate(days):
        read = _read(gateway, one)
        if isinstance(read, str):
            bad.append((place, read))
        elif (key := _key(read)) not in good or good[key].at < read.at:
            good[key] = read
    known = {_key(row): row for row in _known(gateway, list(good))}
    news = [row for key, row in good.items() if key not in known or known[key].at < row.at]
    LedgerDay.objects.bulk_create(
        sorted(news, key=lambda row: (row.client, row.day, row.provider, row.model)),
        batch_size=40,
        update_conflicts=True,
        unique_fields=["client", "day", "provider", "model", "gateway"],
        update_fields=[*AMOUNTS, "at"],
    )
    if before := formerly(gateway):  # told under its host alone, before it had a name of its own
        past = [row.pk for row in _known(before, list(good)) if _key(row) in good]
        LedgerDay.objects.filter(pk__in=past).delete()
    return len(news), bad


def _key(row: LedgerDay) -> Key:
    return row.client, row.day, row.provider, row.model


def _known(gateway: str, keys: Sequence[Key]) -> list[LedgerDay]:
    if not keys:
        return []
    told = [day for _, day, _, _ in keys]
    rows = LedgerDay.objects.select_for_update().filter(gateway=gateway, day__gte=min(told), day__lte=max(told))
    return list(rows)


def _read(gateway: str, one: object) -> LedgerDay | str:
    """What it says, or what is wrong with it."""
    if not isinstance(one, Mapping):
        return "a day is an object"
    texts: dict[str, str] = {}
    for name, longest in TEXTS.items():
        value = one.get(name)
        if not isinstance(value, str) or len(value) > longest or "\0" in value:
            return f"{name} is text of at most {longest} characters"
        texts[name] = value
    try:
        day = date.fromisoformat(str(one.get("day")))
    except ValueError:
        return "day is written like 2026-11-22"
    amounts: dict[str, Any] = {}
    for name in (*AMOUNTS, "at"):
        value = one.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
            return f"{name} is a whole number, not negative"
        amounts[name] = value
    texts["provider"] = provider_id(texts["provider"])
    return LedgerDay(gateway=gateway, day=day, **texts, **amounts)


def held(client: str, provider: str, first: date, last: date) -> list[Held]:
    """Of the days [first, last], by model, over all gateways."""
    rows = LedgerDay.objects.filter(client=client, provider=provider, day__gte=first, day__lte=last)
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        into = found.setdefault(row.model, dict.fromkeys(AMOUNTS, 0))
        for name in AMOUNTS:
            into[name] += getattr(row, name)
    return [Held(model, **amounts) for model, amounts in found.items()]
