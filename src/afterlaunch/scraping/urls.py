from __future__ import annotations

from django.urls import path

from afterlaunch.scraping import pages

urlpatterns = [
    path("targets", pages.targets),
    path("targets/<int:pk>/remove", pages.remove),
]
