"""Every address, by name."""

from __future__ import annotations

from django.urls import include, path

from afterlaunch.app import health, sign_in
from afterlaunch.app.api import api

urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("accounts/", include("afterlaunch.app.account_urls")),
    path("sign-in/<str:secret>", sign_in.one_time_link),
    path("api/v1/", api.urls),
    path("", include("afterlaunch.incidents.urls")),
    path("", include("afterlaunch.alerts.urls")),
    path("", include("afterlaunch.receivers.urls")),
    path("", include("afterlaunch.oncall.urls")),
    path("", include("afterlaunch.sla.urls")),
    path("", include("afterlaunch.notify.urls")),
    path("", include("afterlaunch.telemetry.urls")),
    path("", include("afterlaunch.telemetry.keeping.urls")),
    path("", include("afterlaunch.scraping.urls")),
    path("", include("afterlaunch.probes.urls")),
    path("", include("afterlaunch.status_pages.urls")),
    path("", include("afterlaunch.infrastructure.urls")),
    path("", include("afterlaunch.predictions.urls")),
    path("", include("afterlaunch.labels.urls")),
    path("", include("afterlaunch.answers.urls")),
    path("", include("afterlaunch.datasets.urls")),
    path("", include("afterlaunch.overview.urls")),
    path("", include("afterlaunch.slo.urls")),
    path("", include("afterlaunch.spend.urls")),
    path("", include("afterlaunch.savings.urls")),
    path("", include("afterlaunch.anomalies.urls")),
    path("", include("afterlaunch.changes.urls")),
    path("", include("afterlaunch.budgets.urls")),
    path("", include("afterlaunch.guard.urls")),
    path("", include("afterlaunch.diagnosis.urls")),
    path("", include("afterlaunch.retraining.urls")),
    path("", include("afterlaunch.replies.urls")),
    path("", include("afterlaunch.reports.urls")),
    path("", include("afterlaunch.evidence.urls")),
]
