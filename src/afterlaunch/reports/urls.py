from __future__ import annotations

from django.urls import path

from afterlaunch.reports import pages

urlpatterns = [
    path("reports", pages.reports, name="reports"),
    path("reports/tokens/<str:month>", pages.token_report, name="token-report"),
    path("reports/monthly/<str:month>", pages.monthly_report, name="monthly-report"),
]
