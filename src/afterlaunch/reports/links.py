"""Where figures come from: paths of pages and of the API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

from afterlaunch.ground.errors import Invalid
from afterlaunch.reports.contents import Report
from afterlaunch.reports.periods import period, preceding
from afterlaunch.telemetry.served import Place

PLACE = "client,system,environment"
Equals = Mapping[str, str | None]
Bounds = tuple[datetime, datetime]


def _equals(place: Place | None) -> Equals:
    return dict(zip(PLACE.split(","), place, strict=True)) if place else {}


def base_url(text: str) -> str:
    """An address that links may begin with. Raises Invalid."""
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host = None
    whole = bool(host) and parts.scheme in ("http", "https") and not (parts.query or parts.fragment)
    if not whole or any(sign in text for sign in " \t\r\n<>()\"'`\\"):
        raise Invalid(f"{text!r} is no address that links can begin with.", "For example https://afterlaunch.example")
    return text.rstrip("/")


def instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Links:
    """The addresses behind one report: every query has its month's bounds and its scope."""

    def __init__(self, report: Report) -> None:
        self._filters: dict[str, str] = report.scope.filters
        self._start, self._until = report.period.start, report.period.until
        last = period(preceding(report.period.month), report.period.zone, report.period.start)
        self._before = (last.start, last.end)
        self._zone, self._month = report.period.zone, report.period.month

    def _api(self, what: str, equals: Equals, bounds: Bounds | None = None) -> str:
        start, until = bounds or (self._start, self._until)
        query = {"from": instant(start), "to": instant(until), **self._filters}
        return f"/api/v1/{what}?{urlencode(query | {name: value for name, value in equals.items() if value})}"

    def spend(self, group_by: str, equals: Equals | None = None, bounds: Bounds | None = None) -> str:
        return self._api("spend", {"group_by": group_by, **(equals or {})}, bounds)

    def spend_before(self, group_by: str, equals: Equals | None = None) -> str:
        """The same question to the month before."""
        return self.spend(group_by, equals, self._before)

    def availability(self, place: Place | None = None) -> str:
        return self._api("availability", _equals(place))

    def latency(self, place: Place) -> str:
        return self._api("latency", {"group_by": PLACE, **_equals(place)})

    def cache(self, place: Place) -> str:
        return self.spend(PLACE, _equals(place))

    def failed(self, place: Place | None = None, bounds: Bounds | None = None) -> str:
        return self._api("calls", {"failed": "true", **_equals(place)}, bounds)

    def verdicts(self, place: Place, judge: str) -> str:
        return self._api("verdicts/history", {"judge": judge, **_equals(place)})

    def report(self, form: str) -> str:
        query = {"month": self._month, **self._filters, "time_zone": self._zone, "format": form}
        return f"/api/v1/reports/monthly?{urlencode(query)}"

    def tokens(self, form: str) -> str:
        query = {"month": self._month, **self._filters, "time_zone": self._zone, "format": form}
        return f"/api/v1/reports/tokens?{urlencode(query)}"

    def tokens_page(self) -> str:
        query = {**self._filters, "time_zone": self._zone}
        return f"/reports/tokens/{self._month}?{urlencode(query)}"

    def page(self) -> str:
        query = {**self._filters, "time_zone": self._zone}
        return f"/reports/monthly/{self._month}?{urlencode(query)}"


def incident(pk: int) -> str:
    return f"/incidents/{pk}"


def change(pk: int) -> str:
    return f"/changes/{pk}"


def system(pk: int) -> str:
    return f"/systems/{pk}"
