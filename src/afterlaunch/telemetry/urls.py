from __future__ import annotations

from django.urls import path

from afterlaunch.telemetry import pages
from afterlaunch.telemetry.signals import pages as signals
from afterlaunch.telemetry.views.pages import VIEWS, page_of

urlpatterns = [
    path("calls", pages.calls),
    *(path(view.page.lstrip("/"), page_of(view)) for view in VIEWS),
    path("traces/<str:trace_id>", pages.trace),
    path("explorer", signals.explorer),
    path("logs", signals.logs),
]
