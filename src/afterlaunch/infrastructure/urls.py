from __future__ import annotations

from django.urls import path

from afterlaunch.infrastructure import pages

urlpatterns = [path("infrastructure", pages.infrastructure)]
