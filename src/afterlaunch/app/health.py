"""Liveness, and readiness: that a cycle of the engine has finished lately, or, in a process that has none, that its
stores answer."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from afterlaunch.app.roles import Role
from afterlaunch.engine.duties import newest_cycle
from afterlaunch.engine.models import Cycle, DutyState
from afterlaunch.ground import clock
from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.telemetry.store import current

STALE_SECONDS = 60.0  # real seconds since the newest finished cycle


@dataclass
class Process:
    """What this process is; set when a server starts. `holder`: the name under which its engine claims duties."""

    role: Role = Role.ALL
    holder: str = ""


this = Process()


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    return _of_engine() if this.role.has_engine else _of_stores()


def _of_engine() -> JsonResponse:
    """Of several engines, each answers for its own cycles."""
    alone = this.role is Role.ALL
    newest = newest_cycle() if alone else Cycle.objects.filter(engine=this.holder).first()
    if newest is None:
        return JsonResponse({"status": "starting", "why": "no engine cycle has finished yet"}, status=503)
    fresh = _fresh(newest)
    failing = list(DutyState.objects.filter(failures__gt=0).values_list("name", flat=True))
    body = {
        "status": "ready" if fresh else "stalled",
        "cycle": newest.number,
        "cycle_finished_at": newest.finished_at.isoformat(),
        "failing_duties": failing,
    }
    return JsonResponse(body, status=200 if fresh else 503)


def _of_stores() -> JsonResponse:
    """A stalled engine is said, but takes no page and no receiver out of service."""
    try:
        newest = newest_cycle()
        current().query("select 1 as one")
    except (AfterlaunchError, DatabaseError) as problem:
        which = "PostgreSQL" if isinstance(problem, DatabaseError) else "ClickHouse"
        return JsonResponse({"status": "waiting", "why": f"{which} does not answer"}, status=503)
    engine = "none has finished a cycle" if newest is None else "running" if _fresh(newest) else "stalled"
    return JsonResponse({"status": "ready", "process": str(this.role), "engine": engine})


def _fresh(cycle: Cycle) -> bool:
    return cycle.finished_at >= clock.now() - clock.lease(STALE_SECONDS)
