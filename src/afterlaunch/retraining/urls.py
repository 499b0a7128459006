from __future__ import annotations

from django.urls import path

from afterlaunch.retraining import hooks, pages

urlpatterns = [
    path("systems/<int:pk>/retraining", pages.retraining),
    path("systems/<int:pk>/retraining/<str:name>/end", pages.end),
    path("systems/<int:pk>/retraining/<str:name>/runs", pages.ask),
    path("systems/<int:pk>/retraining/<str:name>/runs/<int:number>/<str:deed>", pages.deed),
    path("hooks/retraining/<str:token>", hooks.callback),
]
