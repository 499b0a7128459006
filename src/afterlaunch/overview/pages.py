"""The overview, the systems, and one system."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from afterlaunch.accounts.actions import client_by_slug
from afterlaunch.accounts.models import Client, User
from afterlaunch.accounts.people import put_client
from afterlaunch.changes.actions import changes_seen_by
from afterlaunch.estate import limits
from afterlaunch.estate.actions import adopt, declare, system_by_id
from afterlaunch.estate.models import POSTURES, TIERS, System, Version
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.settings import settings
from afterlaunch.incidents.actions import incidents_seen_by
from afterlaunch.look import charts
from afterlaunch.look.requests import Request
from afterlaunch.oncall.actions import clients_of
from afterlaunch.oncall.schedule import who_is_on_call
from afterlaunch.overview.health import begins, healths, total
from afterlaunch.telemetry import queries
from afterlaunch.telemetry.keeping import storage
from afterlaunch.telemetry.tables import MINUTE_NS
from afterlaunch.telemetry.views.asked import RANGES, chosen_range
from afterlaunch.telemetry.views.sheets import step_minutes
from afterlaunch.verdicts.models import Verdict


def addresses() -> dict[str, str]:
    """What an application needs to be pointed here."""
    chosen = settings()
    gateway = f"http://{chosen.text('GATEWAY_HOST')}:{chosen['GATEWAY_PORT']}"
    return {
        "otlp": f"OTEL_EXPORTER_OTLP_ENDPOINT={chosen.public_url}",
        "protocol": "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        "openai": f"OPENAI_BASE_URL={gateway}/v1",
        "anthropic": f"ANTHROPIC_BASE_URL={gateway}",
    }


def _on_call(actor: Actor) -> list[tuple[Client, Any]]:
    seen, now = actor.sees(), clock.now()
    clients = Client.objects.all() if seen is None else Client.objects.filter(slug__in=seen)
    found = [(client, who_is_on_call(client, now)) for client in clients[:20]]
    return [(client, one) for client, one in found if one.person] or found[:1]


def _short_of_room(actor: Actor) -> dict[str, Any] | None:
    """What whoever runs the house must know before senders are turned away, and when they are."""
    if actor.sees() is not None:
        return None
    room, told = storage.seen()
    return {"reason": told.reason, "full": room.share >= 1} if told.state in ("warning", "breach") else None


@require_safe
def overview(request: Request) -> HttpResponse:
    now, seen = clock.now(), request.actor.sees()
    end = now + timedelta(minutes=1)
    today, month = begins(now)
    steps = queries.series(end - timedelta(hours=24), end, 30, seen)
    context = {
        "healths": healths(request.actor, now),
        "hour": total(end - timedelta(hours=1), end, seen),
        "day": total(end - timedelta(hours=24), end, seen),
        "today": total(today, end, seen),
        "month": total(month, end, seen),
        "incidents": incidents_seen_by(request.actor).filter(status="open").select_related("system")[:20],
        "changes": changes_seen_by(request.actor)[:6],
        "on_call": _on_call(request.actor),
        "chart": charts.lines([(one.start, {"calls": one.calls, "errors": one.failed}) for one in steps], "per 30 min"),
        "addresses": addresses(),
        "disk": _short_of_room(request.actor),
    }
    return render(request, "overview/overview.html", context)


@require_safe
def systems(request: Request) -> HttpResponse:
    context = {
        "healths": healths(request.actor, clock.now()),
        "addresses": addresses(),
        "clients": [one for one in clients_of(request.actor) if request.actor.may(Role.OPERATOR, one.slug)],
        "may_add_client": request.actor.may(Role.ADMIN, None),
    }
    return render(request, "overview/systems.html", context)


@require_POST
def add_system(request: Request) -> HttpResponse:
    """One that sends no telemetry yet, or never will; its client, too, where that is new."""
    given = request.POST
    slug, key = given.get("client", "").strip(), given.get("key", "").strip()
    with transaction.atomic():
        if request.actor.may(Role.ADMIN, None) and not Client.objects.filter(slug=slug).exists():
            put_client(request.actor, slug, "")
        made = declare(
            request.actor, client_by_slug(request.actor, slug), key, name=given.get("name", "").strip() or key
        )
    messages.success(request, f"{made.name} is there: alerts, probes and on-call can be set up for it.")
    return redirect(made.get_absolute_url())


def _owners(system: System) -> list[User]:
    """People with a role for the system's client."""
    people = User.objects.filter(is_active=True, grants__client=None) | User.objects.filter(
        is_active=True, grants__client=system.client
    )
    return list(people.distinct())


