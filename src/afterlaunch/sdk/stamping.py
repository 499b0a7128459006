"""Writes on every span, as it starts, what `context` says of it."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from .stamps import stamps


class Stamp(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        told = stamps(parent_context)
        if told:
            own = span.attributes or {}
            span.set_attributes({name: value for name, value in told.items() if name not in own})
