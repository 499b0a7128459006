"""What the token report holds beside a month's report. Money is nano-USD; None is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from afterlaunch.reports.contents import Report, SpendRow
from afterlaunch.spend.drivers import Drivers
from afterlaunch.telemetry.attribution import Share


@dataclass(frozen=True)
class Forecast:
    """Known cost of a month by the pace of its complete days, with a 95 % interval. `days`: how many were looked at."""

    month: str
    low: int
    middle: int
    high: int
    days: int


@dataclass(frozen=True)
class Anomaly:
    """A judge of spend, or a budget, that was not ok: when it began, and what it said."""

    at: datetime
    client: str
    system: str
    judge: str
    title: str
    status: str
    explanation: str
    incident: int | None


@dataclass(frozen=True)
class BudgetFacts:
    """`share`: of the fullest window that began in the month; None: nothing was counted."""

    pk: int
    client: str | None
    name: str
    mode: str
    limit: str
    window: str
    share: float | None
    refused: int
    overdraft: str


@dataclass(frozen=True)
class BillFacts:
    """A provider's bill against telemetry. `status`: ok, breach, not_assessed."""

    client: str
    provider: str
    status: str
    reason: str
    billed_nano: int | None
    settled_nano: int
    explained: Mapping[str, int]
    unexplained: Mapping[str, int]


@dataclass(frozen=True)
class Repriced:
    """A repricing that was finished in the month: an adjustment of earlier figures."""

    pk: int
    client: str
    reason: str
    calls: int
    difference_nano: int
    finished_at: datetime


@dataclass(frozen=True)
class Sealed:
    """Of the report that was sealed when it was final. `differs`: parts that are computed otherwise now; nothing is
    compared in another time zone (`compared`)."""

    at: datetime
    digest: str
    entry: int
    differs: tuple[str, ...]
    compared: bool = True


@dataclass(frozen=True)
class TokenReport:
    """`base`: the month as the monthly report has it. `by`: more breakdowns of the same total. `purposes`: what calls
    were for. `answered`: transactions with a call that did not fail, None without calls. `savings`: recommendations
    as documents of the API."""

    base: Report
    by: Mapping[str, tuple[SpendRow, ...]]
    purposes: tuple[Share, ...]
    drivers: Drivers
    answered: int | None
    failed_nano: int
    forecast: Forecast | None
    anomalies: tuple[Anomaly, ...]
    savings: tuple[Mapping[str, Any], ...]
    budgets: tuple[BudgetFacts, ...]
    bills: tuple[BillFacts, ...]
    repriced: tuple[Repriced, ...]
    seal: Sealed | None = None

    @property
    def beside(self) -> tuple[Share, ...]:
        """Calls that nobody asked for: shadow copies and golden prompts; their cost is in the total."""
        return tuple(one for one in self.purposes if one.value in ("shadow", "probe") and one.calls)
