"""From telemetry to a recommendation, a decision, and what trial and ledger show; page and API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Conflict
from afterlaunch.routes.actions import ArmValues, put_route, put_upstream
from afterlaunch.routes.models import Route
from afterlaunch.savings import actions, duties, gathering, shadows, words
from afterlaunch.savings.facts import Place, Terms
from afterlaunch.savings.models import Recommendation
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.signals import tables
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

ME = automation("test")
MINUTE = 60 * 10**9


def call(number: int, ago_ns: int, **more: Any) -> Any:
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o",
    }
    told |= {"gen_ai.usage.input_tokens": 3_000, "gen_ai.usage.output_tokens": 100, "afterlaunch.route": "support"}
    told |= more
    one = span(told, number=number, trace=number)
    one.start_time_unix_nano = clock.now_ns() - ago_ns
    one.end_time_unix_nano = one.start_time_unix_nano + 10**9
    return one


@pytest.fixture
def store(tmp_path: Path, db: None) -> Iterator[Any]:
    made = stores.open_store(tmp_path / "t.duckdb")
    tables.prepare(made)
    yield made
    stores.close_store()


def tell(store: Any, *spans: Any) -> None:
    store.commit([normalise(body(*spans), PROTOBUF, "acme", clock.now_ns()).table])


@pytest.fixture
def client(db: None) -> Client:
    return Client.objects.create(slug="acme", name="Acme", created_at=clock.now())


def repeated(count: int = 400, **more: Any) -> list[Any]:
    text = '[{"role":"user","parts":[{"type":"text","content":"What are your hours?"}]}]'
    return [call(n, n * MINUTE, **{"gen_ai.input.messages": text, **more}) for n in range(1, count + 1)]


def test_found_decided_and_told_by_page_and_api(store: Any, client: Client) -> None:
    tell(store, *repeated())
    now = clock.now()
    assert actions.find(client, now) > 0
    by_kind = {row.kind: row for row in Recommendation.objects.all()}
    assert by_kind["response_caching"].state == "not_assessed" and by_kind["batch"].state == "not_assessed"
    assert by_kind["model_swap"].state == "not_assessed"
    bar = Terms("correct", 0.9, patience_hours=48, freshness_minutes=60, candidates=(("openai", "gpt-4o-mini"),))
    actions.say_terms(ME, client, "desk", "support", bar)
    actions.find(client, now)
    row = Recommendation.objects.get(kind="response_caching")
    assert row.state == "projected" and row.middle_nano and row.low_nano is not None
    assert Recommendation.objects.get(kind="batch").state == "projected"
    assert "0 of 30 scores" in Recommendation.objects.get(target="gpt-4o-mini").missing
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/spend/savings").content.decode()
    assert "Answer repeated questions" in page and "Not assessed" in page
    assert browser.post(f"{row.path}/decline", {"reason": ""}, follow=True).content.decode().count("Say why") == 1
    assert browser.post(f"{row.path}/accept").status_code == 302
    told = browser.get(f"/api/v1/savings/{row.pk}").json()
    assert told["state"] == "accepted" and Decimal(told["saving_usd"]) * 10**9 == row.middle_nano
    assert browser.get(row.path).status_code == 200
    assert Entry.objects.filter(deed="saving.accepted").count() == 1
    actions.find(client, now)  # what was decided stays so
    assert Recommendation.objects.get(pk=row.pk).state == "accepted"


def test_the_board_tells_states_apart_and_groups_what_is_not_assessed(store: Any, client: Client) -> None:
    place, now = Place("acme", "desk", "support", None, "openai", "gpt-4o")._asdict(), clock.now()
    states = ("projected", "accepted", "verified", "refuted", "rejected", "declined", *["not_assessed"] * 3)
    for number, state in enumerate(states):
        known = None if state == "not_assessed" else 200 * 10**9
        Recommendation.objects.create(
            client=client, key=str(number), kind="batch", place=place, title=f"Idea {number}", state=state,
            low_nano=known and known // 2, middle_nano=known, high_nano=known and known * 2,
            missing="Nobody said how long an answer may take." if known is None else "",
            reason="Not now" if state == "declined" else "", found_at=now, seen_at=now,
        )  # fmt: skip
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/spend/savings").content.decode()
    for title in ("to-decide", "on-trial", "shown", "refuted", "rejected", "declined", "open"):
        assert f'class="card" id="{title}"' in page
    assert page.count("Nobody said how long an answer may take.") == 1
    assert "$100 to $400" in page and "Not now" in page and page.count("Idea ") == len(states)


def test_a_trial_verifies_and_the_ledger_realises(store: Any, client: Client) -> None:
    tell(store, *repeated())
    actions.say_terms(ME, client, "desk", "support", Terms("correct", 0.9, candidates=(("openai", "gpt-4o-mini"),)))
    now = clock.now()
    actions.find(client, now)
    row = Recommendation.objects.get(target="gpt-4o-mini")
    actions.decide(ME, row, accept=True)
    Recommendation.objects.filter(pk=row.pk).update(decided_at=now - timedelta(hours=3))
    small = {"gen_ai.response.model": "gpt-4o-mini-2024-07-18", "afterlaunch.arm": "shadow"}  # as providers answer
    tell(store, *[call(1_000 + n, n * MINUTE, **small) for n in range(1, 60)])
    actions.work(now, [])
    row = Recommendation.objects.get(pk=row.pk)
    assert row.state == "in_shadow" and "share" not in row.measured
    tell(store, *[call(2_000 + n, n * MINUTE, **{"afterlaunch.arm": "baseline"}) for n in range(1, 150)])
    tell(store, *[call(3_000 + n, n * MINUTE, **small) for n in range(1, 100)])
    actions.work(now, [])
    row = Recommendation.objects.get(pk=row.pk)
    assert row.state == "verified" and row.measured["by"] == "shadow"
    assert row.measured["share"] == pytest.approx(0.94, abs=0.01)  # 0.15 and 0.60 against 2.50 and 10.00
    assert row.measured["share_nano"] == pytest.approx(0.94 * row.figures["month_nano"], rel=0.02)
    actions.go_live(ME, row, now - timedelta(days=4))
    tell(store, *[call(4_000 + n, 5 * 1440 * MINUTE + n) for n in range(1, 150)])
    actions.work(now, [])
    assert Recommendation.objects.get(pk=row.pk).measured["by"] == "ledger"


def test_what_is_found_no_longer_is_gone_and_comes_back(store: Any, client: Client) -> None:
    tell(store, *repeated())
    actions.find(client, clock.now())
    later = clock.now() + timedelta(days=40)
    actions.find(client, later)
    assert set(Recommendation.objects.values_list("state", flat=True)) == {"gone"}
    actions.find(client, clock.now())
    assert "not_assessed" in Recommendation.objects.values_list("state", flat=True)


def test_nothing_yet_says_what_is_looked_at(store: Any, client: Client) -> None:
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    assert "Nothing to recommend yet" in browser.get("/spend/savings").content.decode()
    assert "No route yet" in browser.get("/spend/savings/terms/acme").content.decode()
    browser.post("/spend/savings/look", {"client": "acme"})
    wrong = {"metric": "correct", "minimum": "", "candidates": "mini"}
    said = browser.post("/spend/savings/terms/acme/save", wrong, follow=True).content.decode()
    assert "no provider/model" in said and not client.route_terms.exists()


def test_what_a_shadow_answered_for_nobody_is_no_use_and_no_proof_of_something_else(store: Any, client: Client) -> None:
    long = {"gen_ai.usage.output_tokens": 4_000}
    tell(store, *repeated(600), *[call(700 + n, n * MINUTE, **long) for n in range(1, 7)])
    tell(store, *[call(2_000 + n, n * MINUTE, **{"afterlaunch.arm": "shadow"}) for n in range(1, 400)])
    now = clock.now()
    assert sum(one.calls for one in gathering.uses("acme", now, {})) == 606
    actions.find(client, now)
    row = Recommendation.objects.get(kind="output_limit")
    actions.decide(ME, row, accept=True)
    Recommendation.objects.filter(pk=row.pk).update(decided_at=now - timedelta(hours=8))
    other = {"gen_ai.response.model": "gpt-4o-mini", "afterlaunch.arm": "candidate"}
    tell(store, *[call(4_000 + n, n * MINUTE, **{"afterlaunch.arm": "baseline"}) for n in range(1, 150)])
    tell(store, *[call(5_000 + n, n * MINUTE, **other) for n in range(1, 150)])
    actions.work(now, [])
    # the shadow of the same model cost as much as the baseline; the cheaper candidate is another model
    assert Recommendation.objects.get(pk=row.pk).state == "in_shadow"


@pytest.mark.parametrize(
    ("kind", "target", "provider", "alter"),
    [
        ("output_limit", "1024", "openai", {"most_output": 1024}),
        ("prompt_trimming", "10", "openai", {"messages": 20}),
        ("reasoning_effort", "", "openai", {"effort": "low"}),
        ("prompt_caching", "", "anthropic", {"keep_prompt": True}),
        ("prompt_caching", "", "openai", None),
        ("batch", "", "openai", None),
    ],
)
def test_what_a_copy_can_have_otherwise_is_tried_as_a_shadow(
    client: Client, kind: str, target: str, provider: str, alter: dict[str, Any] | None
) -> None:
    system = System.objects.create(client=client, key="desk", name="Desk")
    for name in ("openai", "anthropic"):
        put_upstream(ME, name, f"https://{name}.example", name, "env:KEY")
    route = put_route(ME, "support", system, ArmValues(provider, "", "v1"))
    place = Place("acme", "desk", "support", None, provider, "gpt-5")._asdict()
    row = Recommendation.objects.create(
        client=client, key="1", kind=kind, place=place, title="Try it", target=target, state="not_assessed",
        found_at=clock.now(), seen_at=clock.now(), figures={"month_nano": 30 * 10**9},
    )  # fmt: skip
    if alter is None:
        with pytest.raises(Conflict):
            shadows.start(ME, row, provider, 10, 1)
        return
    trial = shadows.trial_of(row)
    assert trial is not None and trial.upstreams == [provider]
    shadows.start(ME, row, provider, 10, 1)
    shadow = Route.objects.get(pk=route.pk).handling["shadow"]
    assert shadow["alter"] == alter and "model" not in shadow
    row.refresh_from_db()
    trial = shadows.trial_of(row)
    assert row.state == "accepted" and trial is not None and trial.running and trial.standing is not None
    shadows.stop(ME, row)
    assert Route.objects.get(pk=route.pk).handling == {}


def test_a_limit_on_answers_is_verified_by_copies_of_the_same_model(store: Any, client: Client) -> None:
    tell(store, *[call(n, n * MINUTE, **{"afterlaunch.arm": "baseline"}) for n in range(1, 150)])
    (told,) = store.query("select distinct system from calls")
    place = Place("acme", told["system"], "support", None, "openai", "gpt-4o")._asdict()
    row = Recommendation.objects.create(
        client=client, key="1", kind="output_limit", place=place, title="Limit", target="50", state="accepted",
        low_nano=1, middle_nano=2, high_nano=3, found_at=clock.now(), seen_at=clock.now(),
        decided_at=clock.now() - timedelta(hours=3), figures={"month_nano": 30 * 10**9},
    )  # fmt: skip
    shorter = {"gen_ai.usage.output_tokens": 20, "afterlaunch.arm": "shadow"}
    tell(store, *[call(1_000 + n, n * MINUTE, **shorter) for n in range(1, 150)])
    duties.measure(clock.now())
    row.refresh_from_db()
    assert row.state == "verified" and row.measured["by"] == "shadow"


def test_a_swap_is_tried_as_a_shadow_that_ends_when_it_is_shown(store: Any, client: Client) -> None:
    system = System.objects.create(client=client, key="desk", name="Desk")
    put_upstream(ME, "openai", "https://api.openai.com", "openai", "env:OPENAI_API_KEY")
    route = put_route(ME, "support", system, ArmValues("openai", "gpt-4o", "v1"))
    tell(store, *[call(n, n * MINUTE, **{"afterlaunch.arm": "baseline"}) for n in range(1, 150)])
    (told,) = store.query("select distinct system from calls")
    place = Place("acme", told["system"], "support", None, "openai", "gpt-4o")._asdict()
    row = Recommendation.objects.create(
        client=client, key="1", kind="model_swap", place=place, title="Use gpt-4o-mini", target="gpt-4o-mini",
        state="projected", low_nano=1, middle_nano=2, high_nano=3, found_at=clock.now(), seen_at=clock.now(),
        figures={"month_nano": 30 * 10**9},
    )  # fmt: skip
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get(row.path).content.decode()
    assert "Start the shadow" in page and 'name="usd_a_day" type="number" step="0.01" min="0.01" value="0.1' in page
    asked = {"upstream": "openai", "percent": "25", "usd_a_day": "2.5"}
    assert "no upstream" in browser.post(f"{row.path}/shadow", {**asked, "upstream": "x"}, follow=True).content.decode()
    assert "End the shadow" in browser.post(f"{row.path}/shadow", asked, follow=True).content.decode()
    row.refresh_from_db()
    shadow = Route.objects.get(pk=route.pk).handling["shadow"]
    assert row.state == "accepted" and shadow["share"] == 2_500 and shadow["model"] == "gpt-4o-mini"
    assert shadow["budget"]["limit"] == 2.5
    other = Recommendation.objects.create(
        client=client, key="2", kind="model_swap", place=row.place, title="Use gpt-4.1", target="gpt-4.1",
        state="projected", found_at=clock.now(), seen_at=clock.now(), figures={"month_nano": 1},
    )  # fmt: skip
    with pytest.raises(Conflict, match="another shadow"):
        shadows.start(ME, other, "openai", 10, 1)
    since = clock.now() - timedelta(hours=3)
    Recommendation.objects.filter(pk=row.pk).update(decided_at=since)
    small = {"gen_ai.response.model": "gpt-4o-mini", "afterlaunch.arm": "shadow"}
    tell(store, *[call(1_000 + n, n * MINUTE, **small) for n in range(1, 150)])
    duties.measure(clock.now())
    row.refresh_from_db()
    assert row.state == "verified" and "shadow" not in Route.objects.get(pk=route.pk).handling
    deeds = set(Entry.objects.values_list("deed", flat=True))
    assert {"saving.shadow_started", "saving.shadow_ended", "saving.verified"} <= deeds


def test_reasons_of_one_shape_are_told_once() -> None:
    texts = [f"Prompts of 0 of {count:,} calls are kept; gpt-4o-mini has 30." for count in (1_250, 103, 152)]
    assert len({words.shape(one) for one in texts}) == 1
    assert words.alike(texts) == "Prompts of 0 of 103 to 1,250 calls are kept; gpt-4o-mini has 30."
    assert words.shape("gpt-4 has 3 scores.") != words.shape("gpt-5 has 3 scores.")


def test_what_is_shown_has_signs_only_where_it_may_go_either_way(client: Client) -> None:
    row = Recommendation(kind="model_swap", measured={"by": "shadow", "before": 400, "after": 300})
    row.measured |= {"share": 0.4, "low": 0.3, "high": 0.5, "share_nano": 40 * 10**9}
    assert words.shown(row) == ("$40.00 saved", "30.0% to 50.0% of the cost")
    assert words.measured(row) == "$40.00 a month saved: 40.0% less a call (30.0% to 50.0%), by a shadow run"
    row.measured["low"] = -0.1
    assert "(-10.0% to +50.0% saved)" in words.measured(row)
    row.measured = {"by": "candidate", "before": 72, "after": 32}
    assert words.shown(row) is None and "72 calls as it was and 32 as proposed" in words.measured(row)
