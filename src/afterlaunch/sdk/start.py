"""`init`: OpenTelemetry set up for Afterlaunch in one line."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from .export import Reach

log = logging.getLogger("afterlaunch")
DEFAULT_ENDPOINT = "http://127.0.0.1:8700"
PLACE = {  # argument -> environment variable, attribute of the resource
    "system": ("AFTERLAUNCH_SYSTEM", "afterlaunch.system"),
    "environment": ("AFTERLAUNCH_ENVIRONMENT", "deployment.environment.name"),
    "release": ("AFTERLAUNCH_RELEASE", "service.version"),
    "client": ("AFTERLAUNCH_CLIENT", "afterlaunch.client"),
}
# A restart of the server takes a few seconds: the exporters retry that long, with growing pauses.
RETRY_SECONDS = 30.0
SOON_MILLISECONDS = 1000.0
EXIT_SECONDS = 5.0
_SIGNALS = ("traces", "metrics", "logs")
_OFF = ("off", "false", "no", "0")


@dataclass
class _Running:
    """What `init` set up, and of what. `exporters` are ended when leaving takes too long."""

    target: _Target
    place: dict[str, str]
    exporters: list[Any] = field(default_factory=list)
    flushes: list[Callable[[], Any]] = field(default_factory=list)
    ends: list[Callable[[], Any]] = field(default_factory=list)
    leaving: threading.Event = field(default_factory=threading.Event)


_running: _Running | None = None
_lock = threading.Lock()


def init(
    endpoint: str | None = None,
    token: str | None = None,
    *,
    system: str | None = None,
    environment: str | None = None,
    release: str | None = None,
    client: str | None = None,
    content: bool | None = None,
    metrics: bool = True,
    logs: bool = True,
) -> None:
    """Send this process' traces, and its metrics and log events, to Afterlaunch, in batches and in the background.

    What is not given is read from AFTERLAUNCH_ENDPOINT, AFTERLAUNCH_TOKEN (or AFTERLAUNCH_TOKEN_FILE),
    AFTERLAUNCH_SYSTEM, AFTERLAUNCH_ENVIRONMENT, AFTERLAUNCH_RELEASE, AFTERLAUNCH_CLIENT, then from OpenTelemetry's own
    OTEL_* variables. Providers that are set already are kept, and told to send here too. `content=False`, or
    AFTERLAUNCH_CONTENT=off, leaves prompts, answers and arguments out.

    Never raises for a server that is away, a token that is wrong or a setting that cannot be: it logs that, once.
    """
    global _running
    with _lock:
        if _running is not None:
            log.warning("afterlaunch.init was called before; the first call stands.")
            return
        try:
            target = _target(endpoint, token)
        except (ValueError, OSError) as problem:
            log.error("No telemetry: %s", problem)
            return
        given = {"system": system, "environment": environment, "release": release, "client": client}
        bare = os.environ.get("AFTERLAUNCH_CONTENT", "on").lower() in _OFF if content is None else not content
        _running = _start(target, _place(given), bare, metrics, logs)


def flush() -> None:
    """Send what waits, now: at the end of a function in the cloud, say. Waits until it is sent or given up."""
    for one in _running.flushes if _running else ():
        one()


def _place(given: dict[str, str | None]) -> dict[str, str]:
    """What was said of where this runs, as attributes of the resource."""
    told = {attribute: given[name] or os.environ.get(variable) for name, (variable, attribute) in PLACE.items()}
    return {attribute: value for attribute, value in told.items() if value}


@dataclass(frozen=True)
class _Target:
    """`endpoint` None leaves the addresses to OTEL_EXPORTER_OTLP_…"""

    endpoint: str | None
    headers: dict[str, str]

    def options(self, signal: str) -> dict[str, Any]:
        """For the OTLP exporter of one signal; what OTEL_* says is left to it."""
        from opentelemetry.exporter.otlp.proto.http import Compression

        found: dict[str, Any] = {"headers": self.headers}
        if self.endpoint is not None:
            found["endpoint"] = f"{self.endpoint}/v1/{signal}"
        if not _said(f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"):
            found["timeout"] = RETRY_SECONDS
        if not _said(f"OTEL_EXPORTER_OTLP_{signal.upper()}_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"):
            found["compression"] = Compression.Gzip
        return found

    @property
    def where(self) -> str:
        return self.endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "the address in OTEL_EXPORTER_OTLP_*"


def _said(*names: str) -> bool:
    return any(os.environ.get(name) for name in names)


def destination(
    endpoint: str | None, token: str | None, given: dict[str, str | None]
) -> tuple[str, dict[str, str], dict[str, str]]:
    """Address, headers and place (by argument's name) of what is sent beside telemetry: as given, else as `init` was
    told, else from AFTERLAUNCH_…. A token that `init` was given goes to the address that it was given for. Raises
    ValueError, OSError."""
    told = _running.target if _running else None
    if told is None or told.endpoint is None or endpoint is not None or token is not None:
        told = _target(endpoint or (told.endpoint if told else None), token)
    if told.endpoint is None:
        raise ValueError("no address: endpoint=… or AFTERLAUNCH_ENDPOINT; that of OTEL_… may be a collector's.")
    place = _running.place if _running else _place(dict.fromkeys(PLACE))
    place = place | {PLACE[name][1]: value for name, value in given.items() if value}
    return told.endpoint, told.headers, {name: place[at] for name, (_, at) in PLACE.items() if at in place}


def _target(endpoint: str | None, token: str | None) -> _Target:
    """Raises ValueError or OSError when it can't be."""
    where = endpoint or os.environ.get("AFTERLAUNCH_ENDPOINT")
    otel = ("OTEL_EXPORTER_OTLP_ENDPOINT", *(f"OTEL_EXPORTER_OTLP_{one.upper()}_ENDPOINT" for one in _SIGNALS))
    if where is None and not _said(*otel):
        where = DEFAULT_ENDPOINT
    if where is not None and not where.startswith(("http://", "https://")):
        raise ValueError(f"the endpoint must begin with http:// or https://, not {where!r}.")
    secret = token or os.environ.get("AFTERLAUNCH_TOKEN")
    file = os.environ.get("AFTERLAUNCH_TOKEN_FILE")
    if secret is None and file:
        try:
            secret = Path(file).read_text().strip()
        except OSError as problem:
            raise OSError(f"AFTERLAUNCH_TOKEN_FILE cannot be read ({problem}).") from problem
    if secret and not secret.isprintable():
        raise ValueError("the token has characters that no token has.")  # a header's error would tell it
    return _Target(where.rstrip("/") if where else None, {"Authorization": f"Bearer {secret}"} if secret else {})


def _start(target: _Target, place: dict[str, str], bare: bool, metrics: bool, logs: bool) -> _Running:
    from .export import Reach, hush

    running, reach, resource = _Running(target, place), Reach(target.where), _resource(place)
    hush(reach)
    _traces(running, target, reach, resource, place, bare)
    if metrics:
        _metrics(running, target, reach, resource)
    if logs:
        _logs(running, target, reach, resource, place, bare)
    threading.Thread(target=_end_in_time, args=(running,), name="afterlaunch-exit", daemon=True).start()
    atexit.register(_leave, running)  # after OpenTelemetry's own: runs before them
    return running


def _resource(place: dict[str, str]) -> Resource:
    """Of providers of our own: that of the tracer provider that is set, if there is one, else from OTEL_*; `place`
    comes first."""
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = trace.get_tracer_provider()
    found = (provider.resource if isinstance(provider, TracerProvider) else Resource.create()).merge(Resource(place))
    service = str(found.attributes.get("service.name", ""))
    if service.startswith("unknown_service"):
        if "afterlaunch.system" not in place:
            log.warning("Telemetry belongs to no system: name one, afterlaunch.init(system=…) or AFTERLAUNCH_SYSTEM.")
        else:
            found = found.merge(Resource({"service.name": place["afterlaunch.system"]}))
    return found


def _traces(
    running: _Running, target: _Target, reach: Reach, resource: Resource, place: dict[str, str], bare: bool
) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from .export import Spans
    from .stamping import Stamp

    provider = trace.get_tracer_provider()
    ours = isinstance(provider, trace.ProxyTracerProvider)
    if ours:
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if not isinstance(provider, TracerProvider):
        log.error("No traces: the tracer provider that is set, %s, takes no span processor.", type(provider).__name__)
        return
    exporter = Spans(reach, _over(ours, place), bare, **target.options("traces"))
    soon = None if _said("OTEL_BSP_SCHEDULE_DELAY") else SOON_MILLISECONDS
    batches = BatchSpanProcessor(exporter, schedule_delay_millis=soon)
    provider.add_span_processor(Stamp())
    provider.add_span_processor(batches)
    if ours:
        trace.set_tracer_provider(provider)
    _remember(running, exporter, batches.force_flush, batches.shutdown)


def _metrics(running: _Running, target: _Target, reach: Reach, resource: Resource) -> None:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from .export import Metrics

    provider = metrics.get_meter_provider()
    if isinstance(provider, MeterProvider):
        log.info("Metrics stay with the meter provider that is set.")
        return
    exporter = Metrics(reach, **target.options("metrics"))
    mine = MeterProvider([PeriodicExportingMetricReader(exporter)], resource, shutdown_on_exit=False)
    metrics.set_meter_provider(mine)
    _remember(running, exporter, mine.force_flush, mine.shutdown)


def _logs(
    running: _Running, target: _Target, reach: Reach, resource: Resource, place: dict[str, str], bare: bool
) -> None:
    from opentelemetry._logs import get_logger_provider, set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    from .export import Logs

    provider = get_logger_provider()
    ours = not isinstance(provider, LoggerProvider)
    if not isinstance(provider, LoggerProvider):
        provider = LoggerProvider(resource, shutdown_on_exit=False)
    exporter = Logs(reach, _over(ours, place), bare, **target.options("logs"))
    soon = None if _said("OTEL_BLRP_SCHEDULE_DELAY") else SOON_MILLISECONDS
    batches = BatchLogRecordProcessor(exporter, schedule_delay_millis=soon)
    provider.add_log_record_processor(batches)
    if ours:
        set_logger_provider(provider)
    _remember(running, exporter, batches.force_flush, batches.shutdown)


def _over(ours: bool, place: dict[str, str]) -> Resource | None:
    """What the exporter writes over the resource of a provider that is not ours."""
    from opentelemetry.sdk.resources import Resource

    return None if ours or not place else Resource(place)


def _remember(running: _Running, exporter: Any, flush: Callable[[], Any], end: Callable[[], Any]) -> None:
    running.exporters.append(exporter)
    running.flushes.append(flush)
    running.ends.append(end)


def _leave(running: _Running) -> None:
    """At the end of the process: send what waits, for at most EXIT_SECONDS if nobody takes it."""
    running.leaving.set()
    for end in running.ends:
        end()


def _end_in_time(running: _Running) -> None:
    """An exporter in the middle of its retries stops only when it is ended, and no thread can start at exit."""
    running.leaving.wait()
    threading.Event().wait(EXIT_SECONDS)
    for exporter in running.exporters:
        exporter.shutdown()
