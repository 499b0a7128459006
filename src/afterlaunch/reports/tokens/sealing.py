"""A final token report sealed as evidence: kept as it was, its digest in the evidence log, differences told later.

1. A month is sealed once, of one client, in the client's zone, when it is over: by an operator, or by the duty SETTLED
after its end, since spans may come late. 2. What is computed later is compared with it part by part: a repricing, late
spans or the later fate of a recommendation make it differ, and the report says so; the seal stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import IntegrityError, transaction

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.reports.facts import Asked, zone_for
from afterlaunch.reports.models import Seal
from afterlaunch.reports.periods import month_of, period, preceding
from afterlaunch.reports.tokens.contents import Sealed, TokenReport
from afterlaunch.reports.tokens.documents import document
from afterlaunch.reports.tokens.facts import tokens
from afterlaunch.telemetry import served

KIND = "tokens"
SETTLED = timedelta(days=3)
SEALER = automation("reports")
SINCE = ("calls_extrapolated", "calls_sampled", "cost_extrapolated_usd")
"""What earlier versions of the product did not tell, so that a seal of theirs lacks it."""
BESIDE = ("seal", "from", "to", "time_zone")  # of no figure


def token_report(actor: Actor, asked: Asked, reader_zone: str) -> TokenReport:
    """The month as the actor may see it, with what became of its seal. Raises as `tokens` does."""
    report = tokens(actor, asked, reader_zone)
    slug = report.base.scope.client
    if slug is None or report.base.scope.system or not report.base.period.over:
        return report
    row = Seal.objects.filter(client__slug=slug, kind=KIND, month=report.base.period.month).first()
    return report if row is None else replace(report, seal=_standing(row, report))


def _standing(row: Seal, report: TokenReport) -> Sealed:
    same_zone = row.zone == report.base.period.zone
    now = _plain(report)
    if SINCE[0].encode() not in bytes(row.document):
        now = without(now, SINCE)
    differs = differences(orjson.loads(bytes(row.document)), now) if same_zone else ()
    return Sealed(row.sealed_at, row.digest, row.entry, differs, same_zone)


def without(node: Any, names: Collection[str]) -> Any:
    """JSON without the members of these names."""
    if isinstance(node, list):
        return [without(one, names) for one in node]
    if isinstance(node, dict):
        return {name: without(one, names) for name, one in node.items() if name not in names}
    return node


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Parts of the report that are not as they were sealed."""
    names = sorted({*before, *now} - set(BESIDE))
    return tuple(name for name in names if before.get(name) != now.get(name))


def _plain(report: TokenReport) -> dict[str, Any]:
    """As it is sealed: without links and without what is said of a seal."""
    told: dict[str, Any] = orjson.loads(_bytes(report))
    return told


def _bytes(report: TokenReport) -> bytes:
    told = document(replace(report, seal=None), "")
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def seal(actor: Actor, client: Client, month: str) -> Seal:
    """Once for a month that is over. Raises Invalid, Conflict, NotAllowed; Unavailable without telemetry."""
    actor.require(Role.OPERATOR, client.slug)
    report = tokens(SEALER, Asked(month, client.slug), client.time_zone)
    when = report.base.period
    if not when.over:
        raise Invalid(f"{when.label} is not over: its report is provisional.", "Seal it when the month has ended.")
    body = _bytes(report)
    digest = hashlib.sha256(body).hexdigest()
    details = {"month": month, "time_zone": when.zone, "sha256": digest, "bytes": len(body)}
    try:
        with transaction.atomic():
            if Seal.objects.filter(client=client, kind=KIND, month=month).exists():
                raise Conflict(f"The token report of {month} is sealed already.", "A seal never changes.")
            entry = record(actor, "report.sealed", f"report/{KIND}/{month}", client.slug, details)
            return Seal.objects.create(
                client=client, kind=KIND, month=month, zone=when.zone, document=body, digest=digest,
                entry=entry.index, sealed_at=clock.now(), sealed_by=actor.name,
            )  # fmt: skip
    except IntegrityError as problem:
        raise Conflict(f"Somebody sealed {month} at the same moment.", "Look at it.") from problem


def sealed_by_month(actor: Actor, client: Client, month: str) -> Seal:
    actor.require(Role.VIEWER, client.slug)
    row = Seal.objects.filter(client=client, kind=KIND, month=month).first()
    if row is None:
        raise NotFound(f"No token report of {month} is sealed.", "A final one is, three days after its month.")
    return row


def seal_final(now: datetime) -> None:
    """The last month of every client that had calls in it, once it has settled."""
    for client in Client.objects.order_by("slug"):
        zone = zone_for(client, SEALER, "UTC")
        month = preceding(month_of(now, zone))
        when = period(month, zone, now)
        if when.end + SETTLED > now or Seal.objects.filter(client=client, kind=KIND, month=month).exists():
            continue
        extent = served.extent(frozenset({client.slug}))
        if extent is not None and extent[0] < when.end and extent[1] >= when.start:
            seal(SEALER, client, month)
