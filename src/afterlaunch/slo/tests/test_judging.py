"""From calls in the telemetry to burns, verdicts and pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import pytest

from afterlaunch.accounts.models import Client
from afterlaunch.alerts.actions import work
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.incidents.models import Incident
from afterlaunch.slo.actions import About, pause, put_slo, remove
from afterlaunch.slo.definition import Definition, from_document
from afterlaunch.slo.durations import duration
from afterlaunch.slo.duties import judge, titles
from afterlaunch.slo.measures import Measure
from afterlaunch.slo.models import Burn, Slo, SloVersion, Standing
from afterlaunch.slo.openslo.objects import TIMESLICES, Period
from afterlaunch.slo.pairs import Pair
from afterlaunch.slo.tests.traffic_of import NOW, ago, calls, last_trace, rate, tell
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.signals import tables
from afterlaunch.verdicts.models import Verdict

pytestmark = pytest.mark.django_db
LOCAL = automation("test")
MONTH = Period(duration("30d"))
UP = Measure("availability", "support")
TARGET = F(99, 100)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[stores.Store]:
    made = stores.open_store(tmp_path / "telemetry.duckdb")
    tables.prepare(made)
    yield made
    stores.close_store()


@pytest.fixture
def either(place: Path | str) -> Iterator[stores.Store]:
    """Of both engines: for what asks new questions."""
    made = stores.open_store(place)
    tables.prepare(made)
    yield made
    stores.close_store()


@pytest.fixture
def client() -> Client:
    note_sightings([Sighting("acme", "support", "prod")], ago(days=60))
    return Client.objects.get(slug="acme")


def make(client: Client, measure: Measure = UP, target: F = TARGET, name: str = "answers", **more: object) -> Slo:
    about = About(**{key: more.pop(key) for key in ("critical", "busy") if key in more})  # type: ignore[arg-type]
    with clock.frozen(ago(days=40)):
        return put_slo(LOCAL, client, name, about, Definition(target, MONTH, measure, **more))  # type: ignore[arg-type]


def look(slo: Slo, at: datetime = NOW) -> Standing:
    with clock.frozen(at):
        judge(at)
    return Standing.objects.get(slo=slo)


def verdict(slo: Slo, part: str = "") -> Verdict:
    return Verdict.objects.get(judge=f"objective.{slo.name}" + (f".{part}" if part else ""))


def test_a_healthy_service_has_its_budget_left(store: stores.Store, client: Client) -> None:
    slo = make(client)
    tell(store, calls(ago(days=20), 990, 4), calls(ago(hours=2), 500, 1), calls(ago(minutes=3), 50))
    found = look(slo)
    assert (found.state, found.total, found.bad) == ("ok", 1545, 5)
    assert found.left == pytest.approx(1 - 5 / 15.45)
    assert (verdict(slo).status, verdict(slo, "ticket").status) == ("ok", "ok")
    assert found.facts["per_hour"] == pytest.approx(551 / 24)
    assert found.facts["expected"]["false_pages"] < 1
    assert not Burn.objects.exists()


def test_what_a_shadow_answered_for_nobody_is_no_event(either: stores.Store, client: Client) -> None:
    slo, fast = make(client), make(client, Measure("latency", "support", value=F(1_000)), name="fast")
    shadow = calls(ago(minutes=3), 20, 80, ms=9_000, more={"afterlaunch.arm": "shadow"})
    tell(either, calls(ago(hours=2), 500, 1), calls(ago(minutes=3), 50), shadow)
    found, quick = look(slo), look(fast)
    assert (found.total, found.bad, verdict(slo).status) == (551, 1, "ok")
    assert (quick.total, quick.bad) == (551, 0)


def test_a_fast_burn_pages_once_and_keeps_what_is_needed_to_compute_it_again(
    store: stores.Store, client: Client
) -> None:
    slo = make(client, critical=True)
    tell(store, calls(ago(minutes=40), 200, 0, over=timedelta(minutes=30)), calls(ago(minutes=3), 20, 80))
    look(slo)
    page = verdict(slo)
    assert (page.status, page.severity, page.reason) == ("breach", "P1", "budget_burns")
    kept = page.evidence
    assert (kept["long_total"], kept["long_bad"], kept["short_total"], kept["short_bad"]) == (300, 80, 100, 80)
    assert (kept["factor"], kept["objective"], kept["guard"]) == ("14.4", "0.99", "80 bad, at least 3")
    assert float(kept["burn_long"]) == pytest.approx(80 / 3)
    assert "bad: calls that failed" in kept["query"]
    look(slo, NOW + timedelta(seconds=30))
    later = NOW + timedelta(minutes=3)
    with clock.frozen(later):
        judge(later)
        work(later, titles())
    incident = Incident.objects.get()
    assert incident.severity == "P1"
    assert "answers" in incident.title
    assert Burn.objects.filter(kind="page").count() == 1
    assert Entry.objects.filter(deed="slo.burn_started").count() >= 1


def test_a_service_that_is_not_critical_pages_p2_and_a_slow_burn_is_a_ticket(
    store: stores.Store, client: Client
) -> None:
    slo = make(client)
    tell(store, calls(ago(minutes=30), 60, 40, over=timedelta(minutes=29)))
    look(slo)
    assert (verdict(slo).severity, verdict(slo, "ticket").severity) == ("P2", "P3")


def test_two_bad_of_ten_are_a_warning_not_a_page(store: stores.Store, client: Client) -> None:
    slo = make(client)
    tell(store, calls(ago(minutes=4), 8, 2))
    look(slo)
    assert (verdict(slo).status, verdict(slo).reason) == ("warning", "guarded")


def test_little_traffic_that_nearly_all_fails_opens_a_ticket_by_count(store: stores.Store, client: Client) -> None:
    pairs = (Pair("page", "fast", 3600, 300, F(50), 3),)
    slo = make(client, pairs=pairs)
    tell(store, calls(ago(hours=20), 1, 5, over=timedelta(hours=15)))
    look(slo)
    ticket = verdict(slo, "ticket")
    assert (ticket.status, ticket.reason, ticket.evidence["alert"]) == ("breach", "count_rule", "ticket count 1d")


def test_no_data_is_neither_good_nor_bad_and_an_open_alert_stays_open(store: stores.Store, client: Client) -> None:
    slo = make(client)
    assert look(slo).state == "no_data"
    assert (verdict(slo).status, verdict(slo).reason) == ("not_assessed", "no_events")
    tell(store, calls(ago(minutes=4), 10, 40))
    look(slo)
    assert verdict(slo).status == "breach"
    silent = NOW + timedelta(minutes=70)
    look(slo, silent)
    assert (verdict(slo).status, verdict(slo).reason) == ("not_assessed", "no_data_while_open")
    burn = Burn.objects.get(kind="page")
    assert burn.ended_at is None and burn.silent_since == silent
    tell(store, calls(silent + timedelta(minutes=4), 3000))
    well = silent + timedelta(minutes=6)
    look(slo, well)
    assert verdict(slo).status == "ok"
    assert Burn.objects.get(kind="page").ended_at == well


def test_a_signal_that_stops_is_no_telemetry(either: stores.Store, client: Client) -> None:
    slo = make(client, critical=True)
    rate(either, [(ago(minutes=2), None, "x", 1.0, None)])
    assert look(slo).facts["presence"] == "present"
    later = NOW + timedelta(minutes=10)
    assert look(slo, later).state == "no_telemetry"
    assert (verdict(slo, "data").status, verdict(slo, "data").severity) == ("breach", "P1")
    assert Burn.objects.get().kind == "no_telemetry"


def test_silence_that_is_unusual_for_the_hour_is_a_ticket(store: stores.Store, client: Client) -> None:
    slo = make(client)
    quiet = make(client, name="other-route", measure=replace(UP, route="none"))
    for week in range(1, 5):
        tell(store, calls(ago(weeks=week, hours=2), 120, over=timedelta(hours=3)))
    tell(store, calls(ago(minutes=50), 20))
    look(slo)
    assert (verdict(slo, "data").status, verdict(slo, "data").severity) == ("breach", "P3")
    assert verdict(slo, "data").reason == "no_traffic"
    assert Verdict.objects.get(judge=f"objective.{quiet.name}.data").status == "not_assessed"


def test_latency_counts_calls_above_the_line(store: stores.Store, client: Client) -> None:
    slo = make(client, Measure("latency", "support", op="lte", value=F(800)))
    tell(store, calls(ago(hours=2), 90, ms=300), calls(ago(hours=3), 10, ms=1500))
    assert (look(slo).total, look(slo).bad) == (100, 10)


def test_route_and_model_narrow_and_probes_stay_out_unless_asked_for(either: stores.Store, client: Client) -> None:
    on_a = replace(UP, route="a")
    slo, mixed = make(client, on_a), make(client, replace(on_a, probes="mixed"), name="with-probes")
    other = make(client, replace(UP, model="else"), name="other-model")
    route = {"afterlaunch.route": "a"}
    tell(
        either,
        calls(ago(hours=1), 8, 2, more=route),
        calls(ago(hours=1), 50),
        calls(ago(hours=1), 10, 5, more=route, service="afterlaunch-probes"),
    )
    assert (look(slo).total, look(slo).bad) == (10, 2)
    assert (look(mixed).total, look(mixed).bad) == (25, 7)
    assert look(other).total == 0


def test_answers_are_judged_by_evaluations_and_a_person_overrules(either: stores.Store, client: Client) -> None:
    measure = Measure(
        "quality", "support", op="gte", value=F(7, 10), evaluation="groundedness", final_evaluation="human_rating"
    )
    slo = make(client, measure, F(9, 10), pairs=(Pair("page", "fast", 3600, 300, F(5), 3),))
    scored = {"gen_ai.evaluation.name": "groundedness", "gen_ai.evaluation.score.value": 0.9}
    poor = {**scored, "gen_ai.evaluation.score.value": 0.2}
    tell(either, calls(ago(hours=2), 6, more=scored), calls(ago(hours=2), 3, more=poor))
    tell(either, calls(ago(hours=2), 1, more=scored))
    rate(
        either,
        [(ago(hours=1), last_trace(), "human_rating", 0.1, None), (ago(hours=1), last_trace(), "style", 0.1, None)],
    )
    tell(either, calls(ago(days=3), 5, more=poor), calls(ago(hours=2), 10))
    found = look(slo)
    assert (found.total, found.bad) == (15, 9)
    assert found.provisional
    assert found.coverage == pytest.approx(15 / 25)
    labels = found.facts["labels"]
    assert (labels["final"], labels["labelled"]) == (1.0, 15)


def test_a_late_label_is_counted_when_it_comes(store: stores.Store, client: Client) -> None:
    slo = make(client, Measure("quality", "support", labels=("good",), evaluation="user_feedback"), F(9, 10), pairs=())
    tell(store, calls(ago(days=2), 1))
    trace = last_trace()
    assert look(slo).total == 0
    later = NOW + timedelta(hours=2)
    rate(store, [(NOW + timedelta(hours=1), trace, "user_feedback", None, "poor")])
    found = look(slo, later)
    assert (found.total, found.bad) == (1, 1)
    assert found.facts["labels"]["final"] == 1.0


def test_freshness_is_the_age_of_the_index_when_it_is_asked(either: stores.Store, client: Client) -> None:
    slo = make(client, Measure("freshness", "support", op="lte", value=F(3600)), F(9, 10), pairs=())

    def asked(hours: float) -> bytes:
        at = ago(hours=1)
        told = {
            "gen_ai.operation.name": "retrieval",
            "retrieval.index.updated_at": (at - timedelta(hours=hours)).isoformat(),
        }
        told["retrieval.index.updated"] = told["retrieval.index.updated_at"]
        return calls(at, 2, more=told)

    tell(either, asked(0.5), asked(5))
    found = look(slo)
    assert (found.total, found.bad) == (4, 2)


def test_another_judges_verdict_is_an_indicator(store: stores.Store, client: Client) -> None:
    slo = make(client, Measure("verdict", "support", judge="quality.refusals"), F(99, 100))
    values = {"client": "acme", "system": "support", "environment": "prod", "severity": "P2", "reason": "r"}
    row = Verdict.objects.create(
        judge="quality.refusals", status="ok", explanation="", since=NOW, assessed_at=NOW, **values
    )
    for hours, before, after in ((24, "", "ok"), (2, "ok", "breach"), (1, "breach", "ok"), (0.5, "ok", "not_assessed")):
        row.changes.create(at=ago(hours=hours), before=before, after=after, explanation="")
    found = look(slo)
    assert found.bad == 60
    assert found.total == 30 * 24 * 60 // 10 * 10 + NOW.minute % 10 + 1


def test_bad_slices_are_of_all_slices_of_the_window(either: stores.Store, client: Client) -> None:
    slo = make(client, method=TIMESLICES, slice_target=F(9, 10), slice_seconds=60, pairs=())
    tell(either, calls(ago(minutes=30), 5, 5), calls(ago(minutes=20), 10))
    found = look(slo)
    assert found.bad == 1
    assert found.total > 43_000


def test_a_dead_pair_cannot_be_made_nor_come_by_lowering_the_objective(client: Client) -> None:
    with pytest.raises(Invalid, match="largest usable factor is 5"):
        make(client, target=F(9, 10))
    slo = make(client)
    with pytest.raises(Invalid, match="can never fire"):
        make(client, target=F(93, 100))
    assert SloVersion.objects.get(slo=slo).definition.target == TARGET


def test_a_change_of_what_it_says_is_a_new_version_and_words_are_not(client: Client) -> None:
    slo = make(client)
    definition = Definition(TARGET, MONTH, UP)
    put_slo(LOCAL, client, "answers", About(title="Answers"), definition)
    assert slo.versions.count() == 1
    put_slo(LOCAL, client, "answers", About(title="Answers"), replace(definition, target=F(995, 1000)))
    old, new = slo.versions.order_by("number")
    assert (old.definition.target, new.definition.target, old.until) == (TARGET, F(995, 1000), new.since)
    assert from_document(new.document) == new.definition


def test_operators_make_pause_and_remove_them_and_nobody_else(store: stores.Store, client: Client) -> None:
    slo = make(client)
    mate = Actor("person", "Mate", (Held(Role.RESPONDER, "acme"),))
    stranger = Actor("person", "Sly", (Held(Role.ADMIN, "other"),))
    for actor in (mate, stranger):
        for deed in (
            lambda who: put_slo(who, client, "x", About(), Definition(TARGET, MONTH, UP)),
            lambda who: pause(who, slo, True),
            lambda who: remove(who, slo),
        ):
            with pytest.raises(NotAllowed):
                deed(actor)
    pause(LOCAL, slo, True)
    judge(NOW)
    assert not Standing.objects.exists()
    pause(LOCAL, slo, False)
    look(slo)
    remove(LOCAL, slo)
    assert verdict(slo).reason == "slo_removed"
    judge(NOW)
    assert not Standing.objects.exists()


def test_many_slos_ask_no_more_questions_than_one(
    store: stores.Store, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(store, calls(ago(hours=2), 500, 1))
    asked: list[str] = []
    query = stores.Store.query

    def listened(self: stores.Store, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        asked.append(sql)
        return query(self, sql, parameters)

    monkeypatch.setattr(stores.Store, "query", listened)

    def questions(at: datetime) -> int:
        asked.clear()
        with clock.frozen(at):
            judge(at)
        return len(asked)

    make(client)
    first = questions(NOW)
    for number in range(20):
        make(client, replace(UP, route=f"r{number}"), name=f"slo-{number}")
    assert questions(NOW + timedelta(minutes=11)) <= first
