"""What people thought of an answer: an event of OpenTelemetry's conventions, tied to the trace it judges."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger_provider
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .stamps import held

EVENT = "gen_ai.evaluation.result"
_W3C = TraceContextTextMapPropagator()


def reference() -> str | None:
    """Where we are, as a W3C traceparent: keep it with the answer that you show, for the `feedback` that comes later.
    None outside of any span."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")


def feedback(
    score: float | None = None,
    *,
    label: str | None = None,
    comment: str | None = None,
    name: str | None = None,
    document: str | None = None,
    reference: str | None = None,
    response_id: str | None = None,
    call_id: str | None = None,
) -> None:
    """One judgement, e.g. `score=1.0` or `label="wrong"`. Of the current span, or of what `reference`, the provider's
    `response_id` or the gateway's `afterlaunch-call-id` names. Of a `document` that a look-up found, how relevant it
    was. `name` says what is judged: user_feedback, of a document relevance.

    Raises ValueError when it says nothing, or when `reference` is no traceparent.
    """
    if score is None and not label and not comment:
        raise ValueError("feedback needs a score, a label or a comment")
    told = {
        "gen_ai.evaluation.name": name or ("relevance" if document else "user_feedback"),
        "gen_ai.evaluation.score.value": None if score is None else float(score),
        "gen_ai.evaluation.score.label": label,
        "gen_ai.evaluation.explanation": comment,
        "gen_ai.response.id": response_id,
        "afterlaunch.call_id": call_id,
        "afterlaunch.document.id": document,
    }
    record = LogRecord(
        context=None if reference is None else _at(reference),
        severity_number=SeverityNumber.INFO,
        event_name=EVENT,
        attributes={**held(), **{key: value for key, value in told.items() if value is not None}},
    )
    get_logger_provider().get_logger("afterlaunch.sdk").emit(record)


def _at(reference: str) -> Context:
    found = _W3C.extract({"traceparent": reference}, Context())
    if not trace.get_current_span(found).get_span_context().is_valid:
        raise ValueError(f"not a W3C traceparent: {reference!r}")
    return found
