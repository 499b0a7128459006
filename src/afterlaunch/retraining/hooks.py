"""Where a pipeline tells how its run goes. The address came to it alone, with the order, and tells of that run only."""

from __future__ import annotations

import orjson
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from afterlaunch.ground.errors import AfterlaunchError, Invalid, TooLarge
from afterlaunch.retraining import actions
from afterlaunch.retraining.models import Run

MOST = 512 << 10  # bytes


@csrf_exempt
@require_POST
def callback(request: HttpRequest, token: str) -> HttpResponse:
    """`{"status": "running|succeeded|failed", "message", "url", "id", "result": {"version", "address", "data", "code",
    "parameters", "evaluation"}}`; only `status` is needed."""
    try:
        run = _told(request, token)
    except AfterlaunchError as problem:
        said = {"status": problem.status, "code": problem.code, "message": problem.message, "hint": problem.hint}
        return HttpResponse(orjson.dumps(said), status=problem.status, content_type="application/json")
    return HttpResponse(orjson.dumps({"run": run.number, "state": run.state}), content_type="application/json")


def _told(request: HttpRequest, token: str) -> Run:
    run = actions.run_of_callback(token)
    body = request.read(MOST + 1)
    if len(body) > MOST:
        raise TooLarge(f"The body is larger than {MOST >> 10} KiB.")
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise Invalid(f"The body is not JSON: {problem.msg}.") from problem
    if not isinstance(told, dict) or (unknown := set(told) - {"status", "message", "url", "id", "result"}):
        raise Invalid(
            "The body has status, message, url, id and result."
            + (f" {sorted(unknown)[0]!r} is none of them." if isinstance(told, dict) else "")
        )
    words = {}
    for name in ("status", "message", "url", "id"):
        value = told.get(name, "")
        if not isinstance(value, str) or "\x00" in value:
            raise Invalid(f"{name} is a text.")
        words[name] = value
    return actions.told(run, words["status"], words["message"], words["id"], words["url"], told.get("result"), True)
