"""Calendars of a schedule: what is read in, what is served, and to whom."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction

from afterlaunch.accounts.actions import actor_of_user, digest
from afterlaunch.accounts.models import Client, User
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock, outbound
from afterlaunch.ground.actors import Actor, Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.notify.outbox import Notice, enqueue
from afterlaunch.notify.sealed import seal, unseal
from afterlaunch.oncall.actions import able_people, edit_schedule
from afterlaunch.oncall.calendar_in import LIMIT, Read, read
from afterlaunch.oncall.calendar_out import AHEAD, BEHIND, Entry, calendar_text
from afterlaunch.oncall.gaps import look_through, owners_of
from afterlaunch.oncall.history import plan, settle, shifts_between
from afterlaunch.oncall.load import members_of_rules
from afterlaunch.oncall.models import CalendarIn, CalendarOut, Schedule
from afterlaunch.oncall.schedule import loaded, people_by_pk

ENGINE = automation("engine")
EVERY, AGAIN = timedelta(hours=1), timedelta(minutes=5)
SECONDS = 20.0
AT_ONCE = 20
USED = timedelta(minutes=5)
SCHEDULES = 300


# -- in -------------------------------------------------------------------------------------------------------------


def who_of(client: Client) -> dict[str, int]:
    """Addresses and names, in small letters, of people who may act; a name that two have is nobody's."""
    found: dict[str, int] = {}
    twice: set[str] = set()
    for user in able_people(client):
        for name in {user.email.lower(), user.name.strip().lower()} - {""}:
            if name in found:
                twice.add(name)
            found[name] = user.pk
    return {name: pk for name, pk in found.items() if name not in twice}


def fetched(url: str, etag: str, trusted: bool) -> tuple[bytes | None, str]:
    """(body, ETag); body None: not changed. `trusted`: the address may be a private one of the allow-list. Raises
    Invalid, and outbound's Refused (the same kind) for an address that may not be asked."""
    headers = [("Accept", "text/calendar, */*;q=0.1"), *([("If-None-Match", etag)] if etag else [])]
    try:
        answer = outbound.get(url, headers, SECONDS, LIMIT, private=trusted)
    except outbound.Unreachable as problem:
        raise Invalid(f"The calendar can't be fetched: {problem}") from None
    if answer.status == 304 and etag:
        return None, etag
    if answer.status != 200:
        raise Invalid(f"{urlsplit(url).hostname} answers {answer.status}.", "Is the address still right?")
    return answer.body, answer.headers.get("etag", "")[:200]


def address_of(text: str) -> str:
    """webcal is https by another name."""
    text = text.strip()
    return "https" + text[len("webcal") :] if text.lower().startswith("webcal://") else text


@transaction.atomic
def add_calendar(
    actor: Actor, row: Schedule, name: str, body: bytes, url: str = "", etag: str = "", priority: int = 0
) -> CalendarIn:
    """A layer that is fed by a calendar, in force from now on. `body` is its text, fetched before or given once."""
    actor.require(Role.OPERATOR, row.client.slug)
    name, now = name.strip(), clock.now()
    if not name or len(name) > 100 or CalendarIn.objects.filter(schedule=row, name=name).exists():
        raise Invalid("A calendar needs a name of its own of up to 100 characters.")
    found = read(body, row.zone, now, who_of(row.client).get)
    made = CalendarIn.objects.create(
        schedule=row, name=name, sealed=seal({"url": url}) if url else "", host=urlsplit(url).hostname or "",
        trusted=actor.may(Role.ADMIN, None), text=body.decode("utf-8", "replace"), etag=etag, shifts=found.shifts,
        unmatched=found.unmatched, fetched_at=now, good_at=now, next_at=now + EVERY,
    )  # fmt: skip
    newest = row.versions.order_by("-number").first()
    layer = {"name": name, "priority": priority, "timeZone": row.zone, "calendar": name}
    edit_schedule(actor, row, [*(newest.layers if newest else []), layer])
    details = {"name": name, "host": made.host, "shifts": len(found.shifts), "unmatched": len(found.unmatched)}
    record(actor, "calendar_in.added", f"schedule/{row.pk}", row.client.slug, details)
    return made


