"""What a profile tells in figures: the range, quantiles, moments, and how many values are distinct. Of a document and,
then beside now, of a page."""

from __future__ import annotations

from math import isfinite

from afterlaunch.drift.evidence import said, share_told
from afterlaunch.profiles.categories import CategoryProfile
from afterlaunch.profiles.distinct import Distinct
from afterlaunch.profiles.numeric import NumericProfile

Profile = NumericProfile | CategoryProfile
Figures = dict[str, float | bool | None]
QUANTILES = {"p1": 0.01, "median": 0.5, "p99": 0.99}
LABELS = {
    "least": "Least",
    "p1": "1 % are below",
    "median": "Median",
    "p99": "99 % are below",
    "greatest": "Greatest",
    "mean": "Mean",
    "deviation": "Standard deviation",
    "distinct": "Distinct values",
    "missing": "Missing",
}


def of(profile: Profile) -> Figures:
    """None: not known, or no float can hold it. `distinct_exact`: counted, and not estimated to 4.6 % (one standard
    error)."""
    found: dict[str, float | None] = {}
    if isinstance(profile, NumericProfile):
        found = {"least": profile.least, "greatest": profile.greatest}
        found |= {name: profile.quantile(share) for name, share in QUANTILES.items()}
        found |= {"mean": profile.mean, "deviation": profile.deviation}
    told: Figures = {name: value if value is not None and isfinite(value) else None for name, value in found.items()}
    distinct = profile.distinct
    told["missing"] = profile.missing / profile.records if profile.records else None
    told["distinct"] = round(distinct.count) if distinct else None
    told["distinct_exact"] = distinct.exact if distinct else None
    return told


def beside(before: Profile, now: Profile) -> list[tuple[str, str, str]]:
    """(what, then, now)"""
    then, here = of(before), of(now)
    return [(label, _told(name, then), _told(name, here)) for name, label in LABELS.items() if name in then]


def _told(name: str, figures: Figures) -> str:
    value = figures[name]
    if value is None:
        return "not known"
    if name == "missing":
        return share_told(value)
    if name == "distinct":
        return counted(Distinct(value, bool(figures["distinct_exact"])))
    return said(value)


def counted(found: Distinct) -> str:
    return f"{found.count:,.0f}" if found.exact else f"about {float(f'{found.count:.2g}'):,.0f}"
