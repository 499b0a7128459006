from __future__ import annotations

from decimal import Decimal
from typing import Any

from ninja import Router, Schema
from pydantic import Field

from afterlaunch.estate.actions import system_by_id, systems_seen_by
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.look.requests import Request
from afterlaunch.probes import actions, heartbeats, prompts
from afterlaunch.probes.heartbeat_pages import address_of
from afterlaunch.probes.models import Heartbeat, Ping, Probe, ProbeResult
from afterlaunch.probes.times import Record, records

router = Router(tags=["probes"])


class HeartbeatIn(Schema):
    """Either `period_seconds`, or `cron` in `time_zone`. `longest_run_seconds` 0: not limited."""

    system: int
    name: str
    environment: str = "prod"
    period_seconds: int = 0
    cron: str = ""
    time_zone: str = "UTC"
    grace_seconds: int = 300
    longest_run_seconds: int = 0
    severity: str = "P2"
    page_again_minutes: int = 0
    purpose: str = ""


def heartbeat_document(actor: Actor, row: Heartbeat) -> dict[str, Any]:
    """The ping address is told only to who may alter the heartbeat."""
    return {
        "id": row.pk,
        "client": row.system.client.slug,
        "system": row.system.key,
        "environment": row.environment,
        "name": row.name,
        "purpose": row.purpose or None,
        "period_seconds": row.period or None,
        "cron": row.cron or None,
        "time_zone": row.zone,
        "grace_seconds": row.grace,
        "longest_run_seconds": row.longest or None,
        "severity": row.severity,
        "page_again_minutes": row.again_minutes or None,
        "state": row.state,
        "reason": row.reason or None,
        "since": row.since,
        "due_at": row.due_at,
        "last_ping_at": row.last_ping_at,
        "last_success_at": row.last_success_at,
        "last_run_seconds": row.last_seconds,
        "ping_url": address_of(row) if actor.may(Role.OPERATOR, row.system.client.slug) else None,
    }


def _ping_document(row: Ping) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at,
        "kind": row.kind,
        "run": row.run or None,
        "exit_code": row.exit_code,
        "run_seconds": row.seconds,
        "body": row.body or None,
        "body_bytes": row.size,
    }


@router.get("/heartbeats")
def list_heartbeats(
    request: Request, client: str | None = None, system: str | None = None, limit: int = 100, cursor: int = 0
) -> dict[str, Any]:
    """Heartbeats, by id. `state`: new, up, late, down, paused."""
    limit = max(1, min(limit, 500))
    wanted = {"system__client__slug": client, "system__key": system}
    rows = heartbeats.heartbeats_seen_by(request.actor).filter(pk__gt=cursor, **{k: v for k, v in wanted.items() if v})
    found = list(rows.order_by("pk")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"heartbeats": [heartbeat_document(request.actor, row) for row in found[:limit]], "cursor": more}


@router.post("/heartbeats")
def declare_heartbeat(request: Request, body: HeartbeatIn) -> dict[str, Any]:
    """Make a heartbeat, or alter the one of this name of this system. It is judged from its first ping on."""
    values = heartbeats.Values(
        period=body.period_seconds,
        cron=body.cron,
        zone=body.time_zone,
        grace=body.grace_seconds,
        longest=body.longest_run_seconds,
        severity=body.severity,
        environment=body.environment,
        purpose=body.purpose,
        again_minutes=body.page_again_minutes,
    )
    system = system_by_id(request.actor, body.system)
    return heartbeat_document(request.actor, heartbeats.put_heartbeat(request.actor, system, body.name, values))


@router.get("/heartbeats/{heartbeat_id}")
def one_heartbeat(request: Request, heartbeat_id: int) -> dict[str, Any]:
    """One of them with its last 100 pings, newest first."""
    row = heartbeats.heartbeat_by_id(request.actor, heartbeat_id)
    pings = [_ping_document(one) for one in row.pings.all()]
    return {**heartbeat_document(request.actor, row), "pings": pings}


@router.post("/heartbeats/{heartbeat_id}/pause")
def pause_heartbeat(request: Request, heartbeat_id: int) -> dict[str, Any]:
    """It is not judged until it is resumed; its pings are kept."""
    row = heartbeats.heartbeat_by_id(request.actor, heartbeat_id)
    return heartbeat_document(request.actor, heartbeats.pause_heartbeat(request.actor, row))


