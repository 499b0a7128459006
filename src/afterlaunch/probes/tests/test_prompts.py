"""Golden prompts that reviews made of failing traces."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role, automation
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.incidents.actions import open_incident
from afterlaunch.incidents.reviews.prompts import keep
from afterlaunch.probes.kinds import KINDS
from afterlaunch.probes.kinds.golden import body_of
from afterlaunch.probes.prompts import configured, take_over, waiting
from afterlaunch.probes.tests.conftest import World

DOCUMENT: dict[str, Any] = {
    "name": "Refunds: how long?",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "How long is a refund?"},
    ],
    "reference": "Five working days.",
    "assertions": [{"kind": "contains", "text": "working days"}, {"kind": "similar", "least": 0.5}],
    "source_trace_ids": ["a" * 32],
}
ENDPOINT = {"url": "https://api.example.com", "model": "gpt-4o"}


@pytest.mark.parametrize("protocol", ["chat", "responses", "messages"])
def test_what_was_said_before_is_asked_again(protocol: str) -> None:
    config = KINDS["golden"].check(
        configured({**DOCUMENT, "assertions": DOCUMENT["assertions"][:1]}, {**ENDPOINT, "protocol": protocol})
    )
    asked = orjson.dumps(body_of(config)).decode()
    places = [asked.index(one) for one in ("Hello", "Hi.", "How long")]
    assert places == sorted(places) and "Be brief." in asked


@pytest.mark.parametrize("role", ["assistant", "tool"])
def test_a_draft_must_end_with_the_user(role: str) -> None:
    with pytest.raises(Invalid):
        configured({**DOCUMENT, "messages": [*DOCUMENT["messages"], {"role": role, "content": "x"}]}, ENDPOINT)


@pytest.mark.django_db
def test_a_draft_becomes_a_probe_once(world: World) -> None:
    incident = open_incident(
        automation("test"), system=world.system, environment="prod", title="x", severity="P1", summary="x",
        fingerprint="f", detected_at=clock.now(), occurred_at=None,
    )  # fmt: skip
    operator = world.person(Role.OPERATOR, "acme")
    draft = keep(operator, incident, DOCUMENT)
    assert [one.pk for one in waiting(operator)] == [draft.pk]
    with pytest.raises(NotFound):
        take_over(world.person(Role.ADMIN, "other"), draft.pk, "", ENDPOINT)
    made = take_over(operator, draft.pk, "", ENDPOINT)
    assert (made.name, made.kind, made.severity) == ("refunds-how-long", "golden", "P1")
    assert made.config["assertions"][1]["reference"] == "Five working days."
    draft.refresh_from_db()
    assert draft.taken_as == made.get_absolute_url() and not waiting(operator).exists()
    with pytest.raises(Conflict):
        take_over(operator, draft.pk, "again", ENDPOINT)
