from __future__ import annotations

from django.urls import path, re_path

from afterlaunch.spend import bills_pages, explorer_pages, prices_pages

urlpatterns = [
    path("spend", explorer_pages.explorer),
    path("spend/prices", prices_pages.clients),
    path("spend/prices/<slug:slug>", prices_pages.prices),
    path("spend/prices/<slug:slug>/save", prices_pages.save),
    path("spend/prices/<slug:slug>/withdraw", prices_pages.withdraw),
    path("spend/prices/<slug:slug>/import", prices_pages.import_table),
    path("spend/prices/<slug:slug>/compare", prices_pages.compare),
    path("spend/prices/<slug:slug>/compare", prices_pages.compare),
    path("spend/prices/<slug:slug>/reprice", prices_pages.propose),
    path("spend/reconciliation/<slug:slug>", bills_pages.reconciliation),
    path("spend/reconciliation/<slug:slug>/bills", bills_pages.add),
    path("spend/repricings/<int:pk>", prices_pages.run),
    re_path(r"^spend/repricings/(?P<pk>\d+)/(?P<deed>approve|refuse)$", prices_pages.decide),
]
