from __future__ import annotations

from django.urls import path

from afterlaunch.telemetry import pages

urlpatterns = [
    path("calls", pages.calls),
    path("traces/<str:trace_id>", pages.trace),
    path("spend", pages.spend),
]
