"""Public holidays as the `holidays` package (MIT) knows them, for a country and its subdivision. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from types import MappingProxyType

import holidays

from afterlaunch.ground.errors import Invalid


@lru_cache(maxsize=512)
def of_year(country: str, subdivision: str, year: int) -> Mapping[date, str]:
    """The dates of `year` with their English names where the package has them. Observed days count as well as the days
    themselves, also one that a year's first day throws back into the year before."""
    known = holidays.country_holidays(
        country, subdiv=subdivision or None, years=(year - 1, year, year + 1), observed=True, language="en_US"
    )
    return MappingProxyType({day: name for day, name in sorted(known.items()) if day.year == year})


def holiday(country: str, subdivision: str, day: date) -> str | None:
    """Its name; None: `day` is none."""
    return of_year(country, subdivision, day.year).get(day) if country else None


@lru_cache(maxsize=1)
def package_version() -> str:
    return version("holidays")


@lru_cache(maxsize=1)
def supported() -> Mapping[str, tuple[str, ...]]:
    """Countries by their ISO code, with the codes of their subdivisions."""
    return MappingProxyType({code: tuple(parts) for code, parts in holidays.list_supported_countries().items()})


def check(country: object, subdivision: object) -> tuple[str, str]:
    """Both as they are stored; an empty country means no public holidays. Raises Invalid."""
    if not isinstance(country, str) or not isinstance(subdivision, str):
        raise Invalid("Country and subdivision are texts.", "For example: country DE, subdivision BY")
    country, subdivision = country.strip().upper(), subdivision.strip()
    if not country:
        if subdivision:
            raise Invalid("A subdivision needs its country.", "For example: country DE, subdivision BY")
        return "", ""
    if country not in supported():
        raise Invalid(f"No holidays are known for the country {country!r}.", "Use its two letters, such as DE or US.")
    parts = supported()[country]
    if subdivision and subdivision not in parts:
        known = ", ".join(parts) if parts else "it has none"
        raise Invalid(f"{country} has no subdivision {subdivision!r}.", f"Known: {known}")
    return country, subdivision
