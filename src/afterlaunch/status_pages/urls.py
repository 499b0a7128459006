from __future__ import annotations

from django.urls import path

from afterlaunch.status_pages import pages, public

urlpatterns = [
    path("status-pages", pages.status_pages),
    path("status-pages/<int:pk>", pages.status_page),
    path("status-pages/<int:pk>/<str:deed>", pages.alter),
    path("status/confirm/<str:token>", public.confirm),
    path("status/unsubscribe/<str:token>", public.unsubscribe),
    path("status/<str:key>", public.page),
    path("status/<str:key>/status.json", public.page, {"kind": "json"}),
    path("status/<str:key>/feed.rss", public.page, {"kind": "rss"}),
    path("status/<str:key>/subscribe", public.subscribe),
]
