"""Deeds on budgets. Each is evidence and publishes a new epoch in its own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from afterlaunch.accounts.models import Client
from afterlaunch.budgets.units import written
from afterlaunch.contracts.budgets import EACH
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.routes.models import Budget, Route
from afterlaunch.routes.snapshot import publish

THRESHOLDS = (50, 80, 90, 100)
FED = ("gateway", "gateways", "telemetry")
IN_TELEMETRY = ("client", "system", "environment", "route", "tenant", "agent")
FIXED = ("scope", "unit", "window", "zone", "fed")  # what has been counted would be of something else


@dataclass(frozen=True)
class Values:
    """What a budget is. `limit`: nano-USD, tokens or requests. `system`: its key, of a house budget CLIENT/KEY, whose
    responders are alerted; empty: the one that the scope names, or the only one there is."""

    unit: str
    limit: int
    window: str
    scope: Mapping[str, str] = field(default_factory=dict)
    zone: str = "UTC"
    mode: str = "hard"
    no_price: str = "refuse"
    default_pico: int = 0
    fed: str = "gateway"
    thresholds: tuple[int, ...] = THRESHOLDS
    forecast: bool = True
    system: str = ""
    cheaper: str = ""


def values_of(row: Budget) -> Values:
    system = ""
    if row.system is not None:
        system = row.system.key if row.client_id else f"{row.system.client.slug}/{row.system.key}"
    return Values(
        row.unit, row.limit, row.window, row.scope, row.zone, row.mode, row.no_price, row.default_pico, row.fed,
        tuple(row.thresholds), row.forecast, system, row.cheaper,
    )  # fmt: skip


def budgets_seen_by(actor: Actor) -> QuerySet[Budget]:
    """Those of the house are seen by who sees all clients."""
    seen = actor.sees()
    rows = Budget.objects.select_related("client", "system__client")
    return rows if seen is None else rows.filter(client__slug__in=seen)


def budget_by_id(actor: Actor, pk: int) -> Budget:
    row = budgets_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no budget {pk}.")
    return row


def budget_by_name(client: Client | None, name: str) -> Budget | None:
    """The one in force."""
    rows = Budget.objects.select_related("client", "system__client")
    return rows.filter(client=client, name=name, ended_at=None).first()


@transaction.atomic
def put_budget(actor: Actor, client: Client | None, name: str, values: Values) -> Budget:
    """Make a budget, or alter the one of this name; gateways hold to it within a second. Without a client it is the
    house's. Its scope, unit, window and source stay as they were made."""
    actor.require(Role.OPERATOR, client.slug if client else None)
    name = name.strip()
    if not 0 < len(name) <= 100 or not name.isprintable():
        raise Invalid("A budget has a name of at most 100 characters.")
    rows = Budget.objects.select_for_update(of=("self",)).select_related("client", "system__client")
    known = rows.filter(client=client, name=name, ended_at=None).first()
    scope = _scope(client, values)
    row = known or Budget(client=client, name=name, created_at=clock.now())
    if known is not None:
        _same(known, values, scope)
    before = _told(known) if known else {}
    row.scope, row.unit, row.window, row.zone, row.fed = scope, values.unit, values.window, values.zone, values.fed
    row.limit, row.mode, row.no_price, row.default_pico = (
        values.limit, values.mode, values.no_price, values.default_pico,
    )  # fmt: skip
    row.cheaper = values.cheaper.strip()[:200]
    row.thresholds, row.forecast = sorted(set(values.thresholds)), values.forecast
    _check(row)
    row.system = _alerted(client, scope, values)
    after = _told(row)
    if known is not None and before == after:
        return row
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as problem:
        raise Conflict(f"Somebody made a budget {name} at the same moment.", "Look at it, then alter it.") from problem
    slug = client.slug if client else None
    deed = "budget.altered" if known else "budget.made"
    record(actor, deed, f"budget/{row.pk}", slug, {"name": name, "before": before, "after": after})
    publish(f"budget {name}")
    return row


