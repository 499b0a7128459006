"""What people look at, after all that: every page and list of telemetry must still answer."""

from __future__ import annotations

from django.test import Client

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.ground import clock
from afterlaunch.telemetry import store as stores
from tests.fuzz.door import Broken

API = "/api/v1"
SPAN = "from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z"
ALWAYS = "from=1970-01-01T00:00:00Z&to=2260-01-01T00:00:00Z"
PLACES = (
    f"{API}/spans?limit=200&{ALWAYS}",
    f"{API}/spans?limit=200",
    f"{API}/calls?limit=200&{ALWAYS}",
    f"{API}/spend?group_by=model,agent,tenant&{SPAN}",
    f"{API}/spend?group_by=system&{ALWAYS}",
    f"{API}/latency?group_by=model&{SPAN}",
    f"{API}/logs?limit=200&{SPAN}",
    f"{API}/infrastructure",
    f"{API}/dead-letters",
    *(f"/calls{name}" for name in ("", "?range=30d", "/usage?group_by=tenant", "/latency", "/errors", "/agents")),
    *(f"/calls/{name}?range=30d" for name in ("retrieval", "sessions", "users", "compare")),
    *(
        "/",
        "/systems",
        "/spend?group_by=model,agent",
        "/infrastructure",
        "/explorer",
        "/logs",
        "/settings/dead-letters",
    ),
)


class Reader:
    """The administrator of the house."""

    def __init__(self) -> None:
        self._client = Client(raise_request_exception=False, headers={"host": "127.0.0.1"})
        self._client.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")

    def read(self) -> None:
        """Raises Broken."""
        store = stores.current()
        store.settle(clock.now_ns())
        store.upkeep(clock.now_ns())
        for place in (*PLACES, *self._traces()):
            status = self._client.get(place).status_code
            if status != 200:
                raise Broken(f"{status}: {place}")

    def _traces(self) -> list[str]:
        found = stores.current().query("select lower(hex(trace_id)) as trace from spans order by seq desc limit 30")
        return [f"/traces/{row['trace']}" for row in found]
