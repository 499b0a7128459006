from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.http import urlencode

from afterlaunch.accounts.auth import actor_of
from afterlaunch.app.problems import problem_page
from afterlaunch.ground.errors import AfterlaunchError, NotSignedIn

OPEN = (
    "/accounts/",
    "/sign-in/",
    "/ack/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/static/",
    "/api/v1/openapi.json",
    "/api/v1/telemetry/counts",
    "/hooks/",
)


# Scripts only from files of ours; styles may stand on an element, because drawn charts carry them.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class ActorMiddleware:
    """Puts `request.actor` on every request that needs one; turns our errors on pages into pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(OPEN):
            try:
                request.actor = actor_of(request)  # type: ignore[attr-defined]
            except NotSignedIn as problem:
                if request.path.startswith("/api/"):
                    return problem_page(request, problem)
                return redirect("/accounts/login/?" + urlencode({"next": request.get_full_path()}))
        zone = getattr(getattr(request, "user", None), "time_zone", "")
        with timezone.override(ZoneInfo(zone) if zone else None):
            response = self.get_response(request)
        if not request.path.startswith("/api/"):
            response.setdefault("Content-Security-Policy", POLICY)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return problem_page(request, exception) if isinstance(exception, AfterlaunchError) else None
