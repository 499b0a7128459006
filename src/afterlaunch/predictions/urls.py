from __future__ import annotations

from django.urls import path

from afterlaunch.predictions import pages

urlpatterns = [path("systems/<int:pk>/drift", pages.drift)]
