from __future__ import annotations

from django.urls import path, re_path

from afterlaunch.savings import pages

urlpatterns = [
    path("spend/savings", pages.board),
    path("spend/savings/look", pages.look_again),
    path("spend/savings/terms/<slug:slug>", pages.terms),
    path("spend/savings/terms/<slug:slug>/save", pages.save_terms),
    path("spend/savings/<int:pk>", pages.recommendation),
    path("spend/savings/<int:pk>/shadow", pages.start_shadow),
    path("spend/savings/<int:pk>/shadow/stop", pages.stop_shadow),
    re_path(r"^spend/savings/(?P<pk>\d+)/(?P<deed>accept|decline|live)$", pages.deed),
]
