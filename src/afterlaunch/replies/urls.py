from __future__ import annotations

from django.urls import path

from afterlaunch.replies import hooks, pages

urlpatterns = [
    path("hooks/slack", hooks.from_slack),
    path("hooks/pagerduty", hooks.from_pagerduty),
    path("settings/accounts", pages.linked, name="linked-accounts"),
    path("settings/accounts/link/<str:token>", pages.link),
    path("settings/accounts/<int:pk>/unlink", pages.unlink),
]
