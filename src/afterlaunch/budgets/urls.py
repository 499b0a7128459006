from __future__ import annotations

from django.urls import path

from afterlaunch.budgets import pages

urlpatterns = [
    path("budgets", pages.budgets),
    path("budgets/<int:pk>", pages.budget),
    path("budgets/<int:pk>/end", pages.end),
]
