"""Pages of the product about an incident's system and time, by the names that runbooks and checklists use. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlencode

BEFORE, LONGEST = timedelta(minutes=30), timedelta(hours=24)


class Where(Protocol):
    """What of an incident the addresses need."""

    @property
    def pk(self) -> int: ...
    @property
    def environment(self) -> str: ...
    @property
    def route(self) -> str: ...
    @property
    def occurred_at(self) -> datetime | None: ...
    @property
    def detected_at(self) -> datetime: ...
    @property
    def resolved_at(self) -> datetime | None: ...


LABELS = {
    "incident": "This incident",
    "diagnosis": "Where it concentrates",
    "system": "The system",
    "verdicts": "Verdicts",
    "changes": "What changed",
    "calls": "Calls",
    "failing": "Failing calls",
    "usage": "Usage",
    "usage_model": "Usage by model",
    "usage_version": "Usage by version",
    "usage_agent": "Usage by agent",
    "usage_tenant": "Usage by tenant",
    "usage_route": "Usage by route",
    "latency": "Latency",
    "latency_model": "Latency by model",
    "errors": "Errors",
    "agents": "Agents and tools",
    "retrieval": "Retrieval",
    "sessions": "Sessions",
    "users": "Users",
    "compare": "Two periods",
    "spend": "Spend",
    "logs": "Log",
    "log_errors": "Errors in the log",
    "infrastructure": "Infrastructure",
    "oncall": "Who is on call",
    "silences": "Silences",
    "gateway": "Routes and keys",
    "keeping": "Keeping",
    "dead_letters": "Dead letters",
    "settings": "Settings",
    "evidence": "Evidence",
}


def places(incident: Where, client: str, system: str, system_pk: int, now: datetime) -> dict[str, str]:
    """Name -> address. The time reaches from half an hour before it began to its end, or to now, a day at most."""
    start = (incident.occurred_at or incident.detected_at) - BEFORE
    end = min(max(incident.resolved_at or now, start + BEFORE * 2), start + LONGEST)
    where = {"client": client, "system": system}
    if incident.environment:
        where["environment"] = incident.environment
    time = {"from": _said(start), "to": _said(end)}

    def view(path: str, **more: str) -> str:
        return f"{path}?{urlencode({**where, **time, **more})}"

    return {
        "incident": f"/incidents/{incident.pk}",
        "diagnosis": f"/incidents/{incident.pk}#panel-diagnosis",
        "system": f"/systems/{system_pk}",
        "verdicts": f"/systems/{system_pk}",
        "changes": f"/changes?{urlencode({'incident': incident.pk})}",
        "calls": view("/calls"),
        "failing": view("/calls", errors="1"),
        "usage": view("/calls/usage"),
        "latency": view("/calls/latency"),
        "latency_model": view("/calls/latency", group_by="model"),
        **{f"usage_{by}": view("/calls/usage", group_by=by) for by in ("model", "version", "agent", "tenant", "route")},
        **{name: view(f"/calls/{name}") for name in ("errors", "agents", "retrieval", "sessions", "users", "compare")},
        "spend": "/spend?group_by=model",
        "logs": view("/logs"),
        "log_errors": view("/logs", severity="17"),
        "infrastructure": f"/infrastructure?{urlencode(where)}",
        "oncall": "/oncall",
        "silences": f"/silences?{urlencode({'system': system_pk})}",
        "gateway": "/settings/gateway",
        "keeping": "/settings/keeping",
        "dead_letters": "/settings/dead-letters",
        "settings": "/settings",
        "evidence": f"/evidence?{urlencode({'subject': f'incident/{incident.pk}'})}",
    }


def _said(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
