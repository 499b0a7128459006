from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from afterlaunch.look.requests import Request
from afterlaunch.replies import accounts

HERE = "/settings/accounts"


@require_GET
def linked(request: Request) -> HttpResponse:
    return render(request, "replies/accounts.html", {"rows": accounts.accounts_of(request.actor)})


@require_http_methods(["GET", "HEAD", "POST"])
def link(request: Request, token: str) -> HttpResponse:
    """GET shows who would be linked with whom; only POST links."""
    offer = accounts.read_offer(request.actor, token)
    if request.method == "POST":
        accounts.link(request.actor, offer)
        messages.success(request, "Linked. Go back and press the button again.")
        return redirect(HERE)
    response = render(request, "replies/link.html", {"offer": offer})
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def unlink(request: Request, pk: int) -> HttpResponse:
    accounts.unlink(request.actor, pk)
    messages.success(request, "It is no longer linked.")
    return redirect(HERE)