@transaction.atomic
def declare_calendar(
    actor: Actor, row: Schedule, name: str, url: str = "", reference: str = "", body: bytes = b""
) -> CalendarIn:
    """As a document says it; layers name it by themselves. An address is asked within seconds by the engine, until then
    what was read before goes on; `reference` says where the address lies. A `body` is read now."""
    actor.require(Role.OPERATOR, row.client.slug)
    now, trusted = clock.now(), actor.may(Role.ADMIN, None)
    told: dict[str, Any] = {"trusted": trusted, "etag": "", "reference": reference, "error": ""}
    if url:
        url = address_of(url)
        try:
            place = outbound.check_address(url, trusted)
        except outbound.Unreachable as problem:
            raise Invalid(f"The address of the calendar {name!r} leads nowhere: {problem}") from None
        told |= {"sealed": seal({"url": url}), "host": place.host, "next_at": now}
    else:
        found = read(body, row.zone, now, who_of(row.client).get)
        told |= {"sealed": "", "host": "", "text": body.decode(), "shifts": found.shifts, "next_at": now + EVERY}
        told |= {"unmatched": found.unmatched, "fetched_at": now, "good_at": now}
    settle([row], now)
    made, _ = CalendarIn.objects.update_or_create(schedule=row, name=name, defaults=told)
    plan([row], now)
    record(actor, "calendar_in.set", f"schedule/{row.pk}", row.client.slug, {"name": name, "host": made.host})
    look_through(row, now)
    return made


@transaction.atomic
def drop_calendar(actor: Actor, row: Schedule, one: CalendarIn) -> None:
    """One that feeds no layer of the newest version. Refused while a version is still to come."""
    actor.require(Role.OPERATOR, row.client.slug)
    if row.versions.filter(valid_from__gt=clock.now()).exists():
        raise Conflict("A version of this schedule is still to come.", "Take it back first.")
    pk = one.pk
    one.delete()
    record(actor, "calendar_in.removed", f"schedule/{row.pk}", row.client.slug, {"calendar": pk})


@transaction.atomic
def remove_calendar(actor: Actor, row: Schedule, pk: int) -> None:
    """With the layers that it feeds, from now on."""
    actor.require(Role.OPERATOR, row.client.slug)
    found = CalendarIn.objects.filter(schedule=row, pk=pk).first()
    if found is None:
        raise NotFound(f"There is no calendar {pk}.")
    newest = row.versions.order_by("-number").first()
    layers = [one for one in (newest.layers if newest else []) if one.get("calendar") != found.name]
    if row.versions.filter(valid_from__gt=clock.now()).exists():
        raise Conflict("A version of this schedule is still to come.", "Take it back first.")
    edit_schedule(actor, row, layers)
    drop_calendar(actor, row, found)


def refresh_calendars(now: datetime) -> None:
    """Fetch what is due. What fails or comes empty keeps the last good copy, and the owners are told once."""
    problems: list[Exception] = []
    due = CalendarIn.objects.filter(schedule__removed_at=None, next_at__lte=now).order_by("next_at")
    for one in due.select_related("schedule__client", "schedule__owner")[:AT_ONCE]:
        try:
            refresh(one, now)
        except Exception as problem:  # noqa: BLE001 - raised below, after the others had their turn
            problems.append(problem)
    if problems:
        raise ExceptionGroup("calendars that could not be read", problems)


def refresh(one: CalendarIn, now: datetime) -> bool:
    """Whether a good copy is there now. The network is asked outside of any transaction."""
    held = one.next_at
    if not CalendarIn.objects.filter(pk=one.pk, next_at=held).update(next_at=now + AGAIN):
        return False  # another engine has it
    row = one.schedule
    try:
        body, etag = fetched(unseal(one.sealed)["url"], one.etag, one.trusted) if one.sealed else (None, "")
        text = one.text if body is None else body.decode("utf-8", "replace")
        found = read(text.encode() if body is None else body, row.zone, now, who_of(row.client).get)
    except Invalid as problem:
        _failed(one, problem.message, now)
        return False
    _taken(one, text, etag, found, now)
    return True


@transaction.atomic
def _taken(one: CalendarIn, text: str, etag: str, found: Read, now: datetime) -> None:
    row = one.schedule
    changed = found.shifts != one.shifts
    if changed:
        settle([row], now)
    CalendarIn.objects.filter(pk=one.pk).update(
        text=text, etag=etag, shifts=found.shifts, unmatched=found.unmatched, fetched_at=now, good_at=now, error="",
        next_at=now + EVERY,
    )  # fmt: skip
    if changed:
        plan([row], now)
        look_through(row, now)


@transaction.atomic
def _failed(one: CalendarIn, why: str, now: datetime) -> None:
    CalendarIn.objects.filter(pk=one.pk).update(fetched_at=now, error=why[:500], next_at=now + EVERY)
    if one.error:
        return
    row = one.schedule
    since = f"The copy of {one.good_at:%Y-%m-%d %H:%M} UTC goes on." if one.good_at else "There is no copy."
    facts = {
        "type": "oncall.calendar", "title": f"The calendar {one.name} of {row} can't be read",
        "lines": [why, since], "path": row.get_absolute_url(),
    }  # fmt: skip
    for owner in owners_of(row):
        notice = Notice(f"schedule/{row.pk}", f"calendar-{one.pk}-{now:%Y%m%dT%H%M}", row.client.slug, facts, "notice")
        enqueue(owner, notice, now)


