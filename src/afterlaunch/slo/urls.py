from __future__ import annotations

from django.urls import path

from afterlaunch.slo import forms, pages

urlpatterns = [
    path("slos", pages.slos),
    path("slos.csv", pages.slos_csv),
    path("slos.yaml", pages.slos_yaml),
    path("slos/new", forms.new),
    path("slos/preview", forms.look),
    path("slos/import", forms.import_file),
    path("slos/<int:pk>", pages.slo),
    path("slos/<int:pk>/budget.csv", pages.budget_csv),
    path("slos/<int:pk>/edit", forms.edit),
    path("slos/<int:pk>/pause", pages.pause),
    path("slos/<int:pk>/remove", pages.remove),
]
