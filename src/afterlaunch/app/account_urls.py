"""The doors of signing in that stand open. What allauth offers beyond them is closed, under the names it asks for:
people are invited, their address is what an administrator gave them, and a lost password is a new sign-in link."""

from __future__ import annotations

from typing import Any, NoReturn

from allauth.account import views
from django.http import HttpRequest
from django.urls import include, path

from afterlaunch.ground.errors import NotFound


def closed(request: HttpRequest, **_: Any) -> NoReturn:
    raise NotFound("This door is closed.", "Ask an administrator for a sign-in link: afterlaunch sign-in --email …")


CLOSED = {
    "signup/": "account_signup",
    "email/": "account_email",
    "confirm-email/": "account_email_verification_sent",
    "password/reset/": "account_reset_password",
    "login/code/confirm/": "account_confirm_login_code",
}

urlpatterns = [
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("password/set/", views.password_set, name="account_set_password"),
    path("2fa/", include("allauth.mfa.urls")),
    *(path(address, closed, name=name) for address, name in CLOSED.items()),
]
