"""A second reader of OTLP bodies, span by span with opentelemetry-proto: slow, plain, and the fast one's oracle."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from afterlaunch.ground.errors import Invalid


@dataclass(frozen=True)
class PlainSpan:
    """A span with the encoded resource and scope it came with."""

    span: Span
    resource: bytes
    scope: bytes

    def attributes(self) -> list[tuple[str, AnyValue]]:
        return [(one.key, one.value) for one in self.span.attributes]


def read(body: bytes) -> list[PlainSpan]:
    """Raises Invalid."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as problem:
        raise Invalid(str(problem)) from None
    return [
        PlainSpan(span, group.resource.SerializeToString(), scoped.scope.SerializeToString())
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]
