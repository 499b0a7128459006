from __future__ import annotations

from datetime import datetime

from afterlaunch.budgets import alerting, observing


def observe(now: datetime) -> None:
    """Count what telemetry saw, for budgets without the gateway in the path."""
    observing.observe(now)


def judge(now: datetime) -> None:
    """Thresholds and forecasts become alerts; renewed windows end them."""
    alerting.judge(now)


def tidy(now: datetime) -> None:
    """Forget old counts."""
    alerting.tidy(now)
