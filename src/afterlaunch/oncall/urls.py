from __future__ import annotations

from django.urls import path

from afterlaunch.oncall import pages

urlpatterns = [
    path("oncall", pages.oncall, name="oncall"),
    path("oncall/<slug:slug>/overrides", pages.override),
    path("oncall/<slug:slug>/overrides/<int:pk>/cancel", pages.override_cancel),
    path("oncall/<slug:slug>/rotation", pages.rotation),
    path("oncall/<slug:slug>/policy", pages.policy),
]
