"""Limits that gateways on several machines share: each draws parts of what is free, and no two get the same.

A pot holds what has been given of a counter in a window. It grows by one conditional update, so that the sum of all
shares never passes the limit, on any database and with any number of servers. A share only grows: what a gateway holds
may be spent by now, whether or not it was told. Pots are taken in the order of their keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Sum

from afterlaunch.budgets.counting import LONGEST_COUNTER, begin_of
from afterlaunch.budgets.models import Count, Pot, Share
from afterlaunch.contracts.gateway_names import formerly
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.routes.models import Budget

MOST = 100
PART = 32  # a part is this much of what is free
LEAST = 1_000  # and of the limit at least this much, as long as that is free
SHARED = "gateways"


def draw(actor: Actor, gateway: str, wants: Sequence[object]) -> list[dict[str, Any]]:
    """The shares as they are now, in the order of the wants. Raises NotAllowed, Invalid."""
    actor.require(Role.INGEST, None)
    if not gateway.strip() or len(gateway) > 160:
        raise Invalid("A gateway tells its id, at most 160 characters.")
    if len(wants) > MOST:
        raise Invalid(f"At most {MOST} wants at a time.", "Send them in several bodies.")
    read = [_read(one) for one in wants]
    budgets = {row.pk: row for row in Budget.objects.filter(pk__in={one["budget"] for one in read}, ended_at=None)}
    found: dict[int, int] = {}
    for place in sorted(range(len(read)), key=lambda at: (read[at]["budget"], read[at]["counter"], read[at]["start"])):
        one = read[place]
        budget = budgets.get(one["budget"])
        if budget is None or budget.fed != SHARED:
            raise Invalid(f"Budget {one['budget']} is not shared by gateways.", "Its limit holds in each by itself.")
        if begin_of(budget, datetime.fromtimestamp(one["start"], UTC)) != one["start"]:
            raise Invalid(f"No {budget.window} of {budget.zone} begins at window_start.")
        found[place] = _draw(budget, gateway, one)
    return [
        {"budget": str(one["budget"]), "counter": one["counter"], "window_start": one["start"], "share": found[place]}
        for place, one in enumerate(read)
    ]


def _read(one: object) -> dict[str, Any]:
    if not isinstance(one, Mapping):
        raise Invalid("A want is an object.")
    budget, counter = one.get("budget"), one.get("counter")
    if not isinstance(budget, str) or not (budget.isascii() and budget.isdigit() and len(budget) < 19):
        raise Invalid("budget is the id of a budget, as text.")
    if not isinstance(counter, str) or len(counter) > LONGEST_COUNTER or "\0" in counter:
        raise Invalid(f"counter is text of at most {LONGEST_COUNTER} characters.")
    amounts: dict[str, int] = {}
    for name, most in (("window_start", 1 << 35), ("held", 1 << 62), ("tries", 64)):
        value = one.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise Invalid(f"{name} is a whole number, not negative.")
        amounts[name] = value
    found = {"budget": int(budget), "counter": counter, "start": amounts["window_start"]}
    return found | {"held": amounts["held"], "tries": amounts["tries"]}


@transaction.atomic
def _draw(budget: Budget, gateway: str, want: Mapping[str, Any]) -> int:
    where = {"budget": budget, "counter": want["counter"], "window_start": want["start"]}
    pot = Pot.objects.filter(**where).first() or _begun(where)
    share = Share.objects.filter(**where, gateway=gateway).first()
    if share is None:
        names = {gateway, formerly(gateway)}
        own = {"amount": _told(Count.objects.filter(**where, gateway__in=names)), "at": clock.now()}
        share, _ = Share.objects.get_or_create(**where, gateway=gateway, defaults=own)
    if share.amount > want["held"]:
        return share.amount  # another worker of this gateway drew it: it is theirs together
    while True:
        free = budget.limit - pot.given
        part = min(free, max((free << min(want["tries"], 6)) // PART, budget.limit // LEAST, 1))
        if part <= 0:
            return share.amount
        if Pot.objects.filter(pk=pot.pk, given=pot.given).update(given=F("given") + part):
            break
        pot.refresh_from_db()
    Share.objects.filter(pk=share.pk).update(amount=F("amount") + part, at=clock.now())
    share.refresh_from_db()
    return share.amount


def _begun(where: dict[str, Any]) -> Pot:
    """What gateways counted before the limit was shared, or hard, is given away already."""
    given = _told(Count.objects.filter(**where))
    return Pot.objects.get_or_create(**where, defaults={"given": given})[0]


def _told(rows: QuerySet[Count]) -> int:
    found = rows.aggregate(used=Sum("used"), reserved=Sum("reserved"))
    return (found["used"] or 0) + (found["reserved"] or 0)


def standing(budget: Budget, start: int, counter: str) -> tuple[int, int] | None:
    """How many gateways hold shares of a counter, and how much in all; None where it is not shared."""
    if budget.fed != SHARED:
        return None
    rows = Share.objects.filter(budget=budget, window_start=start, counter=counter)
    return rows.count(), sum(rows.values_list("amount", flat=True))
