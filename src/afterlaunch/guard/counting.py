"""What gateways counted of policies, taken in and added up. Telling again changes nothing: counts of a gateway in a
stretch only grow, and the larger telling is the later one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Sum

from afterlaunch.contracts.guard_counts import COUNTED, SLOT, Counts
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.guard.models import Count
from afterlaunch.routes.models import GuardPolicy

HOUR = 3_600
MOST = 5_000
AHEAD = 600  # seconds that a gateway's clock may be before ours
KEPT = timedelta(days=400)


@dataclass(frozen=True)
class Taken:
    """`refused`: place in the body and what is wrong."""

    taken: int
    refused: tuple[tuple[int, str], ...] = ()


def take(actor: Actor, gateway: str, counts: Sequence[object]) -> Taken:
    """Good counts are kept, bad ones named by their place."""
    actor.require(Role.INGEST, None)
    if not gateway.strip() or len(gateway) > 100:
        raise Invalid("A gateway tells its name, at most 100 characters.")
    if len(counts) > MOST:
        raise Invalid(f"At most {MOST:,} counts at a time.", "Send them in several bodies.")
    known = set(GuardPolicy.objects.values_list("pk", flat=True))
    latest = max(clock.now().timestamp(), clock.real()) + AHEAD
    good: dict[tuple[int, int], dict[str, int]] = {}
    bad: list[tuple[int, str]] = []
    for place, one in enumerate(counts):
        read = _read(one, known, latest)
        if isinstance(read, str):
            bad.append((place, read))
        else:
            good[read[0], read[1]] = read[2]
    _store(gateway, good)
    return Taken(len(good), tuple(bad))


def _read(one: object, known: set[int], latest: float) -> tuple[int, int, dict[str, int]] | str:
    if not isinstance(one, dict):
        return "a count is an object"
    policy, slot = one.get("policy"), one.get("slot")
    if not isinstance(policy, str) or not policy.isascii() or not policy.isdigit() or len(policy) > 18:
        return "policy is the id of one"
    if int(policy) not in known:
        return "there is no such policy"
    if isinstance(slot, bool) or not isinstance(slot, int) or slot % SLOT or not 0 < slot < latest:
        return f"slot is the beginning of a stretch of {SLOT} seconds, since 1970"
    amounts: dict[str, int] = {}
    for name in COUNTED:
        value = one.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
            return f"{name} is a whole number, not negative"
        amounts[name] = value
    return int(policy), slot, amounts


@transaction.atomic
def _store(gateway: str, good: Mapping[tuple[int, int], dict[str, int]]) -> None:
    """In the order of their keys."""
    fresh = [Count(gateway=gateway, policy_id=policy, slot=slot) for policy, slot in sorted(good)]
    Count.objects.bulk_create(fresh, batch_size=400, ignore_conflicts=True)
    for (policy, slot), amounts in sorted(good.items()):
        rows = Count.objects.filter(gateway=gateway, policy=policy, slot=slot)
        rows.filter(evaluated__lte=amounts["evaluated"], micros__lte=amounts["micros"]).update(**amounts)


def sums(policies: Iterable[int], since: datetime, until: datetime) -> dict[int, Counts]:
    """Of stretches that begin in [since, until). One question."""
    rows = Count.objects.filter(
        policy__in=list(policies), slot__gte=int(since.timestamp()), slot__lt=int(until.timestamp())
    )
    added = rows.values_list("policy").annotate(*(Sum(name) for name in COUNTED)).order_by("policy")
    return {policy: Counts(**dict(zip(COUNTED, found, strict=True))) for policy, *found in added}


def by_hour(policies: Iterable[int], since: datetime, until: datetime) -> dict[datetime, dict[str, int]]:
    """Matches, exceptions and bypasses of these policies together, by the hour."""
    first = int(since.timestamp()) // HOUR * HOUR
    rows = Count.objects.filter(policy__in=list(policies), slot__gte=first, slot__lt=int(until.timestamp()))
    names = ("matched", "exceptions", "bypassed")
    found: dict[datetime, dict[str, int]] = {
        datetime.fromtimestamp(at, UTC): dict.fromkeys(names, 0) for at in range(first, int(until.timestamp()), HOUR)
    }
    for slot, *amounts in rows.values_list("slot").annotate(*(Sum(name) for name in names)):
        hour = found[datetime.fromtimestamp(slot // HOUR * HOUR, UTC)]
        for name, amount in zip(names, amounts, strict=True):
            hour[name] += amount
    return found


def forget(now: datetime) -> None:
    Count.objects.filter(slot__lt=int((now - KEPT).timestamp())).delete()