@transaction.atomic
def end_budget(actor: Actor, row: Budget, reason: str = "") -> Budget:
    """It limits nothing from now on; what was counted stays."""
    actor.require(Role.OPERATOR, row.client.slug if row.client else None)
    ended = Budget.objects.filter(pk=row.pk, ended_at=None).update(ended_at=clock.now())
    if not ended:
        raise Conflict(f"The budget {row.name} has ended already.")
    slug = row.client.slug if row.client else None
    record(actor, "budget.ended", f"budget/{row.pk}", slug, {"name": row.name, "reason": reason[:500]})
    publish(f"budget {row.name} ended")
    row.refresh_from_db()
    return row


def _told(row: Budget) -> dict[str, Any]:
    """As evidence and the page of changes have it."""
    told = asdict(values_of(row)) | {"limit": written(row.unit, row.limit)}
    return told | {"scope": dict(row.scope), "thresholds": list(row.thresholds)}


def _scope(client: Client | None, values: Values) -> dict[str, str]:
    scope = {str(name): str(value).strip() for name, value in values.scope.items()}
    if client is not None and scope.pop("client", client.slug) != client.slug:
        raise Invalid("The budget of a client is about this client.", "Leave client out of the scope.")
    for name, value in scope.items():
        if not value or len(value) > 200:
            raise Invalid(f"The scope's {name} needs a value of at most 200 characters.", f"{EACH} stands for each.")
    return dict(sorted(scope.items()))


def _same(known: Budget, values: Values, scope: Mapping[str, str]) -> None:
    told = {"scope": dict(scope), **{name: getattr(values, name) for name in FIXED[1:]}}
    for name, value in told.items():
        if getattr(known, name) != value:
            raise Conflict(
                f"The {name} of {known.name} cannot be altered: what was counted is of another.",
                "End it and make another one.",
            )


def _check(row: Budget) -> None:
    if wrong := row.contract().check():
        raise Invalid(f"This is no budget: {wrong}.")
    try:
        ZoneInfo(row.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"{row.zone!r} is no time zone.", "An IANA zone, such as Europe/Berlin.") from None
    if row.fed not in FED:
        raise Invalid(f"A budget is fed by {', '.join(FED)}, not {row.fed!r}.")
    if row.fed == "telemetry" and row.mode not in ("soft", "observe"):
        raise Invalid("Telemetry sees calls after they were made: it cannot refuse them.", "Choose soft or observe.")
    if row.fed == "telemetry" and (unseen := sorted(set(row.scope) - set(IN_TELEMETRY))):
        raise Invalid(f"Telemetry does not count by {unseen[0]}.", f"It counts by {', '.join(IN_TELEMETRY)}.")
    if any(isinstance(one, bool) or not isinstance(one, int) or not 0 < one <= 1000 for one in row.thresholds):
        raise Invalid("Thresholds are percentages from 1 to 1000.", "For example 50, 80, 90, 100.")
    if len(row.thresholds) > 10:
        raise Invalid("A budget has at most ten thresholds.")


def _alerted(client: Client | None, scope: Mapping[str, str], values: Values) -> System | None:
    """Whose responders hear of it."""
    slug = client.slug if client else scope.get("client", EACH)
    key = values.system or (scope.get("system", "") if scope.get("system") != EACH else "")
    if "/" in key and client is None:
        slug, _, key = key.partition("/")
    systems = System.objects.select_related("client")
    systems = systems if slug == EACH else systems.filter(client__slug=slug)
    if key:
        found = list(systems.filter(key=key)[:2])
        if len(found) != 1 and (values.system or values.thresholds or values.forecast):
            raise Invalid(
                f"There is no system {key!r} to alert.", "Name one as it is in telemetry; CLIENT/KEY for all."
            )
        return found[0] if len(found) == 1 else None
    if scope.get("route", EACH) != EACH:
        route = Route.objects.select_related("system__client").filter(name=scope["route"]).first()
        if route is not None and slug in (EACH, route.system.client.slug):
            return route.system
    found = list(systems[:2])
    if len(found) == 1:
        return found[0]
    if values.thresholds or values.forecast:
        raise Invalid("Whom shall it alert?", "Name a system, or leave thresholds and forecast out.")
    return None
