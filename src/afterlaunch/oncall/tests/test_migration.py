"""Rotations, stand-ins and steps of the first version become schedules, overrides and policies."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from afterlaunch.ground import clock

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)


def migrate(to: str) -> Any:
    executor = MigrationExecutor(connection)
    leaves = [node for node in executor.loader.graph.leaf_nodes() if node[0] not in ("oncall", "incidents", "sla")]
    below = [node for node in leaves if node[0] in ("accounts", "estate", "notify")]
    executor.migrate([*below, ("oncall", to)])
    return MigrationExecutor(connection).loader.project_state([*below, ("oncall", to)]).apps


@pytest.mark.django_db(transaction=True)
def test_what_was_stored_survives(request: pytest.FixtureRequest) -> None:
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes()
    request.addfinalizer(lambda: MigrationExecutor(connection).migrate(newest))
    old = migrate("0001_initial")
    client = old.get_model("accounts", "Client").objects.create(slug="acme", name="Acme", created_at=AT)
    users = [old.get_model("accounts", "User").objects.create(email=f"{name}@a.example", name=name) for name in "ab"]
    rotation = old.get_model("oncall", "Rotation").objects.create(
        client=client, valid_from=AT - timedelta(days=30), zone="Europe/Berlin", anchor_date=date(2026, 3, 2),
        handoff=time(9), weeks=1, created_by="somebody",
    )  # fmt: skip
    for position, user in enumerate(users):
        old.get_model("oncall", "RotationMember").objects.create(rotation=rotation, user=user, position=position)
    old.get_model("oncall", "Override").objects.create(
        client=client, absent=users[0], substitute=users[1], starts_at=AT, ends_at=AT + timedelta(days=1),
        created_at=AT, created_by="somebody",
    )  # fmt: skip
    for position, target in enumerate(("schedule", "person", "catch_all")):
        old.get_model("oncall", "EscalationStep").objects.create(
            client=client, position=position, delay=300, target=target,
            person=users[1] if target == "person" else None,
        )  # fmt: skip
    migrate("0004_without_rotations")
    MigrationExecutor(connection).migrate(newest)
    from afterlaunch.accounts.models import Client
    from afterlaunch.notify.models import Page
    from afterlaunch.oncall.duties import hand_over
    from afterlaunch.oncall.models import EscalationPolicy
    from afterlaunch.oncall.schedule import who_is_on_call

    acme = Client.objects.get()
    with clock.frozen(AT + timedelta(hours=1)):
        now = who_is_on_call(acme, clock.now())
        assert (str(now.person), str(now.stands_in_for), now.reason) == ("b", "a", "replaced")
        assert str(who_is_on_call(acme, AT + timedelta(days=2)).person) == "a"
        hand_over(clock.now())
        row = acme.schedules.get()
        assert {one.name for one in row.record.all()} == {"a", "b"} and not Page.objects.exists()
    policy = EscalationPolicy.objects.get()
    targets = [step["targets"] for step in policy.steps]
    assert targets == [[{"kind": "schedule"}], [{"kind": "person", "id": users[1].pk}], [{"kind": "owner"}]]
    assert policy.default and policy.catch_all == [{"kind": "owner"}]
