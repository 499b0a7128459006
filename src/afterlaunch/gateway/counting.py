"""A finished call in the gateway's own counters."""

from __future__ import annotations

from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.report import CallReport


def count(metrics: Metrics, report: CallReport) -> None:
    about, seconds, attempts = report.about, report.ended, report.attempts
    route, arm = about.route.name, about.assignment.arm.name
    if report.hit is not None or not attempts:  # without attempts the guard refused it
        metrics.call(route, arm, "remembered" if report.hit is not None else "refused", "none", seconds)
        return
    last, metered = attempts[-1], about.asked.protocol.operation is not None
    usage = "exact" if last.tokens else "estimated" if last.estimate else "unknown" if metered else "none"
    asked, answered = last.tokens[:2] if last.tokens else (0, 0)
    metrics.call(route, arm, last.state, usage, seconds, asked or 0, answered or 0)
    if len(attempts) > 1:
        for before in attempts[:-1]:
            error = before.error or before.state
            metrics.add("attempts_failed_total", upstream=before.target.upstream.name, error=error)
    if last.fallback:
        metrics.add("fallbacks_total", route=route, upstream=last.target.upstream.name)
    if metered and not last.tokens:
        why = (last.reading and last.reading.why_unknown) or last.state
        metrics.add("usage_unknown_total", route=route, reason=why)