@router.post("/heartbeats/{heartbeat_id}/resume")
def resume_heartbeat(request: Request, heartbeat_id: int) -> dict[str, Any]:
    """It is judged again, as if it had just told of itself."""
    row = heartbeats.heartbeat_by_id(request.actor, heartbeat_id)
    return heartbeat_document(request.actor, heartbeats.resume_heartbeat(request.actor, row))


@router.post("/heartbeats/{heartbeat_id}/remove")
def remove_heartbeat(request: Request, heartbeat_id: int) -> dict[str, Any]:
    """Its ping address is unknown from now on."""
    row = heartbeats.heartbeat_by_id(request.actor, heartbeat_id)
    told = heartbeat_document(request.actor, row)
    heartbeats.remove_heartbeat(request.actor, row)
    return told


class ProbeIn(Schema):
    """`config` is of the kind: see the docs. Credentials in it are references: env:NAME or file:/path."""

    system: int
    name: str
    kind: str
    config: dict[str, Any]
    environment: str = "prod"
    interval_seconds: int = 60
    timeout_seconds: int = 10
    retries: int = 1
    retry_seconds: int = 15
    locations: list[str] = Field(default_factory=list)
    quorum: int = 1
    severity: str = "P2"
    notify_after: int = 1
    page_again_minutes: int = 0
    counts_for_uptime: bool = True
    cap_usd_per_day: Decimal | None = None
    depends_on: list[str] = Field(default_factory=list)


def probe_document(row: Probe) -> dict[str, Any]:
    return {
        "id": row.pk,
        "client": row.system.client.slug,
        "system": row.system.key,
        "environment": row.environment,
        "name": row.name,
        "kind": row.kind,
        "config": row.config,
        "interval_seconds": row.interval,
        "timeout_seconds": row.timeout,
        "retries": row.retries,
        "retry_seconds": row.retry_seconds,
        "quorum": row.quorum,
        "severity": row.severity,
        "notify_after": row.notify_after,
        "page_again_minutes": row.again_minutes or None,
        "counts_for_uptime": row.counts,
        "cap_usd_per_day": str(Decimal(row.cap_nano) / actions.NANO) if row.cap_nano is not None else None,
        "depends_on": [one.name for one in row.parents.all()],
        "state": row.state,
        "reason": row.reason or None,
        "since": row.since,
        "said": row.said or None,
        "held_by": row.held_by or None,
        "locations": [
            {
                "location": place.location,
                "state": place.state,
                "tried_at": place.tried_at,
                "duration_ms": place.milliseconds,
                "failed_rounds": place.failures,
                "reason": place.reason or None,
                "said": place.said or None,
            }
            for place in row.places.all()
        ],
    }


def _result_document(row: ProbeResult) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at,
        "location": row.location,
        "result": row.result,
        "counted": row.counted,
        "reason": row.reason,
        "said": row.said or None,
        "duration_ms": row.milliseconds,
        "assertions": row.checks,
        "facts": row.facts,
        "answer": row.answer or None,
        "cost_usd": None if row.cost_nano is None else str(Decimal(row.cost_nano) / actions.NANO),
    }


@router.get("/probes")
def list_probes(
    request: Request, client: str | None = None, system: str | None = None, limit: int = 100, cursor: int = 0
) -> dict[str, Any]:
    """Probes, by id. `state`: new, up, failing (tried again), down, no_data (nobody could try it), paused."""
    limit = max(1, min(limit, 500))
    wanted = {"system__client__slug": client, "system__key": system}
    rows = actions.probes_seen_by(request.actor).filter(pk__gt=cursor, **{k: v for k, v in wanted.items() if v})
    found = list(rows.order_by("pk").prefetch_related("places", "parents")[: limit + 1])
    more = found[limit - 1].pk if len(found) > limit else None
    return {"probes": [probe_document(row) for row in found[:limit]], "cursor": more}