@require_http_methods(["GET", "HEAD", "POST"])
def system(request: Request, pk: int) -> HttpResponse:
    found = system_by_id(request.actor, pk)
    if request.method == "POST":
        adopt(request.actor, found, **_edits(request, found))
        messages.success(request, f"{found.name} is kept as you said.")
        return redirect(found.get_absolute_url())
    return render(request, "overview/system.html", _system(request, found))


def _system(request: Request, found: System) -> dict[str, Any]:
    name, start, end = chosen_range(request)
    seen = frozenset({found.client.slug})
    step = step_minutes(start, end)
    first = clock.from_ns(queries.minute_of(start) // step * step * MINUTE_NS)
    steps = queries.series(first, end, step, seen, system=found.key)
    rows = queries.answered(start, end, [], seen, system=found.key)
    verdicts = list(Verdict.objects.filter(client=found.client.slug, system=found.key))
    judged = [one for one in verdicts if one.status != "not_assessed"]
    versions = Version.objects.filter(component__system=found).select_related("component")
    return {
        "system": found,
        "range": name,
        "ranges": RANGES,
        "whole": rows[0] if rows else None,
        "calls_chart": charts.lines(
            [(one.start, {"calls": one.calls, "errors": one.failed}) for one in steps], "calls"
        ),
        "latency_chart": charts.lines(
            [(one.start, {"p50": one.p50_ms, "p95": one.p95_ms, "p99": one.p99_ms}) for one in steps], "ms"
        ),
        "cost_chart": charts.lines([(one.start, {"USD": one.cost_nano / 1e9}) for one in steps], "USD", "bar"),
        "judged": sorted(judged, key=lambda one: ("breach", "warning", "ok").index(one.status)),
        "unjudged": [one for one in verdicts if one.status == "not_assessed"],
        "incidents": incidents_seen_by(request.actor).filter(system=found)[:10],
        "changes": changes_seen_by(request.actor).filter(system=found)[:10],
        "versions": versions.order_by("-first_seen_at")[:40],
        "environments": found.environments.all(),
        "owners": _owners(found),
        "tiers": TIERS,
        "postures": POSTURES,
        "limits": [
            (
                one,
                limits.written(one, found.infrastructure[one.name]) if one.name in found.infrastructure else "",
                limits.written(one, one.default),
            )
            for one in limits.LIMITS
        ],
        "may_edit": request.actor.may(Role.OPERATOR, found.client.slug),
    }


def _milliseconds(text: str, what: str) -> int | None:
    if text.strip() and not text.strip().isdigit():
        raise Invalid(f"{what} must be whole milliseconds.", "Leave it empty for the learned baseline.")
    return int(text) if text.strip() else None


def _limits_in(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name] for name in limits.BY_NAME if name in given}


def _edits(request: Request, found: System) -> dict[str, Any]:
    given = request.POST
    owner = given.get("owner", "")
    people = {str(person.pk): person for person in _owners(found)}
    if owner and owner not in people:
        raise Invalid("That person has no role for this client.")
    return {
        "name": given.get("name", ""),
        "owner": people.get(owner),
        "tier": given.get("tier", ""),
        "posture": given.get("posture", ""),
        "time_zone": given.get("time_zone", ""),
        "latency_p95_ms": _milliseconds(given.get("latency_p95_ms", ""), "The p95 target"),
        "latency_p99_ms": _milliseconds(given.get("latency_p99_ms", ""), "The p99 target"),
        "automatic_rollback": bool(given.get("automatic_rollback")),
        **({"infrastructure": limits.typed(typed)} if (typed := _limits_in(given)) else {}),
    }
