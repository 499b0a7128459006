from __future__ import annotations

from django.urls import path

from afterlaunch.changes import pages

urlpatterns = [
    path("changes", pages.changes),
    path("changes/propose", pages.propose),
    path("changes/<int:pk>", pages.change),
    path("changes/<int:pk>/rollback", pages.rollback),
    path("changes/<int:pk>/<str:name>", pages.deed),
]
