from __future__ import annotations

from django.urls import path

from afterlaunch.anomalies import pages

urlpatterns = [
    path("anomalies", pages.board),
    path("anomalies/<int:pk>", pages.show),
    path("anomalies/<int:pk>/usual", pages.usual),
]
