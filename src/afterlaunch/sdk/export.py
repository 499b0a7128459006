"""Exporters that trouble nobody: they say once that telemetry does not get through, and once that it does again.

The OTLP exporters retry by themselves and log every attempt; what they log while they work for us is kept back.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from .content import is_content_event, without_content

log = logging.getLogger("afterlaunch")
_THREAD = threading.local()


class Reach:
    """Whether telemetry gets through to one address; shared by the signals."""

    def __init__(self, where: str) -> None:
        self._where, self._lock = where, threading.Lock()
        self._proved, self._lost, self.troubled = False, 0, False

    def trouble(self, why: str) -> None:
        with self._lock:
            known, self.troubled = self.troubled, True
        if not known:
            log.warning("Telemetry does not get through to %s (%s). The application goes on.", self._where, why)

    def hear(self, what: str) -> None:
        """An attempt failed and another follows: said at once as long as none has ever succeeded."""
        if not self._proved:
            self.trouble(what)

    def note(self, taken: bool, said: list[str]) -> None:
        """The end of an export, and what was said on the way."""
        if not taken:
            self._lost += 1
            self.trouble((said or ["no reason given"])[-2 if len(said) > 1 else -1])  # the last word is "gave up"
            return
        with self._lock:
            self._proved, was, lost = True, self.troubled, self._lost
            self.troubled, self._lost = False, 0
        if was:
            log.warning("Telemetry gets through to %s again; %d batches were lost.", self._where, lost)


class _KeptBack(logging.Filter):
    """Keeps back what exporters say while they work for us, told by thread, and what follows from a known trouble."""

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self._reach = reach

    def filter(self, record: logging.LogRecord) -> bool:
        said: list[str] | None = getattr(_THREAD, "said", None)
        if said is None:
            follows = ("Exporter already shutdown", "Queue full")
            return not (self._reach.troubled and str(record.msg).startswith(follows))
        said.append(record.getMessage())
        self._reach.hear(said[-1])
        return False


def hush(reach: Reach) -> None:
    """A logger's filter sees only what is said there, so each logger has its own."""
    kept_back, exporters = _KeptBack(reach), "exporter.otlp"
    for name in (
        f"{exporters}.proto.http.trace_exporter",
        f"{exporters}.proto.http.metric_exporter",
        f"{exporters}.proto.http._log_exporter",
        f"{exporters}.common.http",
        "sdk._shared_internal",
    ):
        logging.getLogger(f"opentelemetry.{name}").addFilter(kept_back)


@contextmanager
def _told_to(reach: Reach) -> Iterator[Callable[[bool], None]]:
    said: list[str] = []
    _THREAD.said = said
    try:
        yield lambda taken: reach.note(taken, said)
    finally:
        _THREAD.said = None


class Spans(OTLPSpanExporter):
    """`place` is written over the resource of the provider that was there before us; `bare` leaves content out."""

    def __init__(self, reach: Reach, place: Resource | None, bare: bool, **options: Any) -> None:
        super().__init__(**options)
        self._reach, self._place, self._bare = reach, place, bare

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._place is not None or self._bare:
            spans = [_span(one, self._place, self._bare) for one in spans]
        with _told_to(self._reach) as end:
            result = super().export(spans)
            end(result is SpanExportResult.SUCCESS)
        return result


class Metrics(OTLPMetricExporter):
    def __init__(self, reach: Reach, **options: Any) -> None:
        super().__init__(**options)
        self._reach = reach

    def export(self, metrics_data: Any, timeout_millis: float | None = 10_000, **more: Any) -> MetricExportResult:
        with _told_to(self._reach) as end:
            result = super().export(metrics_data, timeout_millis, **more)
            end(result is MetricExportResult.SUCCESS)
        return result


class Logs(OTLPLogExporter):
    def __init__(self, reach: Reach, place: Resource | None, bare: bool, **options: Any) -> None:
        super().__init__(**options)
        self._reach, self._place, self._bare = reach, place, bare

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        if self._place is not None or self._bare:
            batch = [_record(one, self._place, self._bare) for one in batch]
        with _told_to(self._reach) as end:
            result = super().export(batch)
            end(result is LogRecordExportResult.SUCCESS)
        return result


def _span(span: ReadableSpan, place: Resource | None, bare: bool) -> ReadableSpan:
    attributes, events = span.attributes, span.events
    if bare:
        attributes = without_content(attributes)
        events = [
            Event(one.name, without_content(one.attributes), one.timestamp)
            for one in events
            if not is_content_event(one.name)
        ]
    return ReadableSpan(
        span.name,
        span.get_span_context(),
        span.parent,
        span.resource if place is None else span.resource.merge(place),
        attributes,
        events,
        span.links,
        span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _record(record: ReadableLogRecord, place: Resource | None, bare: bool) -> ReadableLogRecord:
    told = record.log_record
    if bare:
        content = is_content_event(told.event_name or str((told.attributes or {}).get("event.name", "")))
        told = type(told)(
            timestamp=told.timestamp,
            observed_timestamp=told.observed_timestamp,
            context=told.context,
            severity_text=told.severity_text,
            severity_number=told.severity_number,
            body=None if content else told.body,
            attributes=without_content(told.attributes),
            event_name=told.event_name,
        )
    resource = record.resource if place is None else record.resource.merge(place)
    return dataclasses.replace(record, log_record=told, resource=resource)
