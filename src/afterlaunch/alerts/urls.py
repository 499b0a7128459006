from __future__ import annotations

from django.urls import path, re_path

from afterlaunch.alerts import pages, quiet_pages

urlpatterns = [
    path("alerts", pages.alerts, name="alerts"),
    path("alerts/<int:pk>", pages.alert),
    path("alerts/<int:pk>/end", pages.end_alert),
    path("silences", quiet_pages.silences, name="silences"),
    path("silences/preview", quiet_pages.preview),
    path("silences/<int:pk>/end", quiet_pages.end_silence),
    path("maintenance", quiet_pages.windows, name="maintenance"),
    re_path(r"^maintenance/(?P<pk>\d+)/(?P<deed>extend|end|remove)$", quiet_pages.window_deed),
    path("inhibition", quiet_pages.inhibition, name="inhibition"),
    path("inhibition/<int:pk>/remove", quiet_pages.remove_rule),
]
