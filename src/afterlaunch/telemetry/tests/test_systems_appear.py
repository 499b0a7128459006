"""Systems make themselves known by what their telemetry says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from afterlaunch.estate.models import Environment, Version
from afterlaunch.ground import clock
from afterlaunch.telemetry import store
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.duties import notice_systems
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.tests.telling import AT, PROTOBUF, body, span

TOLD = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o"}
NOW = clock.from_ns(AT)


@pytest.fixture
def kept(place: Path | str) -> Iterator[store.Store]:
    made = store.open_store(place)
    tables.prepare(made)
    made.commit([normalise(body(span(TOLD)), PROTOBUF, "acme", AT).table])
    yield made
    store.close_store()


@pytest.mark.django_db
@pytest.mark.parametrize("age", [timedelta(0), timedelta(hours=7), timedelta(days=-1)])
def test_a_system_appears_whatever_the_age_of_its_first_span(kept: store.Store, age: timedelta) -> None:
    with clock.frozen(NOW + age):
        notice_systems(NOW + age)
    assert Environment.objects.get().system.client.slug == "acme"
    assert Version.objects.exists() == (age < timedelta(minutes=10))


@pytest.mark.django_db
def test_an_old_system_is_not_seen_again_and_again(kept: store.Store) -> None:
    for hours in (7, 8):
        at = NOW + timedelta(hours=hours)
        with clock.frozen(at):
            notice_systems(at)
    assert Environment.objects.get().last_seen_at == NOW + timedelta(hours=7)
