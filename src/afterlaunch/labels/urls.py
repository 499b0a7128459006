from __future__ import annotations

from django.urls import path

from afterlaunch.labels import pages

urlpatterns = [
    path("systems/<int:pk>/performance", pages.performance),
    path("systems/<int:pk>/performance/task", pages.declare),
    path("systems/<int:pk>/performance/baseline", pages.set_baseline),
    path("systems/<int:pk>/performance/sources/<int:source>/stop", pages.stop),
    path("systems/<int:pk>/performance/sources/<int:source>/resume", pages.resume),
]
