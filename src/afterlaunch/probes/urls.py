from __future__ import annotations

from django.urls import path

from afterlaunch.probes import heartbeat_pages, pages, pings

urlpatterns = [
    path("ping/<str:secret>", pings.take),
    path("ping/<str:secret>/<int:code>", pings.take),
    *(path(f"ping/<str:secret>/{kind}", pings.take, {"kind": kind}) for kind in ("start", "fail", "log")),
    path("probes/heartbeats", heartbeat_pages.heartbeats),
    path("probes/heartbeats/<int:pk>", heartbeat_pages.heartbeat),
    path("probes/heartbeats/<int:pk>/<str:deed>", heartbeat_pages.alter),
    path("probes", pages.probes),
    path("probes/uptime", pages.uptime),
    path("probes/from-prompt/<int:pk>", pages.take_over),
    path("probes/<int:pk>", pages.probe),
    path("probes/<int:pk>/<str:deed>", pages.alter),
]
