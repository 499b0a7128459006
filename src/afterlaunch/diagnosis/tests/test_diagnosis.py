"""An incident's diagnosis, from real telemetry and real records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from afterlaunch.accounts.models import Client
from afterlaunch.changes.models import Change
from afterlaunch.diagnosis import actions, duties, questions
from afterlaunch.diagnosis.files import answer
from afterlaunch.diagnosis.models import Diagnosis
from afterlaunch.estate.models import Dependency, System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Conflict, NotAllowed
from afterlaunch.incidents.actions import open_incident
from afterlaunch.incidents.models import Incident, TimelineEntry
from afterlaunch.telemetry import store
from afterlaunch.telemetry.conventions import normalise

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ONSET = AT - timedelta(minutes=30)
RESPONDER = Actor("person", "Ada", (Held(Role.RESPONDER, "acme"),))


class World:
    def __init__(self, opened: store.Store) -> None:
        self.store, self.number = opened, 0
        client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
        self.system = System.objects.create(client=client, key="desk", name="Help desk")

    def traces(self, start: datetime, minutes: int, model: str = "m1", seconds: float = 0.5, **told: Any) -> None:
        """Two transactions a minute: an agent that searches and asks a model; every `fails`-th search fails."""
        fails, tool_seconds = told.get("fails", 0), told.get("tool_seconds", 0.1)
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        place = {"afterlaunch.client": "acme", "afterlaunch.system": "desk", "deployment.environment.name": "prod"}
        group.resource.attributes.extend(pairs(place))
        spans = group.scope_spans.add(scope={"name": "app"}).spans
        for one in range(minutes * 2):
            at = clock.to_ns(start) + one * 30_000_000_000
            trace = self._id(16)
            agent = self._span(spans, trace, b"", at, seconds + tool_seconds + 0.05, "invoke_agent", agent=True)
            failed = bool(fails) and one % fails == 0
            self._span(spans, trace, agent, at, tool_seconds, "execute_tool", {"gen_ai.tool.name": "search"}, failed)
            asked = {"gen_ai.response.model": model, "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 9}
            self._span(spans, trace, agent, at, seconds, "chat", {"gen_ai.provider.name": "openai", **asked}, failed)
        self.store.commit([normalise(request.SerializeToString(), "application/x-protobuf", None, 0).table])

    def _id(self, size: int) -> bytes:
        self.number += 1
        return self.number.to_bytes(size, "big")

    def _span(
        self,
        spans: Any,
        trace: bytes,
        parent: bytes,
        at: int,
        seconds: float,
        operation: str,
        told: dict[str, Any] | None = None,
        failed: bool = False,
        agent: bool = False,
    ) -> bytes:
        span = spans.add(
            trace_id=trace,
            span_id=self._id(8),
            parent_span_id=parent,
            name=operation,
            start_time_unix_nano=at,
            end_time_unix_nano=at + int(seconds * 1e9),
        )
        named = {"gen_ai.agent.name": "helper"} if agent else {}
        span.attributes.extend(pairs({"gen_ai.operation.name": operation, **named, **(told or {})}))
        if failed:
            span.attributes.extend(pairs({"error.type": "500"}))
            span.status.code = 2
        return bytes(span.span_id)

    def incident(self, **told: Any) -> Incident:
        return open_incident(
            automation("judges"),
            system=self.system,
            environment="prod",
            title="slow",
            severity="P2",
            summary="",
            fingerprint="f",
            detected_at=AT,
            occurred_at=AT - timedelta(minutes=2),
            **told,
        )


def pairs(values: dict[str, Any]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value))
        for key, value in values.items()
    ]


@pytest.fixture
def world(db: None, tmp_path: Path) -> Iterator[World]:
    with clock.frozen(AT + timedelta(minutes=1)):
        yield World(store.open_store(tmp_path / "t.duckdb"))
    store.close_store()


def change(world: World, title: str, before: timedelta, **told: Any) -> Change:
    common = {"system": world.system, "environment": "prod", "kind": "observed", "author": "seen", "state": "observed"}
    return Change.objects.create(title=title, proposed_at=ONSET - before, **{**common, **told})


def test_a_slower_model_is_found_with_its_minute_its_share_and_its_step(world: World) -> None:
    world.traces(ONSET - timedelta(hours=3), 180, "m1", 0.5)
    world.traces(ONSET, 30, "m2", 2.0)
    found = questions.diagnose(world.incident())
    assert found.reason == "ranked"
    assert found.worse is not None
    assert found.worse.measure.name == "latency"
    assert abs(found.onset - ONSET) <= timedelta(minutes=1)
    first = found.causes[0]
    assert (first.kind, first.name) == ("new_value", "model m2")
    assert first.explained == pytest.approx(1, abs=0.05)
    assert first.at is not None
    assert abs(first.at - ONSET.timestamp()) <= 60
    assert found.steps[0].component == "inference m2"
    assert "Mean latency rose from 0.5" in found.explanation


def test_a_failing_tool_is_named_not_the_agent_above_it(world: World) -> None:
    world.traces(ONSET - timedelta(hours=3), 180)
    world.traces(ONSET, 30, fails=2)
    found = questions.diagnose(world.incident())
    assert found.worse is not None
    assert found.worse.measure.name == "failed"
    assert {step.component for step in found.steps} == {"tool search", "inference m1"}


def test_a_change_just_before_ranks_above_older_and_later_ones(world: World) -> None:
    world.traces(ONSET - timedelta(hours=3), 180)
    world.traces(ONSET, 30, seconds=2.0)
    change(world, "long ago", timedelta(hours=20))
    change(world, "suspect", timedelta(minutes=3))
    change(world, "later", -timedelta(minutes=10))
    change(world, "too old", timedelta(hours=40))
    change(world, "not yet", timedelta(minutes=5), state="proposed", kind="prompt")
    names = [(cause.name, cause.score > 0) for cause in questions.diagnose(world.incident()).causes]
    assert names == [("observed: suspect", True), ("observed: long ago", True), ("observed: later", False)]


def test_what_changed_or_fails_in_a_system_that_it_needs_is_a_change_here(world: World) -> None:
    world.traces(ONSET - timedelta(hours=3), 180)
    world.traces(ONSET, 30, seconds=2.0)
    desk, search = world.system, System.objects.create(client=world.system.client, key="search", name="Search")
    other = System.objects.create(client=desk.client, key="other", name="Other")
    Dependency.objects.create(system=desk, needs=search)
    change(world, "index format 4", timedelta(minutes=2), system=search, kind="deploy")
    change(world, "elsewhere", timedelta(minutes=2), system=other)
    for row, fingerprint in ((search, "s"), (other, "o")):
        at = ONSET - timedelta(minutes=1)
        open_incident(
            automation("judges"), system=row, environment="prod", title="no replicas", severity="P1", summary="",
            kind="other", fingerprint=fingerprint, detected_at=at, occurred_at=at,
        )  # fmt: skip
    names = [cause.name for cause in questions.diagnose(world.incident()).causes if cause.score > 0]
    number = Incident.objects.get(fingerprint="s").pk
    assert names == [f"dependency: Search has P1 #{number}: no replicas", "dependency: Search: index format 4"]


def test_a_version_that_another_tool_told_of_is_looked_for_in_the_traffic(world: World) -> None:
    world.traces(ONSET - timedelta(hours=3), 180, "m1", 0.5)
    world.traces(ONSET, 30, "m2", 2.0)
    change(world, "a flag", timedelta(minutes=1), kind="flag")
    change(world, "model m2", timedelta(minutes=4), kind="model", after={"version": "m2"})
    first, second, *_ = questions.diagnose(world.incident()).causes
    assert (first.name, second.name) == ("model: model m2", "flag: a flag")
    assert first.explained == pytest.approx(1, abs=0.05) and second.explained is None


@pytest.mark.parametrize(("minutes", "reason"), [(0, "too_few_calls"), (180, "nothing_worse")])
def test_it_names_why_it_points_at_nothing(world: World, minutes: int, reason: str) -> None:
    if minutes:
        world.traces(ONSET - timedelta(hours=3), minutes + 30)
    found = questions.diagnose(world.incident())
    assert (found.reason, found.steps, found.dimensions) == (reason, (), ())


def test_it_reads_no_other_clients_calls(world: World) -> None:
    world.traces(ONSET - timedelta(hours=3), 210)
    other = Client.objects.create(slug="other", name="Other", created_at=AT)
    world.system = System.objects.create(client=other, key="desk", name="Desk")
    assert questions.diagnose(world.incident()).reason == "too_few_calls"


def test_the_opening_is_diagnosed_once_and_frozen_with_its_hash_in_timeline_and_evidence(world: World) -> None:
    world.traces(ONSET - timedelta(hours=3), 180)
    world.traces(ONSET, 30, seconds=2.0)
    incident = world.incident()
    duties.at_open(clock.now())
    duties.at_open(clock.now())
    row = Diagnosis.objects.get()
    assert (row.number, row.trigger, row.incident_id) == (1, "opened", incident.pk)
    assert row.sha256 == hashlib.sha256(bytes(row.body)).hexdigest()
    assert actions.holds(row)
    entry = TimelineEntry.objects.get(kind="diagnosis.frozen")
    assert entry.details["sha256"] == row.sha256
    body = orjson.loads(bytes(Entry.objects.get(deed="diagnosis.frozen").body))
    assert body["details"]["sha256"] == row.sha256
    row.body = bytes(row.body).replace(b"latency", b"latencY")
    assert not actions.holds(row)


def test_two_that_diagnose_the_same_opening_make_one(world: World) -> None:
    incident = world.incident()
    first = actions.freeze(actions.DIAGNOSIS, incident, "opened")
    assert actions.freeze(actions.DIAGNOSIS, incident, "opened") == first
    assert actions.freeze(RESPONDER, incident, "asked").number == 2


def test_who_may_only_look_cannot_freeze(world: World) -> None:
    with pytest.raises((NotAllowed, Conflict)):
        actions.freeze(Actor("person", "Eve", (Held(Role.VIEWER, "acme"),)), world.incident(), "asked")


def test_the_frozen_document_ranks_to_the_same_causes_offline(world: World, tmp_path: Path) -> None:
    world.traces(ONSET - timedelta(hours=3), 180, "m1", 0.5)
    world.traces(ONSET, 30, "m2", 2.0)
    change(world, "deploy", timedelta(minutes=3))
    row = actions.freeze(actions.DIAGNOSIS, world.incident(), "opened")
    file = tmp_path / "diagnosis.json"
    file.write_bytes(bytes(row.body))
    told = actions.content(row)["causes"]
    ranked = answer(file)["causes"]
    assert [(one["name"], round(one["score"], 9)) for one in ranked] == [
        (one["name"], round(one["score"], 9)) for one in told
    ]


def test_a_telemetry_store_that_cannot_be_read_is_told_and_hides_no_incident(db: None) -> None:
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    system = System.objects.create(client=client, key="support", name="Support")
    incident = Incident.objects.create(
        system=system, title="t", severity="P2", peak_severity="P2", fingerprint="f", detected_at=AT
    )
    store.close_store()
    found = questions.diagnose(incident)
    assert (found.reason, found.causes) == ("telemetry_unavailable", ())
    assert found.explanation.startswith("Not assessed")
