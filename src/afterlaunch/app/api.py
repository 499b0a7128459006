"""The REST API: each room's router, by name."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from afterlaunch import __version__
from afterlaunch.alerts.api import router as alerts
from afterlaunch.anomalies.api import router as anomalies
from afterlaunch.answers.api import router as answers
from afterlaunch.app.problems import problem_page
from afterlaunch.budgets.api import router as budgets
from afterlaunch.changes.api import router as changes
from afterlaunch.datasets.api import router as datasets
from afterlaunch.diagnosis.api import router as diagnosis
from afterlaunch.estate.api import router as estate
from afterlaunch.evidence.api import router as evidence
from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.guard.api import router as guard
from afterlaunch.incidents.api import router as incidents
from afterlaunch.incidents.containment.api import router as containment
from afterlaunch.incidents.deeds_api import router as incident_deeds
from afterlaunch.incidents.files.api import router as files
from afterlaunch.incidents.reviews.api import router as reviews
from afterlaunch.incidents.runbooks.api import router as runbooks
from afterlaunch.incidents.updates.api import router as updates
from afterlaunch.infrastructure.api import router as infrastructure
from afterlaunch.labels.api import router as labels
from afterlaunch.notify.api import router as notify
from afterlaunch.oncall.api import router as oncall
from afterlaunch.predictions.api import router as drift
from afterlaunch.probes.api import router as probes
from afterlaunch.reports.api import router as reports
from afterlaunch.retraining.api import router as retraining
from afterlaunch.routes.api import router as routes
from afterlaunch.savings.api import router as savings
from afterlaunch.scraping.api import router as scraping
from afterlaunch.sla.api import router as sla
from afterlaunch.slo.api import router as slos
from afterlaunch.spend.bills_api import router as bills
from afterlaunch.spend.explorer_api import router as explorer
from afterlaunch.spend.prices_api import router as prices
from afterlaunch.status_pages.api import router as status_pages
from afterlaunch.telemetry.api import router as telemetry
from afterlaunch.telemetry.keeping.api import router as keeping
from afterlaunch.telemetry.signals.api import router as signals
from afterlaunch.telemetry.views.api import router as views
from afterlaunch.verdicts.api import router as verdicts

api = NinjaAPI(title="Afterlaunch", version=__version__, urls_namespace="api", docs_url=None)
api.add_router("", alerts)
api.add_router("", diagnosis)
api.add_router("", estate)
api.add_router("", evidence)
api.add_router("", routes)
api.add_router("", budgets)
api.add_router("", guard)
api.add_router("", incidents)
api.add_router("", incident_deeds)
api.add_router("", notify)
api.add_router("", runbooks)
api.add_router("", containment)
api.add_router("", updates)
api.add_router("", files)
api.add_router("", reviews)
api.add_router("", oncall)
api.add_router("", sla)
api.add_router("", telemetry)
api.add_router("", signals)
api.add_router("", prices)
api.add_router("", bills)
api.add_router("", explorer)
api.add_router("", savings)
api.add_router("", anomalies)
api.add_router("", views)
api.add_router("", scraping)
api.add_router("", slos)
api.add_router("", keeping)
api.add_router("", infrastructure)
api.add_router("", drift)
api.add_router("", labels)
api.add_router("", answers)
api.add_router("", datasets)
api.add_router("", probes)
api.add_router("", status_pages)
api.add_router("", verdicts)
api.add_router("", changes)
api.add_router("", reports)
api.add_router("", retraining)


@api.exception_handler(AfterlaunchError)
def _ours(request: HttpRequest, problem: AfterlaunchError) -> HttpResponse:
    return problem_page(request, problem)


@api.exception_handler(ValidationError)
def _validation(request: HttpRequest, problem: ValidationError) -> HttpResponse:
    first = problem.errors[0] if problem.errors else {}
    where = ".".join(str(part) for part in first.get("loc", ()))
    return problem_page(request, Invalid(f"{where}: {first.get('msg', 'is not valid')}", "See /api/v1/openapi.json"))


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, problem: HttpError) -> HttpResponse:
    """The framework's own: a body that it cannot parse."""
    return problem_page(request, Invalid(f"{problem.message}.", "Send one JSON document. See /api/v1/openapi.json"))
