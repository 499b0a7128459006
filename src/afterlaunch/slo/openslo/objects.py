"""What a file of objectives says, once it is read and checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from afterlaunch.slo.durations import Duration
from afterlaunch.slo.openslo.problems import Where
from afterlaunch.slo.pairs import Pair, standard

Raw = Mapping[str, Any]
OCCURRENCES, TIMESLICES, RATIO_TIMESLICES = "Occurrences", "Timeslices", "RatioTimeslices"
METHODS = (OCCURRENCES, TIMESLICES, RATIO_TIMESLICES)
RATIO, READY, THRESHOLD = "ratio", "ready ratio", "threshold"
OPERATORS = {"lte": "<=", "gte": ">=", "lt": "<", "gt": ">"}


@dataclass(frozen=True)
class Source:
    """Where a series of numbers comes from: `spec` is the type's own, `query` the query in it, if there is one."""

    type: str
    spec: Raw

    @property
    def query(self) -> str:
        return str(self.spec.get("query") or "").strip()


@dataclass(frozen=True)
class Indicator:
    """`shape`: ratio (good or bad, and total), ready ratio (`only`, no counts), threshold (`only`, each sample is an
    event, good while it is `op` `value`)."""

    name: str
    shape: str
    good: Source | None = None
    bad: Source | None = None
    total: Source | None = None
    only: Source | None = None
    counter: bool = False
    failure: bool = False
    op: str = ""
    value: Fraction | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(one for one in (self.good, self.bad, self.total, self.only) if one is not None)


@dataclass(frozen=True)
class Period:
    """`start` and `zone`: of a calendar period, wall time YYYY-MM-DDTHH:MM:SS and an IANA name; empty if it rolls."""

    duration: Duration
    start: str = ""
    zone: str = ""

    @property
    def rolling(self) -> bool:
        return not self.zone

    @property
    def seconds(self) -> int:
        return self.duration.seconds


@dataclass(frozen=True)
class Alerting:
    """`pairs` None: the standard ones. Labels and annotations by severity are for generated rules."""

    pairs: tuple[Pair, ...] | None = None
    name: str = ""
    when_breaching: bool = True
    when_resolved: bool = True
    when_no_data: bool = False
    targets: tuple[str, ...] = ()
    off: frozenset[str] = frozenset()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    annotations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Objective:
    """One SLO. `of` is the name of the document it stands in, of which it may be one of several objectives."""

    name: str
    of: str
    service: str
    target: Fraction
    period: Period
    method: str
    indicator: Indicator
    alerting: Alerting
    where: Where
    title: str = ""
    description: str = ""
    slice_target: Fraction | None = None
    slice_seconds: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def watched(self) -> tuple[Pair, ...]:
        """Also those of which nobody is told."""
        chosen = self.alerting.pairs
        return standard(self.period.seconds) if chosen is None else chosen

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.watched if pair.severity not in self.alerting.off)


@dataclass(frozen=True)
class Document:
    """One document as it stood in its file."""

    kind: str
    name: str
    raw: Raw
    where: Where


@dataclass(frozen=True)
class File:
    documents: tuple[Document, ...]
    objectives: tuple[Objective, ...]
