from __future__ import annotations

from django.urls import path

from afterlaunch.datasets import pages

urlpatterns = [
    path("systems/<int:pk>/data", pages.data),
    path("systems/<int:pk>/data/<str:name>/end", pages.end_dataset),
]
