from __future__ import annotations

from django.urls import path

from afterlaunch.alerts import pages

urlpatterns = [
    path("silences", pages.silences, name="silences"),
    path("silences/<int:pk>/end", pages.end_silence),
    path("alerts/<int:pk>/end", pages.end_alert),
]
