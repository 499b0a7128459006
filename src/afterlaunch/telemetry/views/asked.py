"""What a request asks of a view: the time, the search, by what; and the links that ask the same again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.http import urlencode

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.columns import DIMENSIONS
from afterlaunch.telemetry.queries import Clients
from afterlaunch.telemetry.views.search import Search, of_dimensions, parse

RANGES = {"1h": 3_600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000}


def chosen_range(request: Request, default: str = "24h") -> tuple[str, datetime, datetime]:
    """The named stretch that ends now; the running minute is in it."""
    name = request.GET.get("range") or default
    if name not in RANGES:
        raise Invalid(f"{name!r} is no time range.", "Ranges: " + ", ".join(RANGES))
    end = clock.now() + timedelta(minutes=1)
    return name, end - timedelta(seconds=RANGES[name]), end


def fixed(request: Request) -> bool:
    """Whether the time is given by its ends. A named stretch goes before: who looks at a fixed time and chooses one
    sends both."""
    given = request.GET
    return not given.get("range") and bool(given.get("from") or given.get("to"))


@dataclass(frozen=True)
class Asked:
    """`range` is empty for a time that is given by its ends. `kept`: what else the address holds."""

    path: str
    range: str
    start: datetime
    end: datetime
    search: Search
    clients: Clients
    kept: Mapping[str, str]

    @property
    def q(self) -> str:
        return str(self.search)

    def _time(self) -> dict[str, str]:
        return {"range": self.range} if self.range else self._fixed()

    def _fixed(self) -> dict[str, str]:
        return {"from": _said(self.start), "to": _said(self.end)}

    def link(self, path: str = "", q: str | None = None, **more: str) -> str:
        """The same time and search elsewhere; without `path` the same view, with `more` on top of what it was asked."""
        told = {**(self.kept if not path else {}), **self._time(), "q": self.q if q is None else q, **more}
        return f"{path or self.path}?{urlencode({key: value for key, value in told.items() if value})}"

    def lasting(self) -> str:
        """A link that shows the same tomorrow."""
        told = {**self.kept, **self._fixed(), "q": self.q}
        return f"{self.path}?{urlencode({key: value for key, value in told.items() if value})}"

    def files(self, api: str, section: str = "") -> list[tuple[str, str]]:
        """(what, address) of the API's answer as a file."""
        told = {**self.kept, **self._fixed(), "q": self.q, "section": section}
        words = urlencode({key: value for key, value in told.items() if value})
        return [(word, f"{api}?{words}&format={kind}") for word, kind in (("CSV", "csv"), ("Parquet", "parquet"))]

    def context(self, api: str) -> dict[str, Any]:
        """What the head of every view needs."""
        terms = [(str(term), self.link(q=str(self.search.without(term)))) for term in self.search.terms]
        return {
            "asked": self,
            "q": self.q,
            "range": self.range,
            "ranges": RANGES,
            "terms": terms,
            "cleared": Asked.link(replace(self, search=Search())),
            "files": self.files(api),
            "lasting": self.lasting(),
            "kept": [(key, value) for key, value in self.kept.items()],
        }


def _said(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """Raises Invalid."""
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Invalid(f"{text!r} is no instant with a zone.", "For example 2026-03-01T00:00:00Z")
    return found.astimezone(UTC)


def asked(request: Request, *keep: str, default: str = "24h") -> Asked:
    """From a page's address. `keep`: parameters of the view itself, which its links carry on."""
    given = request.GET
    if fixed(request):
        name = ""
        end = instant(given["to"]) if given.get("to") else clock.now() + timedelta(minutes=1)
        start = instant(given["from"]) if given.get("from") else end - timedelta(days=1)
        if start >= end:
            raise Invalid("`from` must lie before `to`.")
    else:
        name, start, end = chosen_range(request, default)
    search = parse(given.get("q", ""))
    for term in of_dimensions({one: given[one] for one in DIMENSIONS if given.get(one)}).terms:
        search = search.also(term.field, term.values[0])
    if given.get("errors"):
        search = search.also("failed", "yes")
    if given.get("field") and given.get("value"):
        search = parse(str(search.also(given["field"], given["value"])))
    kept = {key: given[key] for key in keep if given.get(key)}
    return Asked(request.path, name, start, end, search, request.actor.sees(), kept)
