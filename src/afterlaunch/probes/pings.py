"""The ping addresses: GET, HEAD or POST, without signing in. The address itself is the right to ping."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.probes.heartbeats import BODY_BYTES, Told, ping

CHUNK = 65_536
MOST_CODE = 255


def _body(request: HttpRequest) -> tuple[bytes, int]:
    """Its first part, and how long it was; the rest is read and thrown away."""
    kept, size = b"", 0
    while chunk := request.read(CHUNK):
        size += len(chunk)
        kept += chunk[: BODY_BYTES - len(kept)]
    return kept, size


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def take(request: HttpRequest, secret: str, kind: str = "success", code: int | None = None) -> HttpResponse:
    """`code` is an exit code: 0 a success, anything else a failure. `?rid=` (or `run`) names the run."""
    if code is not None and code > MOST_CODE:
        return HttpResponse("An exit code lies between 0 and 255.\n", status=400, content_type="text/plain")
    if code is not None:
        kind = "fail" if code else "success"
    body, size = _body(request) if request.method == "POST" else (b"", 0)
    run = request.GET.get("rid") or request.GET.get("run") or ""
    try:
        ping(secret, Told(kind, run, code, body, size))
    except AfterlaunchError as problem:
        said = f"{problem.message} {problem.hint}".strip()
        return HttpResponse(said + "\n", status=problem.status, content_type="text/plain")
    response = HttpResponse("OK\n", content_type="text/plain")
    response["Cache-Control"] = "no-store"
    return response
