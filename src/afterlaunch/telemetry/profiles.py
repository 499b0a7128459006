"""Exponential histograms of latencies, sizes and costs, and counts of failures: what is profiled, in which buckets.

8 buckets per doubling: a bucket's geometric middle is within 4.5 % of every value in it (2^(1/16) - 1). Merging is
adding up, over any time and any series.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from typing import Any

import numpy as np
import numpy.typing as npt

PER_DOUBLING = 8
LATENCY, TTFT, INPUT, OUTPUT, COST, ERROR, PASSED_ON, RECOVERED = range(8)
"""Measures: microseconds, microseconds, tokens, tokens, nano-USD, and the kind of failure (`error_code`): of all that
failed, of those that only passed a failure on, and of the others that a retry or a fallback made good."""
ZERO = -1
"""The bucket of 0."""
Ints = npt.NDArray[np.int64]


def buckets(values: Ints) -> npt.NDArray[np.int16]:
    """The bucket of each value (0 or more)."""
    steps = np.floor(PER_DOUBLING * np.log2(np.maximum(values, 1))).astype(np.int16)
    return np.where(values <= 0, np.int16(ZERO), steps).astype(np.int16)


def bucket(value: int) -> int:
    return ZERO if value <= 0 else int(PER_DOUBLING * log2(value))


def middle(step: int) -> float:
    """The geometric middle of a bucket, in the measure's unit."""
    return 0.0 if step == ZERO else float(2 ** ((step + 0.5) / PER_DOUBLING))


def holding(steps: Sequence[tuple[int, int]], share: float) -> int:
    """The bucket that holds this quantile, of (bucket, how many) in order; at least one."""
    wanted, reached = share * sum(count for _, count in steps), 0
    for step, count in steps:
        reached += count
        if reached >= wanted:
            return step
    return steps[-1][0]


def upper(step: int) -> int:
    """No value of the bucket is above this."""
    return 0 if step == ZERO else int(2 ** ((step + 1) / PER_DOUBLING)) + 1


ERROR_KINDS = (
    "unknown",
    "rate_limited",
    "quota_exhausted",
    "overloaded",
    "provider_error",
    "timeout",
    "network",
    "auth",
    "model_not_found",
    "context_length",
    "content_filter",
    "invalid_request",
    "model_output",
    "tool_error",
    "retrieval_error",
    "guardrail_block",
    "agent_limit",
    "cancelled",
    "application",
)
FAULTS = (
    "unknown",
    "provider",
    "account",
    "network",
    "caller",
    "model policy",
    "model",
    "tool",
    "retrieval",
    "policy",
    "application",
    "user",
)
"""The order is kept in stores: append, never insert."""
_KIND = {name: place for place, name in enumerate(ERROR_KINDS)}
_FAULT = {name: place for place, name in enumerate(FAULTS)}


def error_code(kind: Any, fault: Any) -> int:
    """Kind and fault of a failure as one bucket; what has no place counts as unknown."""
    return 32 * _KIND.get(kind, 0) + _FAULT.get(fault, 0)


def error_of(code: int) -> tuple[str, str]:
    """(kind, fault)."""
    return ERROR_KINDS[code // 32], FAULTS[code % 32]
