from __future__ import annotations

from django.urls import path

from afterlaunch.diagnosis import pages

urlpatterns = [
    path("incidents/<int:pk>/diagnosis", pages.again),
    path("incidents/<int:pk>/diagnosis/<int:number>.json", pages.frozen),
]
