"""Deeds on a client's price table. Every deed makes a new version of the whole; nothing of an old one is altered."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import yaml
from django.db import transaction
from django.db.models import Max

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound, TooLarge
from afterlaunch.ground.yaml_text import load
from afterlaunch.prices.book import BUNDLED, Book
from afterlaunch.pricing import in_force
from afterlaunch.pricing.models import PriceEntry
from afterlaunch.pricing.rules import (
    MEMBERS,
    MOST_ENTRIES,
    OVERRIDE,
    Difference,
    Entry,
    book,
    check,
    differences,
    read_entry,
)

MOST_BYTES = 4 * 2**20


def rows_in_force(client: Client, version: int | None = None) -> list[PriceEntry]:
    """The newest of each name, as of a version; without one, now."""
    rows = PriceEntry.objects.filter(client=client).order_by("name", "version")
    found = {row.name: row for row in (rows if version is None else rows.filter(version__lte=version))}
    return [row for row in found.values() if not row.withdrawn]


def version_of(client: Client) -> int:
    """0 while only the bundled table is in force."""
    return int(PriceEntry.objects.filter(client=client).aggregate(newest=Max("version"))["newest"] or 0)


def book_of(client: Client, version: int | None = None) -> Book:
    number = version_of(client) if version is None else version
    if not number:
        return BUNDLED
    return _book(client.slug, number, (row.entry for row in rows_in_force(client, number)))


def _book(slug: str, version: int, entries: Iterable[Entry]) -> Book:
    return book(entries, f"{slug}/{version}")


def books() -> dict[str, Book]:
    """Of every client that has entries: one query."""
    newest: dict[tuple[str, str], PriceEntry] = {}
    versions: dict[str, int] = {}
    for row in PriceEntry.objects.select_related("client").order_by("version"):
        newest[row.client.slug, row.name] = row
        versions[row.client.slug] = row.version
    by_client: dict[str, list[Entry]] = {slug: [] for slug in versions}
    for (slug, _), row in newest.items():
        if not row.withdrawn:
            by_client[slug].append(row.entry)
    return {slug: _book(slug, versions[slug], entries) for slug, entries in by_client.items()}


@dataclass(frozen=True)
class Planned:
    """What a client's table would become. `version`: the one it builds upon."""

    client: Client
    version: int
    before: tuple[Entry, ...]
    after: tuple[Entry, ...]
    differences: tuple[Difference, ...]

    @property
    def book(self) -> Book:
        return _book(self.client.slug, self.version + 1, self.after)


def plan(actor: Actor, client: Client, entries: Sequence[Entry], table: str = "") -> Planned:
    """`entries` are set; with `table`, they are all of that table, and what it had besides is gone. Raises Invalid."""
    actor.require(Role.OPERATOR, client.slug)
    names = [one.name for one in entries]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise Invalid(f"{twice[0]} is there twice.", "Each entry has a name of its own.")
    before = tuple(row.entry for row in rows_in_force(client))
    others = {one.name: one for one in before if one.source == (table or OVERRIDE)}
    for one in before:
        if one.name in set(names) and one.name not in others:
            raise Invalid(f"{one.name} is the name of an entry of {one.source}.", "Choose another name.")
    kept = [one for one in before if one.name not in set(names) and not (table and one.source == table)]
    after = (*kept, *entries)
    if len(after) > MOST_ENTRIES:
        raise Invalid(f"{len(after)} entries are too many.", f"A client has at most {MOST_ENTRIES:,}.")
    check(after)
    return Planned(client, version_of(client), before, after, tuple(differences(before, after)))


@transaction.atomic
def take(actor: Actor, planned: Planned) -> int:
    """Put a plan in force; returns the table's version. The same again makes none. Raises Conflict where somebody else
    changed the table since."""
    client = planned.client
    actor.require(Role.OPERATOR, client.slug)
    Client.objects.select_for_update().get(pk=client.pk)  # two editors take turns
    if version_of(client) != planned.version:
        planned = plan_again(actor, planned)
    if not planned.differences:
        return planned.version
    version, now = planned.version + 1, clock.now()
    after = {one.name: one for one in planned.after}
    before = {one.name: one for one in planned.before}
    for change in planned.differences:
        entry = after.get(change.name) or before[change.name]
        _write(client, version, entry, change.what == "gone", now, actor.name)
    details = {
        "version": version,
        "changes": [
            {"name": one.name, "what": one.what, "before": one.before, "after": one.after}
            for one in planned.differences[:200]
        ],
        "number": len(planned.differences),
    }
    record(actor, "prices.set", f"prices/{client.slug}/{version}", client.slug, details)
    transaction.on_commit(in_force.changed)
    return version


