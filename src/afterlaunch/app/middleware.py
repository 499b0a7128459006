"""Who acts, what a page may load, and that a signed-in browser is not made to act by another site."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from afterlaunch.accounts.auth import actor_of
from afterlaunch.app.problems import problem_page
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import AfterlaunchError, NotAllowed, NotSignedIn

OPEN = (
    "/accounts/",
    "/sign-in/",
    "/ack/",
    "/calendars/",
    "/ping/",
    "/status/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/static/",
    "/api/v1/openapi.json",
    "/api/v1/telemetry/counts",
    "/hooks/",
)
# What somebody who may read nothing can still ask for: a gateway its configuration, a person their own contacts.
WITHOUT_SIGHT = ("/api/v1/gateway/", "/settings/contacts", "/settings/accounts")
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")

# Scripts and style sheets only from files of ours; a style may stand on an element, because drawn charts carry them.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:;"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
API_POLICY = "default-src 'none'; frame-ancestors 'none'"


class _Origin(CsrfViewMiddleware):
    """Django's check as a question: what it returns is why a request is refused."""

    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _nothing(*_: object) -> HttpResponse:
    return HttpResponse()


def _require_own_origin(request: HttpRequest) -> None:
    """The API takes the session of a signed-in browser too; then a request that alters something must prove, as a form
    does, that a page of ours sent it. Requests with a token need no proof: no browser adds one by itself."""
    if request.method in SAFE or "Authorization" in request.headers:
        return
    check = _Origin(_nothing)
    check.process_request(request)
    if check.process_view(request, _nothing, (), {}):
        raise NotAllowed(
            "This request does not come from a page of Afterlaunch.",
            "Send a token (Authorization: Bearer TOKEN), or the header X-CSRFToken from the page.",
        )


def _require_sight(actor: Actor, path: str) -> None:
    if actor.sees() == frozenset() and not path.startswith(WITHOUT_SIGHT):
        raise NotAllowed("This needs the role viewer.", "Ask an administrator for a role.")


class ActorMiddleware:
    """Puts `request.actor` on every request that needs one; turns our errors on pages into pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._answer(request)
        policy = API_POLICY if request.path.startswith("/api/") else POLICY
        response.setdefault("Content-Security-Policy", policy)
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(OPEN):
            try:
                request.actor = actor_of(request)  # type: ignore[attr-defined]
                _require_sight(request.actor, request.path)  # type: ignore[attr-defined]
                if request.path.startswith("/api/"):
                    _require_own_origin(request)
            except NotSignedIn as problem:
                return self._to_the_door(request, problem)
            except NotAllowed as problem:
                return problem_page(request, problem)
        zone = getattr(getattr(request, "user", None), "time_zone", "")
        with timezone.override(ZoneInfo(zone) if zone else None):
            return self.get_response(request)

    @staticmethod
    def _to_the_door(request: HttpRequest, problem: NotSignedIn) -> HttpResponse:
        """A page leads to the sign-in page and back; a part of a page makes its whole page go there."""
        if request.path.startswith("/api/") or "Authorization" in request.headers:
            return problem_page(request, problem)
        if request.headers.get("HX-Request") == "true":
            response = problem_page(request, problem)
            response["HX-Redirect"] = "/accounts/login/"
            return response
        asked = request.get_full_path() if request.method in ("GET", "HEAD") else "/"
        following = asked if url_has_allowed_host_and_scheme(asked, None) else "/"
        return redirect("/accounts/login/?" + urlencode({"next": following}))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return problem_page(request, exception) if isinstance(exception, AfterlaunchError) else None
