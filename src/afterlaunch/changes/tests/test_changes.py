from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.changes import duties
from afterlaunch.changes.actions import advance, approve, change_by_id, propose, rollback
from afterlaunch.changes.models import Change
from afterlaunch.changes.rules import ArmVerdict, concentrated_on_candidate
from afterlaunch.contracts.snapshot import unseal
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Conflict, NotAllowed, NotFound
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream
from afterlaunch.routes.models import Route
from afterlaunch.routes.snapshot import current, shared_key
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.verdicts.models import Verdict

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
ENGINE = automation("test")
ADA = Actor("person", "Ada", (Held(Role.OPERATOR, "acme"),), user_id=1)
BEN = Actor("person", "Ben", (Held(Role.OPERATOR, "acme"),), user_id=2)
ROTA = Actor("person", "Rota", (Held(Role.RESPONDER, "acme"),), user_id=3)
MATE = Actor("person", "Mate", (Held(Role.VIEWER, "acme"),), user_id=4)
STRANGER = Actor("person", "Sly", (Held(Role.ADMIN, "other"),), user_id=5)


@pytest.fixture(autouse=True)
def time() -> Iterator[clock.FixedClock]:
    with clock.frozen(AT) as fixed:
        yield fixed


@pytest.fixture
def route() -> Route:
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    system = System.objects.create(client=client, key="support", name="Support", posture="governed")
    put_upstream(ENGINE, "openai", "https://api.openai.com", "openai")
    return put_route(ENGINE, "answers", system, ArmValues("openai", "gpt-4o", "v1"))


@pytest.fixture
def rolling(route: Route) -> Change:
    change = propose(ADA, route, "Friendlier prompt", ArmValues("openai", "gpt-4o", "v2"))
    return advance(ADA, approve(BEN, change))


def share_at_the_gateway() -> int:
    newest = current()
    assert newest is not None
    return unseal(newest[1], shared_key()).routes[0].share


def test_a_change_is_approved_by_another_and_advances_in_stages_until_it_is_the_baseline(route: Route) -> None:
    change = propose(ADA, route, "Friendlier prompt", ArmValues("openai", "gpt-4o", "v2"))
    assert (change.kind, change.before["prompt_version"], change.after["prompt_version"]) == ("prompt", "v1", "v2")
    with pytest.raises(NotAllowed, match="author"):
        approve(ADA, change)
    change = approve(BEN, change)
    seen = []
    for _ in range(3):
        change = advance(ADA, change)
        seen.append(share_at_the_gateway())
    assert seen == [1000, 5000, 10_000]
    assert advance(ADA, change).state == "complete"
    baseline = Route.objects.get().arm("baseline")
    assert baseline is not None and baseline.prompt_version == "v2"


def test_one_click_puts_the_baseline_back_after_evidence_was_frozen(rolling: Change) -> None:
    back = rollback(ROTA, rolling, "Answers are refused.")
    assert share_at_the_gateway() == 0
    assert (back.kind, back.parent_id, back.after["prompt_version"]) == ("rollback", rolling.pk, "v1")
    assert rollback(ROTA, rolling, "again").pk == back.pk
    deeds = list(Entry.objects.filter(subject=f"change/{rolling.pk}").values_list("deed", flat=True))
    assert deeds.index("change.frozen") < deeds.index("change.rolled_back")
    with pytest.raises(Conflict):
        advance(ADA, rolling)


def test_responder_rolls_back_team_mate_does_not_stranger_sees_nothing(rolling: Change) -> None:
    with pytest.raises(NotAllowed):
        rollback(MATE, rolling, "no")
    with pytest.raises(NotFound):
        change_by_id(STRANGER, rolling.pk)
    with pytest.raises(NotAllowed):
        rollback(STRANGER, rolling, "no")
    assert rollback(ROTA, rolling, "yes").kind == "rollback"


def verdict(arm: str, status: str, judge: str = "quality.refusals") -> None:
    Verdict.objects.update_or_create(
        judge=judge,
        client="acme",
        system="support",
        environment="prod",
        route="answers",
        arm=arm,
        defaults={
            "severity": "P2",
            "status": status,
            "reason": "x",
            "explanation": "x",
            "since": AT,
            "assessed_at": AT,
        },
    )


def test_a_breach_of_the_candidate_alone_rolls_back_where_the_owner_allowed_it(rolling: Change) -> None:
    verdict("candidate", "breach")
    verdict("baseline", "ok")
    duties.contain_by_policy(AT)
    assert share_at_the_gateway() == 1000
    System.objects.update(automatic_rollback=True)
    duties.contain_by_policy(AT)
    assert share_at_the_gateway() == 0
    assert Change.objects.get(kind="rollback").author == "containment policy"


def test_a_breach_of_both_arms_rolls_nothing_back(rolling: Change) -> None:
    System.objects.update(automatic_rollback=True)
    verdict("candidate", "breach")
    verdict("baseline", "breach")
    duties.contain_by_policy(AT)
    assert share_at_the_gateway() == 1000


def test_why_a_breach_counts_as_the_candidates_own_is_named() -> None:
    ok, bad = ArmVerdict("j", "baseline", "ok", "P2"), ArmVerdict("j", "candidate", "breach", "P2")
    assert concentrated_on_candidate([ok, bad]).reason == "breach_on_candidate_only:j"
    assert concentrated_on_candidate([ok]).reason == "no_breach_on_candidate"
    assert (
        concentrated_on_candidate([ArmVerdict("j", "baseline", "breach", "P2"), bad]).reason == "baseline_breaches_too"
    )


def gateway_span(number: int, arm: str, at: datetime) -> dict[str, object]:
    blank: dict[str, object] = dict.fromkeys(SPANS.names)
    return blank | {
        "client": "acme",
        "system": "support",
        "environment": "prod",
        "trace_id": number.to_bytes(16, "big"),
        "span_id": number.to_bytes(8, "big"),
        "name": "chat",
        "kind": 3,
        "op_kind": "inference",
        "start_ns": clock.to_ns(at),
        "duration_ns": 10**6,
        "status": 0,
        "failed": False,
        "route": "answers",
        "arm": arm,
        "gateway": True,
        "cost_confidence": "unknown",
    }


def test_a_rollback_is_done_only_when_the_gateways_telemetry_shows_it(
    rolling: Change, time: clock.FixedClock, tmp_path: Path
) -> None:
    import pyarrow as pa

    store = stores.open_store(tmp_path / "t.duckdb")
    back = rollback(ROTA, rolling, "Answers are refused.")
    time.advance(30)
    duties.verify_rollbacks(clock.now())
    back.refresh_from_db()
    assert back.state == "rolling_out" and back.verification.startswith("Not assessed")
    late = AT + timedelta(seconds=10)
    store.commit([pa.Table.from_pylist([gateway_span(1, "candidate", AT), gateway_span(2, "baseline", late)], SPANS)])
    duties.verify_rollbacks(clock.now())
    back.refresh_from_db()
    stores.close_store()
    assert back.state == "complete" and back.verified_at is not None and "all 1 calls" in back.verification
    assert Entry.objects.filter(deed="change.verified").count() == 1


def test_a_version_that_appears_by_itself_is_a_change_record_once() -> None:
    for label in ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"):
        note_sightings([Sighting("acme", "support", "prod", frozenset({("model", "gpt-4o", label)}))], clock.now())
        for _ in range(2):
            duties.note_versions(clock.now())
    titles = set(Change.objects.values_list("title", flat=True))
    assert len(titles) == 2 and any("first seen" in title for title in titles)
