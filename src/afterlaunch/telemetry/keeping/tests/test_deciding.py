"""Who decides what is kept, and what holds in the end."""

from __future__ import annotations

import orjson
import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.telemetry.keeping.actions import decide, rules
from afterlaunch.telemetry.keeping.content import Pattern
from afterlaunch.telemetry.keeping.retention import DEFAULT_DAYS

pytestmark = pytest.mark.django_db
ENGINE = automation("engine")


def person(role: Role, client: str | None) -> Actor:
    return Actor("person", "p", (Held(role, client),))


@pytest.fixture
def north() -> Client:
    return Client.objects.create(slug="north", name="North", created_at=clock.now())


def test_a_client_decides_otherwise_than_the_house(north: Client) -> None:
    decide(ENGINE, None, capture="off", days={"content": 14, "minutes": 100})
    decide(ENGINE, north, capture="on", days={"content": 3})
    decide(ENGINE, north, "desk", patterns=[Pattern("order", "ORD-[0-9]+")])
    known = rules()
    assert (known.of("south", None).capture, known.of("north", "desk").capture) == ("off", "on")
    assert [one.name for one in known.of("north", "desk").patterns] == ["order"]
    assert known.days_of("north") == {**DEFAULT_DAYS, "minutes": 100, "content": 3}
    assert known.days_of("south")["content"] == 14


def test_only_an_administrator_decides(north: Client) -> None:
    for actor, client in (
        (person(Role.OPERATOR, "north"), north),
        (person(Role.ADMIN, "south"), north),
        (person(Role.ADMIN, "north"), None),
    ):
        with pytest.raises(NotAllowed):
            decide(actor, client, capture="on")
    decide(person(Role.ADMIN, "north"), north, capture="on")


def test_a_decision_is_evidence_without_the_pattern_itself(north: Client) -> None:
    decide(ENGINE, north, patterns=[Pattern("order", "VERY-TELLING")])
    entry = Entry.objects.get(deed="keeping.decided")
    details = orjson.loads(bytes(entry.body))["details"]
    assert details["after"]["patterns"] == ["order"] and b"TELLING" not in bytes(entry.body)


@pytest.mark.parametrize(
    "days",
    [{"content": 0}, {"content": 10**6}, {"prompts": 3}, {"minutes": 3}, {"content": 200}, {"spans": 20}],
    ids=str,
)
def test_what_cannot_be_is_refused(north: Client, days: dict[str, int]) -> None:
    with pytest.raises(Invalid):
        decide(ENGINE, north, days=days)


def test_the_house_cannot_undercut_what_a_client_decided(north: Client) -> None:
    decide(ENGINE, north, days={"content": 150})
    with pytest.raises(Invalid):
        decide(ENGINE, None, days={"spans": 100})


def test_systems_have_no_days_and_need_a_client(north: Client) -> None:
    with pytest.raises(Invalid):
        decide(ENGINE, north, "desk", days={"content": 3})
    with pytest.raises(Invalid):
        decide(ENGINE, None, "desk", capture="off")
