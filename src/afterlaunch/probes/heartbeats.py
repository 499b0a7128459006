"""Deeds on heartbeats, and what becomes of a ping."""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.estate.models import System
from afterlaunch.evidence.log import record
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.ground.redaction import masked
from afterlaunch.ground.settings import settings
from afterlaunch.look.formats import duration_seconds
from afterlaunch.probes import presence, telling
from afterlaunch.probes.beats import Absence, Beat, State, judge, pinged, resumed
from afterlaunch.probes.models import Heartbeat, Ping
from afterlaunch.probes.schedules import Schedule, checked
from afterlaunch.probes.telling import Trouble

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,59}")
RUN = re.compile(r"[A-Za-z0-9._:-]{1,64}")
BODY_BYTES = 10_000
KEPT_PINGS = 100
MOST_GRACE, MOST_RUN, MOST_AGAIN = 30 * 86_400, 30 * 86_400, 7 * 1_440
BELIEVED = 500  # heartbeats that one pass takes up


@dataclass(frozen=True)
class Values:
    """`period`, `grace`, `longest` in seconds; a `cron` expression takes the period's place."""

    period: int = 0
    cron: str = ""
    zone: str = "UTC"
    grace: int = 300
    longest: int = 0
    severity: str = "P2"
    environment: str = "prod"
    purpose: str = ""
    again_minutes: int = 0


@dataclass(frozen=True)
class Template:
    """A start for a common job; everything can be altered."""

    name: str
    title: str
    about: str
    values: Values


TEMPLATES = (
    Template(
        "index_rebuild",
        "Index rebuild",
        "A retrieval index that is built anew at night. A missed one means stale answers.",
        Values(cron="0 3 * * *", grace=1_800, longest=7_200, purpose="index_rebuild"),
    ),
    Template(
        "retraining",
        "Retraining",
        "A model that is trained again every week.",
        Values(cron="0 4 * * 0", grace=7_200, longest=43_200, severity="P3", purpose="retraining"),
    ),
    Template(
        "backup",
        "Backup",
        "A backup that must have ended before the day begins.",
        Values(cron="30 1 * * *", grace=3_600, longest=14_400, purpose="backup"),
    ),
    Template(
        "pipeline",
        "Data pipeline",
        "A step that runs all the time, every few minutes.",
        Values(period=900, grace=600, longest=1_800, purpose="pipeline"),
    ),
)


def heartbeats_seen_by(actor: Actor) -> QuerySet[Heartbeat]:
    """Only those of clients that the actor may see."""
    seen = actor.sees()
    rows = Heartbeat.objects.select_related("system__client")
    return rows if seen is None else rows.filter(system__client__slug__in=seen)


def heartbeat_by_id(actor: Actor, pk: int) -> Heartbeat:
    row = heartbeats_seen_by(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(f"There is no heartbeat {pk}.")
    return row


@transaction.atomic
def put_heartbeat(actor: Actor, system: System, name: str, values: Values) -> Heartbeat:
    """Make one, or alter it; its ping address stays. What had told of itself is judged by the new schedule at once."""
    actor.require(Role.OPERATOR, system.client.slug)
    _check(name, values)
    now = clock.now()
    known = Heartbeat.objects.select_for_update(of=("self",)).filter(system=system, name=name).first()
    row = known or Heartbeat(system=system, name=name, secret=secrets.token_urlsafe(24), created_at=now, since=now)
    moved = known is not None and known.environment != values.environment
    if moved and row.state == State.DOWN.value:
        telling.over(trouble_of(row), now)
    for column, value in asdict(values).items():
        setattr(row, column, value)
    if known and row.last_ping_at and not row.failed and row.state != State.PAUSED.value:
        row.due_at = row.schedule.after(row.last_success_at or row.last_ping_at)
        row.look_at = now
    row.save()
    if moved and row.state == State.DOWN.value:
        telling.tell(trouble_of(row), now)
    record(actor, "heartbeat.put", f"heartbeat/{row.pk}", system.client.slug, {"name": name, **asdict(values)})
    return row


def _check(name: str, values: Values) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} is no name for a heartbeat.", "Letters, digits, - and _, at most 60.")
    if bool(values.period) == bool(values.cron):
        raise Invalid("A heartbeat has either a period or a cron expression.")
    checked(Schedule(values.period, values.cron, values.zone))
    if not 60 <= values.grace <= MOST_GRACE:
        raise Invalid("The grace lies between a minute and 30 days.")
    if not 0 <= values.longest <= MOST_RUN or not 0 <= values.again_minutes <= MOST_AGAIN:
        raise Invalid("The longest run is at most 30 days, and people are told again within a week.")
    if values.severity not in ("P1", "P2", "P3"):
        raise Invalid(f"{values.severity!r} is no severity.", "Use P1, P2 or P3.")
    if not values.environment.strip() or len(values.environment) > 60:
        raise Invalid("A heartbeat needs an environment.")
    if values.purpose and values.purpose not in {one.name for one in TEMPLATES}:
        raise Invalid(f"{values.purpose!r} is no purpose.", "Use one of: " + ", ".join(one.name for one in TEMPLATES))


