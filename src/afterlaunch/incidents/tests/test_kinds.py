from __future__ import annotations

from typing import Any

import pytest

from afterlaunch.app.judges import JUDGES
from afterlaunch.app.judges import KINDS as OF_JUDGES
from afterlaunch.incidents.judges import kind_of_judge
from afterlaunch.incidents.kinds import KINDS, Kind, kind_named, severity_for
from afterlaunch.incidents.places import LABELS, places
from afterlaunch.incidents.runbooks.rules import check, parts, shipped
from afterlaunch.incidents.tests.conftest import AT

RUNS = {"acknowledge", "contain", "silence", "update"}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_every_kind_has_a_rule_evidence_a_menu_and_a_runbook_that_can_be_used(kind: Kind) -> None:
    assert kind.evidence and kind.containment and kind.severity.p1_when
    assert all(one.place in LABELS or not one.place for one in kind.evidence)
    assert len({one.key for one in kind.evidence}) == len(kind.evidence)
    assert all(one.undo and one.reach and one.how for one in kind.containment)
    book = check(shipped(kind.name), LABELS, RUNS)
    assert list(dict.fromkeys(step.section for step in book.steps)) == ["Look", "Do", "Escalate"]
    assert {"acknowledge", "contain", "update"} <= {step.run for step in book.steps}
    assert book.intro


def test_every_kind_the_product_promises_is_there() -> None:
    assert {kind.name for kind in KINDS} == {
        "drift", "quality_burn", "grounding", "safety_bypass", "cost_runaway", "provider_change", "agent_loop",
        "retrieval_staleness", "data_pipeline", "infrastructure", "other",
    }  # fmt: skip


def test_every_judge_leads_to_a_kind() -> None:
    known = {kind.name for kind in KINDS}
    assert set(OF_JUDGES.values()) <= known
    told = {judge.name: kind_of_judge(judge.name) for judge in JUDGES}
    assert {name for name, kind in told.items() if kind == "other"} == {"anomalies.volume"}
    assert told["spend.cost_per_hour"] == "cost_runaway" and told["infrastructure.gpu"] == "infrastructure"
    assert kind_of_judge("anomalies.volume", "probes.provider_health") == "provider_change"
    assert kind_of_judge() == kind_of_judge("nobody.knows") == "other"


@pytest.mark.parametrize(
    ("kind", "told", "wanted"),
    [
        ("drift", "P1", ("P1", "told")),
        ("drift", "", ("P2", "unknown")),
        ("retrieval_staleness", "", ("P2", "unknown")),
        ("safety_bypass", "P3", ("P1", "raised_by_kind")),
        ("safety_bypass", "", ("P1", "unknown")),
        ("grounding", "P3", ("P2", "raised_by_kind")),
        ("nobody knows", "P3", ("P3", "told")),
    ],
)
def test_the_kind_says_how_mild_it_may_be(kind: str, told: str, wanted: tuple[str, str]) -> None:
    assert severity_for(kind_named(kind), told) == wanted


def test_every_place_has_an_address_of_ours_and_links_are_filled_in() -> None:
    class Where:
        pk, environment, route = 12, "prod", ""
        occurred_at, detected_at, resolved_at = None, AT, None

    found = places(Where(), "acme", "help desk", 3, AT)
    assert set(found) == set(LABELS)
    assert all(address.startswith("/") for address in found.values())
    assert found["failing"] == (
        "/calls?client=acme&system=help+desk&environment=prod"
        "&from=2026-03-03T01%3A30%3A00Z&to=2026-03-03T02%3A30%3A00Z&errors=1"
    )
    said: list[Any] = parts("See [calls]({calls}), [status](https://s.example) and [gone]({gone}).", found)
    assert [(one.text, bool(one.address)) for one in said] == [
        ("See ", False), ("calls", True), (", ", False), ("status", True),
        (" and ", False), ("gone", False), (".", False),
    ]  # fmt: skip
