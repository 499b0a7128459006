"""Bodies of plain spans for tests."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.ground import clock


def body(first: int, count: int) -> bytes:
    """Calls with some content, numbered from `first`."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "desk"
    spans = group.scope_spans.add().spans
    for number in range(first + 1, first + count + 1):
        span = spans.add(name="chat", trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"))
        span.start_time_unix_nano = clock.now_ns() + number * 1_000_000
        span.end_time_unix_nano = span.start_time_unix_nano + 1_000
        told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.response.id": f"r{number}"}
        told["input.value"] = f"{number * 7919:x} {number * 104729:x} " * 10
        for key, value in told.items():
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 10
    return request.SerializeToString()