# -- out ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def make_feed(actor: Actor, person: User, row: Schedule | None) -> tuple[CalendarOut, str]:
    """A secret address for one's own use: a schedule's shifts, or one's own in all schedules. The secret is told
    once."""
    if actor.user_id != person.pk:
        raise Invalid("An address is made for oneself.", "Sign in as a person.")
    if row is not None:
        actor.require(Role.VIEWER, row.client.slug)
    secret = secrets.token_urlsafe(32)
    made = CalendarOut.objects.create(digest=digest(secret), schedule=row, person=person, created_at=clock.now())
    subject = f"schedule/{row.pk}" if row else f"person/{person.pk}"
    record(actor, "calendar_out.made", subject, row.client.slug if row else None, {"calendar": made.pk})
    return made, secret


@transaction.atomic
def revoke_feed(actor: Actor, pk: int) -> CalendarOut:
    """One's own. Revoking twice changes nothing."""
    found = CalendarOut.objects.filter(pk=pk, person=actor.user_id or 0).select_related("schedule__client").first()
    if found is None:
        raise NotFound(f"There is no calendar {pk}.")
    if CalendarOut.objects.filter(pk=pk, revoked_at=None).update(revoked_at=clock.now()):
        client = found.schedule.client.slug if found.schedule else None
        record(actor, "calendar_out.revoked", f"calendar-out/{pk}", client)
    return found


def served(secret: str, reminders: tuple[int, ...], now: datetime) -> bytes:
    """The feed behind a secret. Raises NotFound, in the same words, for one that is unknown, revoked, or of somebody
    who may not read it any more."""
    rows = CalendarOut.objects.filter(digest=digest(secret), revoked_at=None, person__is_active=True)
    found = rows.select_related("person", "schedule__client").first()
    seen = actor_of_user(found.person).sees() if found is not None else frozenset()
    gone = NotFound("This calendar is not there.", "Make a new address under On-call.")
    if found is None or (found.schedule is not None and found.schedule.removed_at is not None):
        raise gone
    of_row = found.schedule
    if of_row is not None and seen is not None and of_row.client.slug not in seen:
        raise gone
    if found.used_at is None or found.used_at < now - USED:
        CalendarOut.objects.filter(pk=found.pk).update(used_at=now)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = day - BEHIND, day + AHEAD
    if of_row is not None:
        name = f"{of_row.client}: {of_row}"
        return calendar_text(name, of_row.zone, _entries([of_row], None, start, end), reminders)
    schedules = Schedule.objects.filter(removed_at=None).select_related("client")
    schedules = schedules if seen is None else schedules.filter(client__slug__in=seen)
    mine = _entries(_with(list(schedules[:SCHEDULES]), found.person, now), found.person.pk, start, end)
    return calendar_text(f"On call: {found.person}", found.person.time_zone or "UTC", mine, reminders)


def _with(rows: Sequence[Schedule], person: User, now: datetime) -> list[Schedule]:
    """Those in which the person may have a part."""
    found: list[Schedule] = []
    rules = loaded(rows, now - BEHIND)
    for row in rows:
        one = rules[row.pk]
        called = {change.person for change in one.overrides}
        called |= {p for part in one.temporary for layer in part.layers for fixed in layer.fixed for p in fixed.people}
        if person.pk in called or person.pk in members_of_rules(one, now - BEHIND, now + AHEAD):
            found.append(row)
    return found


def _entries(rows: Iterable[Schedule], person: int | None, start: datetime, end: datetime) -> list[Entry]:
    """Shifts that the window does not cut at its end: their UIDs would move with it."""
    found = []
    for row in rows:
        shifts = [one for one in shifts_between(row, start, end) if one.end < end and isinstance(one.person, int)]
        people = people_by_pk(*(pk for one in shifts for pk in (one.person, *one.stands_in_for)))
        changed = _changed(row)
        for one in shifts:
            if (person is not None and one.person != person) or one.person not in people:
                continue
            who = str(people[one.person])
            instead = ", ".join(str(people.get(pk, pk)) for pk in one.stands_in_for)
            summary = f"{row.client}: {row}" if person is not None else f"{who}: {row}"
            text = f"{who} is on call by {row} of {row.client}" + (f", for {instead}" if instead else "") + "."
            found.append(Entry(int(one.person), row.pk, one.start, one.end, summary, text, changed))
    return found


def _changed(row: Schedule) -> datetime:
    """When the schedule was edited last."""
    stamps = [row.created_at, *row.versions.values_list("created_at", flat=True)]
    for rows in (row.overrides.all(), row.temporary.all()):
        for made, cancelled in rows.values_list("created_at", "cancelled_at"):
            stamps += [made, *([cancelled] if cancelled else [])]
    return max(stamps)