@router.post("/probes")
def declare_probe(request: Request, body: ProbeIn) -> dict[str, Any]:
    """Make a probe, or alter the one of this name of this system. It is tried within seconds."""
    values = actions.Values(
        kind=body.kind,
        config=body.config,
        environment=body.environment,
        interval=body.interval_seconds,
        timeout=body.timeout_seconds,
        retries=body.retries,
        retry_seconds=body.retry_seconds,
        locations=body.locations,
        quorum=body.quorum,
        severity=body.severity,
        notify_after=body.notify_after,
        again_minutes=body.page_again_minutes,
        counts=body.counts_for_uptime,
        cap_usd=body.cap_usd_per_day,
        parents=body.depends_on,
    )
    system = system_by_id(request.actor, body.system)
    return probe_document(actions.put_probe(request.actor, system, body.name, values))


class TakeOverIn(Schema):
    """Where it goes: a `route` of the gateway, or `url` with `model` and a `credential` (a reference)."""

    name: str = ""
    route: str = ""
    url: str = ""
    model: str = ""
    credential: str = ""
    protocol: str = ""
    provider: str = ""
    interval_seconds: int = prompts.INTERVAL


@router.post("/probes/from-prompt/{prompt_id}")
def take_over_prompt(request: Request, prompt_id: int, body: TakeOverIn) -> dict[str, Any]:
    """Make a probe of a golden prompt that a review made of failing traces."""
    endpoint = {name: getattr(body, name) for name in prompts.ENDPOINT}
    return probe_document(prompts.take_over(request.actor, prompt_id, body.name, endpoint, body.interval_seconds))


@router.get("/probes/{probe_id}")
def one_probe(request: Request, probe_id: int, limit: int = 50, cursor: int | None = None) -> dict[str, Any]:
    """One of them with its last tries, newest first, and which assertions failed."""
    row = actions.probe_by_id(request.actor, probe_id)
    limit = max(1, min(limit, 200))
    found = actions.results_of(row, limit + 1, cursor)
    more = found[limit - 1].pk if len(found) > limit else None
    return {**probe_document(row), "results": [_result_document(one) for one in found[:limit]], "cursor": more}


@router.post("/probes/{probe_id}/run")
def run_probe(request: Request, probe_id: int) -> dict[str, Any]:
    """Every location tries it within seconds."""
    row = actions.probe_by_id(request.actor, probe_id)
    return probe_document(actions.run_now(request.actor, row))


@router.post("/probes/{probe_id}/pause")
def pause_probe(request: Request, probe_id: int) -> dict[str, Any]:
    """It is not tried until it is resumed."""
    row = actions.probe_by_id(request.actor, probe_id)
    return probe_document(actions.pause_probe(request.actor, row))


@router.post("/probes/{probe_id}/resume")
def resume_probe(request: Request, probe_id: int) -> dict[str, Any]:
    """It is tried again."""
    row = actions.probe_by_id(request.actor, probe_id)
    return probe_document(actions.resume_probe(request.actor, row))


@router.post("/probes/{probe_id}/remove")
def remove_probe(request: Request, probe_id: int) -> dict[str, Any]:
    """It is tried no more; its results go with it."""
    row = actions.probe_by_id(request.actor, probe_id)
    told = probe_document(row)
    actions.remove_probe(request.actor, row)
    return told


@router.get("/uptime")
def uptime(request: Request, client: str | None = None, system: str | None = None, days: int = 90) -> dict[str, Any]:
    """Of each system over so many UTC days, today the last: from probes, from traffic, and the lower of the two."""
    days = max(1, min(days, 366))
    wanted = {"client__slug": client, "key": system}
    systems = list(systems_seen_by(request.actor).filter(**{k: v for k, v in wanted.items() if v}))
    return {"systems": [_uptime_document(one, days) for one in records(systems, clock.now(), days)]}


def _uptime_document(record: Record, days: int) -> dict[str, Any]:
    whole = record.over(days)
    return {
        "client": record.system.client.slug,
        "system": record.system.key,
        "uptime": whole.share,
        "formula": whole.formula,
        "source": whole.source,
        "coverage_of_probes": record.covered,
        "days": [
            {
                "day": one.day,
                "uptime": one.uptime.share,
                "rounds_ok": one.rounds.ok,
                "rounds_failed": one.rounds.failed,
                "rounds_not_run": one.rounds.not_run,
                "calls": one.calls.calls,
                "calls_unserved": one.calls.unserved,
            }
            for one in record.days
        ],
    }
