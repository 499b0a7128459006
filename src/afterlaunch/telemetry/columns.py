"""The canonical columns of a stored span: what `conventions` produces and `store` keeps.

Normative source: the telemetry conventions page of the docs. NULL means unknown, never zero.
"""

from __future__ import annotations

import pyarrow as pa

from afterlaunch.prices.buckets import BUCKETS as BUCKETS

DIMENSIONS = (
    "client",
    "system",
    "environment",
    "service",
    "agent",
    "route",
    "tenant",
    "provider",
    "model",
    "version",
    "arm",
    "op_kind",
    "tool",
)
"""What spend, latency and windows can be grouped by. `model` is the answered model, else the requested one;
`version` is the prompt version, else the release."""

SPANS = pa.schema(
    [
        # who sent it, for whom
        ("client", pa.string()),  # slug of the sender's credential; never NULL
        ("system", pa.string()),
        ("environment", pa.string()),  # folded: prod, staging, dev, test, unknown, else raw
        ("service", pa.string()),
        ("instance", pa.string()),
        ("release", pa.string()),
        ("region", pa.string()),
        ("host", pa.string()),
        ("sdk", pa.string()),  # language/name/version
        ("resource", pa.string()),  # JSON of the resource's attributes that no column used
        # the span
        ("trace_id", pa.binary(16)),
        ("span_id", pa.binary(8)),
        ("parent_span_id", pa.binary(8)),
        ("name", pa.string()),
        ("kind", pa.int8()),  # OTLP SpanKind
        ("op_kind", pa.string()),  # inference, embedding, rerank, retrieval, tool, agent, workflow, …, other
        ("scope", pa.string()),
        ("scope_version", pa.string()),
        ("start_ns", pa.int64()),
        ("duration_ns", pa.int64()),
        ("dialects", pa.string()),  # the conventions it is written in, sorted, with commas
        ("operation", pa.string()),  # the sender's own word for the kind
        ("links", pa.string()),  # JSON list, NULL when none
        ("trace_state", pa.string()),
        ("adjusted_count_milli", pa.int64()),  # thousandths of spans it stands for, as its sampler tells; 1000: itself
        # how it ended
        ("status", pa.int8()),  # OTLP status code: 0 unset, 1 ok, 2 error
        ("failed", pa.bool_()),
        ("http_status", pa.int16()),
        ("error_type", pa.string()),
        ("error_kind", pa.string()),
        ("fault", pa.string()),
        ("status_message", pa.string()),
        ("finish_reason", pa.string()),  # canonical; the first one
        ("limits", pa.string()),  # JSON: limit type -> limit, remaining, reset_s, as the response's headers told
        ("limit_type", pa.string()),  # the tightest of them
        ("limit_headroom", pa.float64()),  # its remaining share, 0..1
        ("retry_after_ns", pa.int64()),
        # the model call
        ("provider", pa.string()),
        ("model_requested", pa.string()),
        ("model_answered", pa.string()),
        ("response_id", pa.string()),
        ("streaming", pa.bool_()),
        ("service_tier", pa.string()),
        *((bucket, pa.int64()) for bucket in BUCKETS),
        ("ttft_ns", pa.int64()),
        ("previous_response_id", pa.string()),
        ("provider_request_id", pa.string()),
        ("response_status", pa.string()),
        ("endpoint", pa.string()),  # host[:port][/path] that was asked
        ("request_params", pa.string()),  # JSON
        ("batch", pa.bool_()),
        ("compacted", pa.bool_()),  # true or NULL
        # subsets of the buckets above, never added to them
        *((name, pa.int64()) for name in ("in_audio", "in_image", "in_video", "out_audio", "out_image")),
        ("usage_source", pa.string()),  # the attribute that told the tokens
        ("usage_semantics", pa.string()),  # inclusive, cache exclusive, reasoning exclusive, exclusive
        # money: nano-USD, rounded up once per call
        ("cost_nano", pa.int64()),
        ("cost_confidence", pa.string()),  # exact, assumed, sender, unknown; NULL for spans that are no call
        ("cost_reported_nano", pa.int64()),
        ("price", pa.string()),  # which price row: "genai-prices 0.2.3 openai/gpt-4o"
        # who, where, why
        ("session", pa.string()),
        ("user", pa.string()),
        ("transaction", pa.string()),  # of the business: an order, a ticket
        ("tenant", pa.string()),
        ("agent", pa.string()),
        ("workflow", pa.string()),
        ("route", pa.string()),
        ("tool", pa.string()),
        ("tool_call_id", pa.string()),
        ("tool_type", pa.string()),
        ("agent_id", pa.string()),
        ("agent_version", pa.string()),
        ("prompt_name", pa.string()),
        ("prompt_version", pa.string()),
        ("inherited", pa.list_(pa.string())),  # columns that an ancestor told
        # what a retrieval brought, in the order of rank; its query is `input_text`
        ("data_source", pa.string()),
        ("top_k", pa.int64()),
        ("document_count", pa.int64()),
        ("document_ids", pa.list_(pa.string())),
        ("document_scores", pa.list_(pa.float64())),
        ("score_kind", pa.string()),  # similarity (more is better), distance
        ("document_updated_ns", pa.list_(pa.int64())),
        ("index_updated_ns", pa.int64()),
        ("cache_hit", pa.bool_()),  # answered from a cache of the retrieval
        # what evaluations said
        ("evaluation_names", pa.list_(pa.string())),
        ("evaluation_scores", pa.list_(pa.float64())),
        ("evaluation_labels", pa.list_(pa.string())),
        # said by our gateway
        ("arm", pa.string()),  # baseline, candidate
        ("gateway_call", pa.string()),  # id shared by the copies of one call
        ("gateway", pa.bool_()),  # this span is the gateway's own report
        # content and the rest
        ("input_text", pa.string()),
        ("output_text", pa.string()),
        ("flags", pa.list_(pa.string())),
        ("attributes", pa.map_(pa.string(), pa.string())),  # what no column used
        ("events", pa.string()),  # JSON list, NULL when none
        ("mapping_version", pa.int16()),
    ]
)
