"""Datasets are judged by what was delivered, and by what was not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import OuterRef, Subquery

from afterlaunch.data_contracts.verdicts import FEWEST
from afterlaunch.datasets.actions import all_in_force
from afterlaunch.datasets.models import Check, Standing, Version
from afterlaunch.datasets.rules import JUDGES, WINDOW, Delivery, Place, all_of
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.words import Finding, Named, Scope

LOOKED_AT = 200  # deliveries of a day
KEPT = timedelta(days=400)
AT_ONCE = 1_000
DEFAULT = "prod"  # where a dataset belongs that has had no delivery


def judge(now: datetime) -> None:
    """Of every place with a contract a verdict of each judge."""
    versions = {one.dataset_id: one for one in all_in_force()}
    standings: dict[int, list[Standing]] = defaultdict(list)
    for row in Standing.objects.filter(dataset__ended_at=None).defer("detector"):
        standings[row.dataset_id].append(row)
    newest = newest_of(one.pk for rows in standings.values() for one in rows)
    places: dict[Scope, list[Place]] = defaultdict(list)
    for pk, version in sorted(versions.items()):
        system = version.dataset.system
        known: list[Standing | None] = [*standings[pk]]
        for standing in known or [None]:
            environment = standing.environment if standing else DEFAULT
            places[Scope(system.client.slug, system.key, environment)].append(
                place_of(version, standing, newest.get(standing.pk) if standing else None)
            )
    findings: list[tuple[Scope, Named, Finding]] = []
    for scope, found in places.items():
        findings += [(scope, of, told) for of, told in all_of(found, now)]
    with transaction.atomic():
        watch.write(findings, now, JUDGES)


def newest_of(standings: Iterable[int]) -> dict[int, Check]:
    """The newest delivery of each, by one question."""
    newest = Check.objects.filter(standing=OuterRef("pk")).order_by("-received_at", "-pk").values("pk")[:1]
    wanted = Standing.objects.filter(pk__in=list(standings)).values_list(Subquery(newest), flat=True)
    return {row.standing_id: row for row in Check.objects.filter(pk__in=[pk for pk in wanted if pk is not None])}


def place_of(version: Version, standing: Standing | None, newest: Check | None) -> Place:
    if standing is None:
        return Place(version.contract)
    since = standing.last_at - WINDOW
    found = [_delivery(newest)] if newest is not None and newest.received_at >= since else []
    if found and found[0].rows < FEWEST:  # too few alone: counts of those before it are enough
        rows = Check.objects.filter(standing=standing, received_at__gte=since).order_by("-received_at", "-pk")
        found += [Delivery(*told) for told in rows[1:LOOKED_AT].values_list("received_at", "records", "clean_records")]
    return Place(version.contract, found, standing.newest, standing.deliveries)


def _delivery(row: Check) -> Delivery:
    told = row.document
    findings, rules, wrong = told["findings"], told["rules"], told["first_wrong"]
    return Delivery(row.received_at, row.records, row.clean_records, findings, rules, row.usual, wrong)


def tidy(now: datetime) -> None:
    """Checks go after 400 days."""
    old = Check.objects.filter(received_at__lt=now - KEPT).order_by("received_at").values_list("pk", flat=True)
    Check.objects.filter(pk__in=list(old[:AT_ONCE])).delete()
