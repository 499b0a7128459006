from __future__ import annotations

from django.urls import path, re_path

from afterlaunch.sla import pages

urlpatterns = [
    path("sla", pages.running, name="sla"),
    path("sla/clocks/<int:pk>", pages.one, name="clock"),
    re_path(r"^sla/clocks/(?P<pk>\d+)/(?P<deed>pause|resume|recalculate|tier)$", pages.act),
    re_path(r"^sla/handovers/(?P<pk>\d+)/(?P<deed>now|ask-back|accept-back)$", pages.handover),
    path("systems/<int:pk>/support", pages.support),
    path("sla/<slug:slug>", pages.client, name="sla-client"),
    path("sla/<slug:slug>/calendar", pages.save_calendar),
    path("sla/<slug:slug>/policy/<slug:tier>", pages.save_policy),
    path("sla/<slug:slug>/preview", pages.preview),
]