@transaction.atomic
def remove_heartbeat(actor: Actor, row: Heartbeat) -> None:
    """Its address is unknown from now on; its incident stays."""
    actor.require(Role.OPERATOR, row.system.client.slug)
    record(actor, "heartbeat.removed", row.topic, row.system.client.slug, {"name": row.name})
    telling.over(trouble_of(row), clock.now())
    row.delete()


@transaction.atomic
def pause_heartbeat(actor: Actor, row: Heartbeat) -> Heartbeat:
    """It is not judged until somebody resumes it; its pings are kept."""
    fresh = _locked(row.pk)
    actor.require(Role.OPERATOR, fresh.system.client.slug)
    if fresh.state == State.PAUSED.value:
        return fresh
    now = clock.now()
    if fresh.state == State.DOWN.value:
        telling.over(trouble_of(fresh), now)
    _write(fresh, Beat(State.PAUSED, None), now, "paused")
    record(actor, "heartbeat.paused", fresh.topic, fresh.system.client.slug, {"name": fresh.name})
    return fresh


@transaction.atomic
def resume_heartbeat(actor: Actor, row: Heartbeat) -> Heartbeat:
    fresh = _locked(row.pk)
    actor.require(Role.OPERATOR, fresh.system.client.slug)
    if fresh.state != State.PAUSED.value:
        return fresh
    now = clock.now()
    _write(fresh, resumed(fresh.plan, now), now, "resumed")
    record(actor, "heartbeat.resumed", fresh.topic, fresh.system.client.slug, {"name": fresh.name})
    return fresh


@transaction.atomic
def new_address(actor: Actor, row: Heartbeat) -> Heartbeat:
    """The old ping address opens nothing from now on."""
    fresh = _locked(row.pk)
    actor.require(Role.OPERATOR, fresh.system.client.slug)
    fresh.secret = secrets.token_urlsafe(24)
    fresh.save(update_fields=["secret"])
    record(actor, "heartbeat.readdressed", fresh.topic, fresh.system.client.slug, {"name": fresh.name})
    return fresh


@dataclass(frozen=True)
class Told:
    """A ping as it came. `body` is cut already; `size` is how long it was."""

    kind: str = "success"
    run: str = ""
    exit_code: int | None = None
    body: bytes = b""
    size: int = 0


@transaction.atomic
def ping(secret: str, told: Told) -> Ping:
    """Keep it; a failure is down at once, with its page, all in this transaction. Raises NotFound, Invalid."""
    if told.run and not RUN.fullmatch(told.run):
        raise Invalid("This is no id of a run.", "Letters, digits, . _ : and -, at most 64: a UUID, say.")
    found = Heartbeat.objects.filter(secret=secret).values_list("pk", flat=True).first() if secret else None
    if found is None:
        raise NotFound("There is no heartbeat under this address.")
    row, now = _locked(found), clock.now()
    beat, took = pinged(row.beat, row.plan, told.kind, told.run, now)
    seconds = took.total_seconds() if took is not None else None
    text = masked(told.body.decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}"))
    kept = Ping.objects.create(
        heartbeat=row,
        at=now,
        kind=told.kind,
        run=told.run,
        exit_code=told.exit_code,
        seconds=seconds,
        body=text,
        size=told.size,
    )
    row.last_ping_at = now
    if told.kind == "success":
        row.last_success_at = now
    if took is not None:
        row.last_seconds = seconds
    said = f"exit code {told.exit_code}" if told.exit_code else "it told so itself"
    _apply(row, beat, now, said)
    oldest = Ping.objects.filter(heartbeat=row).values_list("pk", flat=True)[KEPT_PINGS : KEPT_PINGS + 1]
    if oldest:
        Ping.objects.filter(heartbeat=row, pk__lte=oldest[0]).delete()
    return kept


