"""Contracts are written, deliveries are checked: each once, with everything that comes of it in one transaction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery

from afterlaunch.data_contracts.checking import AHEAD
from afterlaunch.data_contracts.compatibility import Difference, differences
from afterlaunch.data_contracts.contract import Contract, read
from afterlaunch.datasets.models import Check, Dataset, Standing, Version
from afterlaunch.datasets.rules import FALSE_ALERTS
from afterlaunch.estate.actions import Sighting, note_sightings, system_by_id, systems_seen_by
from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotFound, Unavailable
from afterlaunch.series.detector import Detector
from afterlaunch.series.scoring import resumed, saved

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
KEY = 200  # characters
SAME = timedelta(hours=1)  # so long the same body without a key is the same delivery, sent again
MOST = 1_000  # datasets of a system


def dataset_by_name(actor: Actor, pk: int, name: str) -> Dataset:
    return _named(system_by_id(actor, pk), name)


def _named(system: System, name: str) -> Dataset:
    row = Dataset.objects.select_related("system__client").filter(system=system, name=name).first()
    if row is None:
        raise NotFound(f"{system.name} has no dataset {name!r}.", "Write its contract first.")
    return row


def datasets_of(system: System) -> QuerySet[Dataset]:
    return Dataset.objects.select_related("system__client").filter(system=system, ended_at=None)


def in_force(dataset: Dataset) -> Version:
    """A dataset has one from the moment it is made."""
    return Version.objects.filter(dataset=dataset).order_by("-number")[0]


def all_in_force() -> list[Version]:
    """The newest of every dataset that is judged."""
    return list(newest_versions().select_related("dataset__system__client").order_by("dataset"))


def newest_versions() -> QuerySet[Version]:
    last = Version.objects.filter(dataset=OuterRef("dataset")).order_by("-number").values("number")[:1]
    return Version.objects.filter(dataset__ended_at=None, number=Subquery(last))


def proposed(system: System, text: str) -> tuple[Contract, Dataset | None, list[Difference]]:
    """A contract that somebody wants to put: what it is, what it would replace, and how it differs. Raises Invalid."""
    contract = read(text)
    if not NAME.fullmatch(contract.name):
        raise Invalid("metadata.name of a dataset has letters, digits, '.', '_' and '-', at most 100.", "orders, say")
    for name, mine in (("client", system.client.slug), ("system", system.key)):
        told = getattr(contract, name)
        if told and told != mine:
            raise Invalid(f"metadata.{name} is {told!r}; this is {mine!r}.", "Leave it out, or mend it.")
    if len(contract.owner) > 200 or len(contract.version) > 100:
        raise Invalid("metadata.owner has at most 200 characters, metadata.version 100.")
    known = Dataset.objects.filter(system=system, name=contract.name).first()
    found = differences(in_force(known).contract, contract) if known else []
    return contract, known, found


@transaction.atomic
def put_contract(actor: Actor, system: System, text: str) -> Version:
    """A new version where it says something else than the one in force. An ended dataset begins again."""
    actor.require(Role.OPERATOR, system.client.slug)
    System.objects.select_for_update().get(pk=system.pk)  # two versions at once would have one number
    text = text.replace("\r\n", "\n")
    contract, known, found = proposed(system, text)
    now = clock.now()
    if known is None:
        if Dataset.objects.filter(system=system).count() >= MOST:
            raise Invalid(f"A system may have {MOST:,} datasets.")
        known = Dataset.objects.create(system=system, name=contract.name, made_at=now)
    before = Version.objects.filter(dataset=known).order_by("-number").first()
    if before is not None and known.ended_at is None and _same(before, text, contract):
        return before
    Dataset.objects.filter(pk=known.pk).update(ended_at=None)
    digest = hashlib.sha256(text.encode()).hexdigest()
    made = Version.objects.create(
        dataset=known,
        number=before.number + 1 if before else 1,
        text=text,
        digest=digest,
        label=contract.version,
        owner=contract.owner,
        differences=[one.as_document() for one in found],
        made_at=now,
        made_by=actor.name[:200],
    )
    told = {"system": system.key, "dataset": known.name, "number": made.number, "digest": digest}
    told |= {"label": made.label, "breaking": made.breaking}
    record(actor, "data_contract.put", f"dataset/{known.pk}", system.client.slug, told)
    return made


def _same(before: Version, text: str, contract: Contract) -> bool:
    """Whose it is says the place already."""
    return before.text == text or replace(before.contract, client="", system="") == replace(
        contract, client="", system=""
    )


@transaction.atomic
def end(actor: Actor, dataset: Dataset) -> None:
    """It is judged no more; what was found stays."""
    slug = dataset.system.client.slug
    actor.require(Role.OPERATOR, slug)
    if not Dataset.objects.filter(pk=dataset.pk, ended_at=None).update(ended_at=clock.now()):
        raise Conflict(f"{dataset.name} has ended already.")
    record(actor, "data_contract.ended", f"dataset/{dataset.pk}", slug, {"dataset": dataset.name})


def place_for_check(actor: Actor, pk: int, name: str) -> Dataset:
    """One that the actor may send deliveries of. Whether another exists is not told to who may not see it."""
    system = System.objects.select_related("client").filter(pk=pk).first()
    if system is None or not actor.may(Role.INGEST, system.client.slug):
        if system is not None and systems_seen_by(actor).filter(pk=pk).exists():
            actor.require(Role.INGEST, system.client.slug)
        raise NotFound(f"There is no system {pk}.")
    dataset = _named(system, name)
    if dataset.ended_at is not None:
        raise Conflict(f"{name} has ended: its deliveries are not taken.", "Put its contract again.")
    return dataset


def receive(
    actor: Actor,
    dataset: Dataset,
    environment: str,
    digest: str,
    key: str,
    source: str,
    outcome: Callable[[Contract, datetime], dict[str, Any]],
) -> tuple[Check, bool]:
    """The check of a delivery, and whether it is new. `key`: what the sender calls it, or ''. `outcome` is asked
    outside of any transaction, and only where it is needed."""
    actor.require(Role.INGEST, dataset.system.client.slug)
    now, version = clock.now(), in_force(dataset)
    if (found := known_check(dataset, environment, digest, key, now)) is not None:
        return found, False
    document = outcome(version.contract, now)
    with transaction.atomic():
        client, system = dataset.system.client.slug, dataset.system.key
        note_sightings([Sighting(client, system, environment)], now)
        standing = _locked(dataset, environment, now)
        if (found := known_check(dataset, environment, digest, key, now)) is not None:
            return found, False
        if in_force(dataset).pk != version.pk:
            raise Unavailable("The contract changed just now.", "Send it again.", 1)
        rows = document["records"]
        check = Check.objects.create(
            standing=standing,
            version=version,
            key=f"key:{key}" if key else f"sha256:{digest}:{now.isoformat()}",
            digest=digest,
            source=source,
            received_at=now,
            received_by=actor.name[:200],
            records=rows,
            clean_records=document["clean"],
            verdict=document["verdict"],
            document=document,
            usual=_step(standing, rows, now),
        )
        _note(standing, document, now)
        return check, True


def _locked(dataset: Dataset, environment: str, now: datetime) -> Standing:
    """Until the end of the transaction others wait who tell of the same place."""
    fresh = Standing(dataset=dataset, environment=environment, first_at=now, last_at=now)
    Standing.objects.bulk_create([fresh], ignore_conflicts=True)
    return Standing.objects.select_for_update().get(dataset=dataset, environment=environment)


def known_check(dataset: Dataset, environment: str, digest: str, key: str, now: datetime) -> Check | None:
    """A delivery that was taken before. Raises Conflict where another one had this key."""
    rows = Check.objects.filter(standing__dataset=dataset, standing__environment=environment)
    if not key:
        return rows.filter(digest=digest, key__startswith="sha256:", received_at__gt=now - SAME).first()
    found = rows.filter(key=f"key:{key}").first()
    if found is not None and found.digest != digest:
        raise Conflict("This Idempotency-Key came with another body.", "Give every delivery a key of its own.")
    return found


def _step(standing: Standing, rows: int, now: datetime) -> dict[str, Any]:
    """The number of records against what it usually is."""
    body = bytes(standing.detector)
    detector = resumed(body) if body else Detector(FALSE_ALERTS)
    judged = detector.see(now.timestamp(), float(rows))
    standing.detector = saved(detector)
    return {"state": judged.state, "alert": judged.alert, "why": judged.why, "expected": judged.expected}


def _note(standing: Standing, document: Mapping[str, Any], now: datetime) -> None:
    told = [datetime.fromisoformat(document["newest"])] if document["newest"] else []
    told += [standing.newest] if standing.newest else []
    standing.newest = max((at for at in told if at <= now + AHEAD), default=None)
    standing.last_at, standing.deliveries = max(now, standing.last_at), standing.deliveries + 1
    standing.save(update_fields=["detector", "newest", "last_at", "deliveries"])


def digest_of(body: bytes, form: str) -> str:
    """`form`: as what it was read."""
    return hashlib.sha256(form.encode() + b"\0" + body).hexdigest()


def key_of(headers: Mapping[str, str]) -> str:
    given = headers.get("idempotency-key", "").strip()
    if len(given) > KEY or not (given.isprintable()):
        raise Invalid(f"An Idempotency-Key has 1 to {KEY} printable characters.")
    return given
