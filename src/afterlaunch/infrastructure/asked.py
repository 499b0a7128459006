"""What a request asks of the pages of infrastructure: the time, its steps, the places; and links that ask the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.http import urlencode

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.look.requests import Request
from afterlaunch.telemetry.views.asked import fixed, instant

RANGES = {"1h": 60, "6h": 360, "24h": 1_440}  # minutes
STEPS = 60
MINUTE = timedelta(minutes=1)
PATH, API = "/infrastructure", "/api/v1/infrastructure"


@dataclass(frozen=True)
class Asked:
    """`range` is empty for a time that is given by its ends. `step` in minutes. `host` None: all of them."""

    range: str
    start: datetime
    end: datetime
    step: int
    narrowed: Mapping[str, str]
    host: str | None

    @property
    def minutes(self) -> list[int]:
        first, last = (int(at.timestamp()) // 60 // self.step for at in (self.start, self.end))
        return [number * self.step for number in range(first + 1, last + 1)]

    @property
    def time(self) -> dict[str, str]:
        return {"range": self.range} if self.range else self._fixed()

    def link(self, **told: str) -> str:
        """The same time elsewhere."""
        return f"{PATH}?{urlencode({**told, **self.time})}"

    def lasting(self) -> str:
        """What shows the same tomorrow."""
        return f"{PATH}?{urlencode({**self._kept(), **self._fixed()})}"

    def present(self) -> str:
        """The same places now."""
        return f"{PATH}?{urlencode(self._kept())}"

    def files(self) -> list[tuple[str, str]]:
        """(what, address) of the figures as a file."""
        last = {"to": _said(self.end + MINUTE)}  # the running minute is in it, as on the page
        told = {**self._kept(), **self._fixed(), **last, "step_minutes": str(self.step)}
        return [(word, f"{API}?{urlencode({**told, 'format': word.lower()})}") for word in ("CSV", "Parquet")]

    def _kept(self) -> dict[str, str]:
        return {**self.narrowed, **({} if self.host is None else {"host": self.host})}

    def _fixed(self) -> dict[str, str]:
        return {"from": _said(self.start), "to": _said(self.end)}


def _said(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def asked(request: Request) -> Asked:
    """Raises Invalid."""
    given = request.GET
    narrowed = {one: given[one] for one in ("client", "system", "environment") if given.get(one)}
    host = given.get("host")
    if not fixed(request):
        name = given.get("range") or "1h"
        if name not in RANGES:
            raise Invalid(f"{name!r} is no time range.", "Ranges: " + ", ".join(RANGES))
        end = clock.now()
        return Asked(name, end - timedelta(minutes=RANGES[name]), end, RANGES[name] // STEPS, narrowed, host)
    end = instant(given["to"]) if given.get("to") else clock.now()
    start = instant(given["from"]) if given.get("from") else end - timedelta(hours=1)
    length = (end - start) / MINUTE
    if not 0 < length <= RANGES["24h"]:
        raise Invalid(
            "`from` must lie before `to`, by 24 hours at most.", "Metrics shows any metric over longer times."
        )
    return Asked("", start, end, max(1, round(length / STEPS)), narrowed, host)
