from __future__ import annotations

from django.urls import path, re_path

from afterlaunch.incidents import pages

urlpatterns = [
    path("incidents", pages.incidents, name="incidents"),
    path("incidents/<int:pk>", pages.incident, name="incident"),
    re_path(
        r"^incidents/(?P<pk>\d+)/(?P<deed>acknowledge|resolve|reopen|false-alarm|note|severity)$",
        pages.act,
    ),
    path("ack/<str:token>", pages.signed_acknowledge),
]
