"""Signing in: allauth's pages for passwords and MFA, and the one-time link of the first start."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from afterlaunch.accounts.actions import use_sign_in_link


class ClosedDoor(DefaultAccountAdapter):  # type: ignore[misc]
    """People are invited by an administrator; nobody signs up by themselves."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


@require_http_methods(["GET", "HEAD", "POST"])
def one_time_link(request: HttpRequest, secret: str) -> HttpResponse:
    """GET shows a button, so that a link preview can't use the link up; POST signs in."""
    if request.method == "POST":
        user = use_sign_in_link(secret)
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return redirect("/")
    response = render(request, "look/sign_in_link.html")
    # Not no-referrer: a browser would then post with "Origin: null", which the form's protection refuses.
    response["Referrer-Policy"] = "same-origin"
    response["Cache-Control"] = "no-store"
    return response
