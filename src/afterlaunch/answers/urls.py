from __future__ import annotations

from django.urls import path

from afterlaunch.answers import pages

urlpatterns = [
    path("systems/<int:pk>/answers", pages.answers),
    path("systems/<int:pk>/answers/reference", pages.choose),
]
