from __future__ import annotations

from django.urls import path

from afterlaunch.evidence import pages

urlpatterns = [path("evidence", pages.evidence)]