def look(now: datetime) -> int:
    """Judge what time may have changed; returns how many heartbeats were looked at."""
    absences = presence.absences(now)
    due = Heartbeat.objects.filter(look_at__lte=now).order_by("look_at").values_list("pk", flat=True)[:BELIEVED]
    for pk in due:
        _look_at(pk, now, absences)
    return len(due)


@transaction.atomic
def _look_at(pk: int, now: datetime, absences: list[Absence]) -> None:
    row = _locked(pk)
    if row.look_at is not None and row.look_at <= now:  # another engine may have been here
        _apply(row, row.beat, now, "", absences)


def _apply(row: Heartbeat, beat: Beat, now: datetime, said: str, absences: list[Absence] | None = None) -> None:
    """Write what it is now. Down and its page are one transaction, and so are up and the end of the trouble."""
    before = row.state
    found = judge(beat, row.plan, now, absences if absences is not None else presence.absences(now))
    reason = row.reason if found.reason == "still_down" else found.reason
    _write(row, Beat(found.state, beat.due, beat.runs, beat.failed), now, reason, found.look_again)
    if found.state is State.DOWN:
        if before != State.DOWN.value or (beat.failed and said):
            telling.tell(trouble_of(row, said), now)
            row.told_at = now
        elif _again(row, now):
            telling.again(trouble_of(row), f"{row.name} is still down.")
            row.told_at = now
        row.look_at = row.told_at + timedelta(minutes=row.again_minutes) if row.told_at and row.again_minutes else None
        row.save(update_fields=["told_at", "look_at"])
    elif before == State.DOWN.value:
        telling.over(trouble_of(row), now)


def _again(row: Heartbeat, now: datetime) -> bool:
    every = timedelta(minutes=row.again_minutes)
    return bool(every) and row.told_at is not None and now - row.told_at >= every


def _write(row: Heartbeat, beat: Beat, now: datetime, reason: str, look_again: datetime | None = None) -> None:
    if row.state != beat.state.value:
        row.since = now
    row.state, row.reason, row.due_at, row.failed = beat.state.value, reason, beat.due, beat.failed
    row.runs = {name: at.isoformat() for name, at in beat.runs.items()}
    row.look_at = look_again if look_again is not None or beat.state is not State.UP else beat.due
    row.save()


def trouble_of(row: Heartbeat, said: str = "") -> Trouble:
    """What its alert says. `said`: what its last ping told of the failure."""
    due = f"{row.due_at:%Y-%m-%d %H:%M} UTC" if row.due_at else "its time"
    heard = f"Last heard of {row.last_ping_at:%Y-%m-%d %H:%M} UTC." if row.last_ping_at else "Never heard of before."
    why = {
        "failed": f"Its run failed: {said or 'it told so itself'}.",
        "no_end": f"A run began and did not end within {duration_seconds(row.longest)}.",
        "silent": f"It was due at {due} and did not tell of itself within its grace of {duration_seconds(row.grace)}.",
    }.get(row.reason, "It is down.")
    return Trouble(
        row.system,
        row.environment,
        row.topic,
        f"Heartbeat {row.name} is down",
        row.severity,
        f"{why} {heard}",
        row.due_at if row.reason == "silent" and row.due_at else row.since,
        {"heartbeat": row.name, **({"purpose": row.purpose} if row.purpose else {})},
        f"{settings().public_url}/probes/heartbeats/{row.pk}",
    )


def _locked(pk: int) -> Heartbeat:
    rows = Heartbeat.objects.select_for_update(of=("self",)).select_related("system__client", "system__owner")
    return rows.get(pk=pk)