def plan_again(actor: Actor, planned: Planned) -> Planned:
    """The same changes upon the table as it is now."""
    wanted = {change.name for change in planned.differences}
    now = tuple(row.entry for row in rows_in_force(planned.client))
    changed = {one.name: one for one in planned.after if one.name in wanted}
    after = (*(one for one in now if one.name not in wanted), *changed.values())
    check(after)
    return Planned(planned.client, version_of(planned.client), now, after, tuple(differences(now, after)))


def _write(client: Client, version: int, entry: Entry, withdrawn: bool, now: Any, by: str) -> None:
    PriceEntry.objects.create(
        client=client,
        version=version,
        name=entry.name,
        source=entry.source,
        provider=entry.provider,
        model=entry.model,
        pattern=entry.pattern,
        prices=dict(entry.prices),
        percent=entry.percent,
        starts_at=entry.starts,
        ends_at=entry.ends,
        daily=entry.daily,
        conditions=dict(entry.conditions),
        owner=entry.owner,
        reason=entry.reason,
        withdrawn=withdrawn,
        created_at=now,
        created_by=by,
    )


def put_entry(actor: Actor, client: Client, told: object) -> int:
    """Set one override; returns the table's version."""
    return take(actor, plan(actor, client, [read_entry(told)]))


@transaction.atomic
def withdraw(actor: Actor, client: Client, name: str, reason: str) -> int:
    """An entry prices nothing from now on; it stays on record."""
    actor.require(Role.OPERATOR, client.slug)
    Client.objects.select_for_update().get(pk=client.pk)
    row = next((row for row in rows_in_force(client) if row.name == name), None)
    if row is None:
        raise NotFound(f"{client} has no price entry {name!r}.")
    if not reason.strip():
        raise Invalid("Say why the entry is withdrawn.")
    version = version_of(client) + 1
    _write(client, version, row.entry, True, clock.now(), actor.name)
    details = {"version": version, "name": name, "before": row.entry.document(), "reason": reason.strip()[:500]}
    record(actor, "prices.withdrawn", f"prices/{client.slug}/{version}", client.slug, details)
    transaction.on_commit(in_force.changed)
    return version


def read_table(text: str, table: str, owner: str, reason: str) -> list[Entry]:
    """A table as JSON, YAML (a list of entries) or CSV (a column per member, `prices.UNIT` for prices). Raises Invalid,
    TooLarge."""
    if len(text.encode()) > MOST_BYTES:
        raise TooLarge("The table is larger than 4 MiB.", "Split it into tables of several names.")
    if not table.strip() or table == OVERRIDE or len(table) > 100:
        raise Invalid("An imported table needs a name of its own.", "Such as vendor-2026-11.")
    usual = {"owner": owner, "reason": reason}
    return [read_entry({**usual, **one}, table) for one in _documents(text)]


def _documents(text: str) -> list[dict[str, Any]]:
    head = text.lstrip()
    try:
        if head.startswith(("[", "{")):
            found = orjson.loads(text)
        elif head.startswith("-"):
            found = load(text)
        else:
            return _of_csv(text)
    except (yaml.YAMLError, ValueError) as problem:
        raise Invalid(f"The table cannot be read: {str(problem).splitlines()[0]}.") from None
    found = found.get("entries") if isinstance(found, dict) else found
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Invalid("A table is a list of entries.", f"Each may have: {', '.join(MEMBERS)}")
    return found


def _of_csv(text: str) -> list[dict[str, Any]]:
    out = []
    for row in csv.DictReader(io.StringIO(text)):
        one: dict[str, Any] = {}
        for column, value in row.items():
            if column is None or value is None or not value.strip():
                continue
            first, _, rest = column.strip().partition(".")
            if rest and first in ("prices", "conditions"):
                one.setdefault(first, {})[rest] = value.strip()
            elif first == "pattern":
                one[first] = value.strip().lower() == "true"
            else:
                one[column.strip()] = value.strip()
        out.append(one)
    if not out:
        raise Invalid("The table has no rows.")
    return out
