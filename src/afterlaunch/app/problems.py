"""Our errors as HTTP: an RFC 9457 problem document for programs, a page for people. The one place."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from afterlaunch.ground.errors import AfterlaunchError


def problem_document(problem: AfterlaunchError) -> dict[str, object]:
    return {
        "type": f"https://afterlaunch.dev/problems/{problem.code}",
        "title": problem.code.replace("_", " ").capitalize(),
        "status": problem.status,
        "detail": problem.message,
        **({"hint": problem.hint} if problem.hint else {}),
    }


def problem_page(request: HttpRequest, problem: AfterlaunchError) -> HttpResponse:
    response: HttpResponse
    if request.path.startswith(("/api/", "/hooks/")):
        response = JsonResponse(
            problem_document(problem), status=problem.status, content_type="application/problem+json"
        )
    else:
        response = render(request, "look/problem.html", {"problem": problem}, status=problem.status)
    retry_after = getattr(problem, "retry_after", None)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    if problem.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response
