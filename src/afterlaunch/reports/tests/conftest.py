"""A month in two clients' lives: calls through the real receiver's decoder, incidents and changes by their actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.changes.actions import advance, approve, propose, rollback
from afterlaunch.estate.models import Environment, System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.incidents.actions import acknowledge, open_incident, resolve
from afterlaunch.incidents.models import Incident
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream
from afterlaunch.telemetry import store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.verdicts.models import Verdict, VerdictChange

ENGINE = automation("engine")
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
LATER = datetime(2026, 12, 5, 9, 0, tzinfo=UTC)


def pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value))
        for key, value in values.items()
    ]


@dataclass
class Month:
    """Fills an open store and the control plane; `at` instants are UTC."""

    store: store.Store
    number: int = field(default=0)

    def client(self, slug: str, zone: str = "UTC") -> Client:
        known, _ = Client.objects.get_or_create(
            slug=slug, defaults={"name": slug.capitalize(), "time_zone": zone, "created_at": NOVEMBER}
        )
        return known

    def system(self, slug: str = "acme", key: str = "desk", **fields: Any) -> System:
        given = {"name": "Help desk", "first_seen_at": NOVEMBER, **fields}
        system, _ = System.objects.get_or_create(client=self.client(slug), key=key, defaults=given)
        Environment.objects.get_or_create(system=system, name="prod")
        return system

    def calls(
        self,
        at: datetime,
        count: int = 1,
        client: str = "acme",
        system: str = "desk",
        model: str = "gpt-4o-mini",
        failed: str = "",
        step: timedelta = timedelta(minutes=1),
        told: dict[str, Any] | None = None,
        usage: bool = True,
    ) -> None:
        """`count` calls, one every `step` from `at` on; `failed` is an error type."""
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        place = {"afterlaunch.client": client, "afterlaunch.system": system, "deployment.environment.name": "prod"}
        group.resource.attributes.extend(pairs(place))
        spans = group.scope_spans.add(scope={"name": "app"}).spans
        for one in range(count):
            self.number += 1
            start = clock.to_ns(at + one * step)
            span = spans.add(
                trace_id=self.number.to_bytes(16, "big"),
                span_id=self.number.to_bytes(8, "big"),
                name="chat",
                start_time_unix_nano=start,
                end_time_unix_nano=start + 800_000_000,
            )
            values = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.response.model": model,
                "gen_ai.usage.input_tokens": 1000 + one,
                "gen_ai.usage.output_tokens": 100,
                **(told or {}),
            }
            if not usage:
                values = {name: value for name, value in values.items() if not name.startswith("gen_ai.usage.")}
            span.attributes.extend(pairs(values | ({"error.type": failed} if failed else {})))
        decoded = normalise(request.SerializeToString(), "application/x-protobuf", None, 0)
        self.store.commit([decoded.table])

    def incident(self, system: System, at: datetime, **given: Any) -> Incident:
        told = {"title": "Answers are refused", "severity": "P2", "summary": "", "fingerprint": "f1", **given}
        with clock.frozen(at):
            return open_incident(ENGINE, system=system, environment="prod", detected_at=at, occurred_at=None, **told)

    def answered(self, incident: Incident, at: datetime, resolved_at: datetime | None = None) -> None:
        person = Actor("person", "Ada", (Held(Role.ADMIN, None),))
        with clock.frozen(at):
            acknowledge(person, incident)
        if resolved_at:
            with clock.frozen(resolved_at):
                resolve(person, incident, "fixed")

    def rolled_back(self, system: System, at: datetime, title: str = "Friendlier answers") -> int:
        """A change that was proposed, rolled out and taken back; returns its id."""
        with clock.frozen(at) as fixed:
            put_upstream(ENGINE, "openai", "https://api.openai.com", "openai")
            route = put_route(ENGINE, "answers", system, ArmValues("openai", "", "v1"))
            change = approve(ENGINE, propose(ENGINE, route, title, ArmValues("openai", "", "v2")))
            advance(ENGINE, change)
            fixed.advance(600)
            rollback(ENGINE, change, "refused answers")
        return change.pk

    def verdict(self, steps: list[tuple[datetime, str]], assessed_at: datetime = LATER, **given: Any) -> Verdict:
        scope = {"client": "acme", "system": "desk", "environment": "prod", "judge": "slo.error_rate", **given}
        told = {"severity": "P1", "reason": "test", "explanation": "", "since": steps[-1][0]}
        verdict = Verdict.objects.create(**scope, **told, status=steps[-1][1], assessed_at=assessed_at)
        before = ""
        for at, status in steps:
            VerdictChange.objects.create(verdict=verdict, at=at, before=before, after=status, explanation="")
            before = status
        return verdict


@pytest.fixture
def later() -> Iterator[clock.FixedClock]:
    """The month of November 2026 is over."""
    with clock.frozen(LATER) as fixed:
        yield fixed


@pytest.fixture
def month(db: None, later: clock.FixedClock, tmp_path: Path) -> Iterator[Month]:
    opened = store.open_store(tmp_path / "t.duckdb")
    yield Month(opened)
    store.close_store()


@pytest.fixture
def told(month: Month) -> Month:
    """A month with a bit of everything, for acme; globex has one call."""
    system = month.system()
    month.system("globex", "shop")
    for day in (1, 2, 15):
        month.calls(
            NOVEMBER + timedelta(days=day, hours=9), 40, told={"tenant.id": "bakery", "gen_ai.agent.name": "triage"}
        )
        month.calls(NOVEMBER + timedelta(days=day, hours=10), 10, model="claude-haiku-4-5",
                    told={"gen_ai.provider.name": "anthropic", "tenant.id": "bikes"})  # fmt: skip
    month.calls(NOVEMBER + timedelta(days=15, hours=9), 6, failed="timeout")
    month.calls(NOVEMBER + timedelta(days=15, hours=12), 5, model="house-model-7b", told={"tenant.id": "bikes"})
    month.calls(NOVEMBER + timedelta(days=3), 1, client="globex", system="shop", told={"tenant.id": "only-globex"})
    at = NOVEMBER + timedelta(days=15, hours=9, minutes=5)
    month.rolled_back(system, at - timedelta(minutes=30))
    incident = month.incident(system, at)
    month.answered(incident, at + timedelta(minutes=12), at + timedelta(hours=2))
    month.verdict([(NOVEMBER + timedelta(days=1, hours=9), "ok"), (at, "breach"), (at + timedelta(hours=1), "ok")])
    return month


@pytest.fixture
def viewer(month: Month) -> Actor:
    """Sees acme only."""
    user = User.objects.create_user("vera@acme.example", "Vera")
    Grant.objects.create(user=user, role="viewer", client=month.client("acme"))
    return Actor("person", "Vera", (Held(Role.VIEWER, "acme"),), user_id=user.pk)
