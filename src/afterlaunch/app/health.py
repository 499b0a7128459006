"""Liveness, and readiness that proves a finished cycle of the engine."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from afterlaunch.engine.duties import newest_cycle
from afterlaunch.engine.models import DutyState
from afterlaunch.ground import clock

STALE_SECONDS = 60.0  # real seconds since the newest finished cycle


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    newest = newest_cycle()
    if newest is None:
        return JsonResponse({"status": "starting", "why": "no engine cycle has finished yet"}, status=503)
    fresh = newest.finished_at >= clock.now() - clock.lease(STALE_SECONDS)
    failing = list(DutyState.objects.filter(failures__gt=0).values_list("name", flat=True))
    body = {
        "status": "ready" if fresh else "stalled",
        "cycle": newest.number,
        "cycle_finished_at": newest.finished_at.isoformat(),
        "failing_duties": failing,
    }
    return JsonResponse(body, status=200 if fresh else 503)
