"""The judges of performance, as other rooms know them."""

from __future__ import annotations

from dataclasses import dataclass

from afterlaunch.performance.judging import NOT_ASSESSED, Judged
from afterlaunch.verdicts.words import Finding, Status


@dataclass(frozen=True)
class Named:
    name: str
    title: str
    explanation: str
    severity: str
    unit: str = "share"


ACCURACY = Named(
    "performance.accuracy",
    "Accuracy falls",
    "By labels that are mature, a model is wrong more often than in its baseline, beyond the tolerance.",
    "P2",
)
ESTIMATE = Named(
    "performance.estimate",
    "Expected accuracy falls",
    "By calibrated scores, before labels come, a model is expected to be wrong more often than in its baseline.",
    "P3",
)
CONFIDENCE = Named(
    "performance.confidence",
    "Confidence falls",
    "More predictions than in the baseline have a confidence below the floor.",
    "P3",
)
SOURCES = Named(
    "labels.sources",
    "Labels can't be relied on",
    "Sources of labels agree less, come in bursts, repeat the model's outputs, or take longer than in the baseline.",
    "P3",
)
OVERRIDES = Named(
    "performance.overrides",
    "Operators override the model",
    "Operators put something else in the place of more outputs than in the baseline.",
    "P3",
)
LATENCY = Named(
    "performance.latency",
    "Predictions come late",
    "More than 1 in 100 predictions take longer than the declared target.",
    "P2",
    "ms",
)
JUDGES = (ACCURACY, ESTIMATE, CONFIDENCE, OVERRIDES, LATENCY, SOURCES)


def finding(judge: Named, judged: Judged) -> Finding:
    return Finding(
        judge.name,
        Status(judged.status),
        judged.reason,
        judged.why,
        judged.value,
        judged.line,
        judge.unit if judged.value is not None else "",
        judged.n,
        judged.evidence if judged.status == NOT_ASSESSED else judged.evidence | judged.false_alarms.as_evidence(),
    )
