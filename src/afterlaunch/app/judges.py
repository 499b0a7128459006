"""The default pack of judges, on without configuration, by name."""

from __future__ import annotations

from afterlaunch.agents.rules import JUDGES as OF_AGENTS
from afterlaunch.anomalies.measures import MEASURES
from afterlaunch.anomalies.rules import Volume
from afterlaunch.answers.rules import OUTPUT
from afterlaunch.datasets.rules import JUDGES as OF_DATA
from afterlaunch.guard.rules import JUDGES as OF_GUARDS
from afterlaunch.infrastructure.rules import (
    Dependency,
    Throughput,
    cpu,
    database,
    gpu,
    gpu_memory,
    inference_queue,
    queue,
)
from afterlaunch.labels.rules import JUDGES as OF_LABELS
from afterlaunch.predictions.rules import IMPORTANCE, INPUT
from afterlaunch.probes.providers import ProviderHealth
from afterlaunch.quality.conventions import Conventions
from afterlaunch.quality.rules import Refusals, Truncated
from afterlaunch.slo.rules import ErrorRate, Latency, Timeouts
from afterlaunch.spend.attributing import JUDGES as OF_ATTRIBUTION
from afterlaunch.spend.billed import JUDGE as RECONCILIATION
from afterlaunch.spend.mix_judging import MIX
from afterlaunch.spend.rules import CacheHits, CostPerCall, CostPerHour, UnknownCost, UnknownModel
from afterlaunch.spend.use_rules import CacheLost, RetryStorm, input_per_call, output_per_call
from afterlaunch.verdicts.words import Judge

ARM = ("route", "arm")
JUDGES: tuple[Judge, ...] = (
    ErrorRate(),
    Timeouts(),
    Latency(95),
    Latency(99),
    Volume(),
    CostPerHour(),
    UnknownCost(),
    UnknownModel(),
    CacheHits(),
    RetryStorm(),
    Refusals(),
    Truncated(),
    Conventions(),
    ProviderHealth(),
    ErrorRate(per=ARM),
    Timeouts(per=ARM),
    Latency(95, per=ARM),
    Latency(99, per=ARM),
    CostPerCall(),
    CacheLost(),
    input_per_call(),
    output_per_call(),
    Refusals(per=ARM),
    Truncated(per=ARM),
    cpu(),
    gpu(),
    gpu_memory(),
    inference_queue(),
    queue(),
    database(),
    Throughput(),
    Dependency(),
)
TITLES: dict[str, tuple[str, str]] = {judge.name: (judge.title, judge.explanation) for judge in JUDGES}
TITLES |= {judge.name: (judge.title, judge.explanation) for judge in OF_GUARDS}  # run by the duty guard.judge
TITLES |= {judge.name: (judge.title, judge.explanation) for judge in OF_ATTRIBUTION}  # by the duty spend.attribute
TITLES |= {MIX.name: (MIX.title, MIX.explanation)}  # run by the duty spend.mix
TITLES |= {RECONCILIATION.name: (RECONCILIATION.title, RECONCILIATION.explanation)}  # run by the duty spend.reconcile
TITLES |= {judge.name: (judge.title, judge.explanation) for judge in OF_AGENTS}  # run by the duty agents.judge
TITLES |= {judge.name: (judge.title, judge.explanation) for judge in OF_DATA}  # run by the duty datasets.judge
TITLES |= {one.name: (one.title, one.explanation) for one in MEASURES.values()}  # run by the duty anomalies.follow
TITLES |= {one.name: (one.title, one.explanation) for one in (INPUT, IMPORTANCE)}  # run by the duty predictions.judge
TITLES |= {OUTPUT.name: (OUTPUT.title, OUTPUT.explanation)}  # run by the duty answers.judge
TITLES |= {judge.name: (judge.title, judge.explanation) for judge in OF_LABELS}  # run by the duty labels.join
KINDS: dict[str, str] = {
    # which kind of incident (`incidents.kinds`) a judge's breach is: by its name, else by its room; else `other`
    "spend.unknown_cost": "data_pipeline",
    "spend.unknown_model": "provider_change",
    "spend.reconciliation": "other",
    "spend.unattributed": "data_pipeline",
    "quality.conventions": "data_pipeline",
    "anomalies": "other",
    "anomalies.spend": "cost_runaway",
    "anomalies.errors": "quality_burn",
    "anomalies.latency": "quality_burn",
    "slo": "quality_burn",
    "quality": "quality_burn",
    "spend": "cost_runaway",
    "probes": "provider_change",
    "heartbeats": "data_pipeline",
    "infrastructure": "infrastructure",
    "drift": "drift",
    "performance": "drift",
    "labels": "data_pipeline",
    "grounding": "grounding",
    "safety": "safety_bypass",
    "agents": "agent_loop",
    "retrieval": "retrieval_staleness",
    "data": "data_pipeline",
}
