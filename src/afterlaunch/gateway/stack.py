"""What all calls of a worker use."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from afterlaunch.gateway.estimates import Estimator
from afterlaunch.gateway.exporter import Exporter
from afterlaunch.gateway.guarding.judging import Guarding
from afterlaunch.gateway.health import Health
from afterlaunch.gateway.limits import Buckets
from afterlaunch.gateway.metrics import Metrics
from afterlaunch.gateway.remembered import Answers
from afterlaunch.gateway.shadowing.lanes import Shadows
from afterlaunch.gateway.spending.budgets import Budgets
from afterlaunch.gateway.upstream import Client


@dataclass
class Stack:
    """`without_usage`: upstreams that refused `stream_options`; `busy`: calls by key; `drains`: answers that are read
    on for nobody; `later`: answers that are still looked at when they have passed."""

    client: Client
    exporter: Exporter
    metrics: Metrics
    buckets: Buckets
    budgets: Budgets
    guarding: Guarding
    shadows: Shadows
    health: Health = field(default_factory=Health)
    answers: Answers = field(default_factory=Answers)
    estimator: Estimator = field(default_factory=Estimator)
    without_usage: set[str] = field(default_factory=set)
    busy: Counter[str] = field(default_factory=Counter)
    drains: set[asyncio.Task[None]] = field(default_factory=set)
    later: set[asyncio.Task[None]] = field(default_factory=set)
