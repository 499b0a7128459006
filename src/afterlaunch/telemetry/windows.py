"""What judges read: one row of summed rollups. Computed by `telemetry.queries.windows`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Window:
    """Sums over [start, end) for one combination of the asked dimensions.

    `key` holds the dimension values (None: not told). Counts are of calls, each counted once however many
    instrumentations reported it. Latencies are milliseconds from a log-scale histogram (relative error under 5 %),
    None without calls. `cost_nano` sums the known costs; `calls_unknown_cost` counts the others.
    `cache_known_calls` are calls whose cache-read count is known; hit rate = cache_read / input over those.
    """

    start: datetime
    end: datetime
    key: dict[str, str | None]
    calls: int = 0
    failed: int = 0
    timeouts: int = 0
    provider_faults: int = 0
    refused: int = 0  # finish reason content_filter
    truncated: int = 0  # finish reason length
    input_tokens: int = 0
    output_tokens: int = 0
    cache_known_calls: int = 0
    cache_known_input: int = 0
    cache_read: int = 0
    cost_nano: int = 0
    calls_unknown_cost: int = 0
    calls_unknown_model: int = 0  # that tell no model at all
    calls_estimated: int = 0  # whose tokens nobody told, so that the gateway estimated them
    tokens_estimated: int = 0  # of those calls, in the sums
    cost_estimated_nano: int = 0
    calls_sampled: int = 0  # of traces whose sampler lets but a share of them through
    calls_unsent_milli: int = 0  # what those stand for beyond themselves, in no other sum: calls, in thousandths,
    input_unsent: int = 0  # tokens
    output_unsent: int = 0
    cost_unsent_nano: int = 0
    top_cost_nano: int = 0  # at least as much as the costliest call, by 9 % at most; told by `queries.judged` only
    top_cost_calls: int = 0  # 1 when that is known
    total_ms: float = 0.0  # of all latencies, from the same histogram: 4.5 % at most beside the truth
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    p95_low_ms: float | None = None  # lower confidence bound of the true p95, see `quantiles`
    p99_low_ms: float | None = None
    ttft_p50_ms: float | None = None  # to the first token, of the streamed calls that tell it
    ttft_p95_ms: float | None = None
    ttft_calls: int = 0
    buckets: dict[str, int] = field(default_factory=dict)  # the eight token buckets, known part

    @property
    def calls_extrapolated(self) -> int:
        """With those that samplers left out."""
        return extrapolated(self.calls, self.calls_unsent_milli)

    @property
    def cost_extrapolated_nano(self) -> int:
        return self.cost_nano + self.cost_unsent_nano


def extrapolated(calls: int, unsent_milli: int) -> int:
    """Whole calls."""
    return calls + (unsent_milli + 500) // 1_000
