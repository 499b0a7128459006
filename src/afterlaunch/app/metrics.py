"""What the product says of itself to Prometheus, beside the receiver's counters. Nothing of any client."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from django.db import DatabaseError, close_old_connections

from afterlaunch.ground import clock
from afterlaunch.ground.errors import AfterlaunchError

log = logging.getLogger(__name__)
Row = tuple[str, float]  # labels as they are written, value
Metric = tuple[str, str, str, list[Row]]  # name, kind, help, rows


def metrics_of(telemetry_bytes: Callable[[], int]) -> str:
    """Prometheus text format. When the database can't be asked, `afterlaunch_metrics_ok` is 0 and nothing else told;
    when the telemetry store can't be, its size is absent."""
    close_old_connections()
    try:
        metrics = [*_duties(), *_work(), *_stores(telemetry_bytes), *_keeping()]
        ok = 1.0
    except DatabaseError:
        log.exception("metrics could not be read")
        metrics, ok = [], 0.0
    finally:
        close_old_connections()
    metrics.append(("metrics_ok", "gauge", "Whether the metrics of the control plane could be read.", [("", ok)]))
    return "".join(_lines(metrics))


def _lines(metrics: Iterable[Metric]) -> Iterable[str]:
    for name, kind, told, rows in metrics:
        metric = f"afterlaunch_{name}"
        yield f"# HELP {metric} {told}\n# TYPE {metric} {kind}\n"
        for labels, value in rows:
            yield f"{metric}{labels} {value:.15g}\n"


def _duties() -> list[Metric]:
    """A duty that never succeeded has no age: absent, not zero."""
    from afterlaunch.engine.models import DutyState

    now, states = clock.now(), list(DutyState.objects.order_by("name"))
    label = {state.name: f'{{duty="{state.name}"}}' for state in states}
    return [
        ("duty_runs_total", "counter", "Runs of a duty.", [(label[s.name], s.runs) for s in states]),
        ("duty_failures_total", "counter", "Runs that failed.", [(label[s.name], s.failed_runs) for s in states]),
        (
            "duty_seconds_total",
            "counter",
            "Real seconds spent in a duty.",
            [(label[s.name], s.seconds) for s in states],
        ),
        (
            "duty_last_success_age_seconds",
            "gauge",
            "Seconds of the product's clock since a duty last succeeded.",
            [(label[s.name], (now - s.succeeded_at).total_seconds()) for s in states if s.succeeded_at],
        ),
    ]


def _work() -> list[Metric]:
    from afterlaunch.alerts.models import Alert
    from afterlaunch.evidence.models import Head
    from afterlaunch.incidents.models import SEVERITIES, Incident
    from afterlaunch.notify.audit import health
    from afterlaunch.notify.models import Page

    waiting = Page.objects.filter(state__in=("pending", "leased"))
    oldest = waiting.order_by("created_at").values_list("created_at", flat=True).first()
    age = (clock.now() - oldest).total_seconds() if oldest else 0.0
    firing = Alert.objects.filter(resolved_at=None)
    silent = firing.filter(silent_since__isnull=False).count()
    head = Head.objects.first()
    paging = health(clock.now())
    clean = [("", paging.clean_age)] if paging.clean_age is not None else []
    incidents = Incident.objects.filter(status="open")
    by_severity = [(f'{{severity="{one}"}}', float(incidents.filter(severity=one).count())) for one, _ in SEVERITIES]
    return [
        ("alerts_firing", "gauge", "Alerts that have not ended.", [("", firing.count())]),
        ("alerts_silent", "gauge", "Firing alerts whose scope tells nothing any more.", [("", silent)]),
        ("incidents_open", "gauge", "Open incidents.", by_severity),
        ("outbox_pages", "gauge", "Pages that are not delivered yet.", [("", waiting.count())]),
        ("outbox_oldest_seconds", "gauge", "Age of the oldest of them; 0 when there is none.", [("", age)]),
        ("paging_clean_audit_age_seconds", "gauge", "Seconds since an audit of paging found nothing.", clean),
        ("paging_repairs_24h", "gauge", "What the auditor of paging mended in 24 hours.", [("", paging.repairs_today)]),
        ("evidence_entries", "gauge", "Entries of the evidence log.", [("", head.size if head else 0)]),
    ]


def _stores(telemetry_bytes: Callable[[], int]) -> list[Metric]:
    from django.db import connection

    sizes: list[Row] = []
    try:
        sizes.append(('{store="telemetry"}', float(telemetry_bytes())))
    except (AfterlaunchError, OSError):
        log.exception("the telemetry store does not tell its size")
    if connection.vendor == "sqlite":
        file = Path(str(connection.settings_dict["NAME"]))
        sizes += [('{store="control"}', float(file.stat().st_size))] if file.exists() else []
    return [("store_bytes", "gauge", "Size of the stores on disk.", sizes)]


def _keeping() -> list[Metric]:
    """What cannot be told is absent. A process without a telemetry store tells nothing."""
    from afterlaunch.ground.errors import Unavailable
    from afterlaunch.telemetry.keeping import dead_letters, storage

    try:
        room, told = storage.seen()
        letters = dead_letters.count()
    except Unavailable:
        return []
    days = [("", told.days)] if told.days is not None else []
    return [
        ("dead_letters", "gauge", "Bodies that could not be stored and wait to be looked at.", [("", letters)]),
        ("telemetry_used_bytes", "gauge", "Bytes that rows of telemetry use on disk.", [("", room.used)]),
        ("telemetry_budget_bytes", "gauge", "Bytes that they may use.", [("", room.budget)]),
        ("telemetry_full_in_days", "gauge", "Days until these are used up, as it grows now.", days),
    ]
