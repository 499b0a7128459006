"""SLOs as pages and as an API: made with a preview, looked at, paused, taken out as CSV and OpenSLO."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction as F
from pathlib import Path

import orjson
import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.ground import clock
from afterlaunch.slo.definition import Definition
from afterlaunch.slo.durations import duration
from afterlaunch.slo.duties import judge
from afterlaunch.slo.history import backtest, burn_down, episodes
from afterlaunch.slo.measures import Measure
from afterlaunch.slo.models import Slo, SloVersion
from afterlaunch.slo.openslo.objects import Period
from afterlaunch.slo.tests.traffic_of import NOW, ago, calls, tell
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.signals import tables

pytestmark = pytest.mark.django_db
FORM = {"system": "acme/support", "name": "answers", "kind": "availability", "objective": "99", "period": "30d"}


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[stores.Store]:
    made = stores.open_store(tmp_path / "telemetry.duckdb")
    tables.prepare(made)
    with clock.frozen(NOW):
        yield made
    stores.close_store()


@pytest.fixture
def browser() -> Browser:
    note_sightings([Sighting("acme", "support", "prod")], ago(days=60))
    user = User.objects.create_user("op@acme.example", "Op")
    Grant.objects.create(user=user, role="operator", client=Client.objects.get(slug="acme"))
    out = Browser()
    out.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return out


def text(browser: Browser, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_empty_list_says_what_to_do(browser: Browser) -> None:
    assert "An SLO promises a share of good events" in text(browser, "/slos")


def test_a_preview_shows_alerts_dead_pairs_and_the_last_30_days(browser: Browser, store: stores.Store) -> None:
    for day in (3, 9):
        tell(store, calls(ago(days=day), 50, 50, over=timedelta(minutes=50)))
    tell(store, calls(ago(days=20), 2000, 2, over=timedelta(hours=40)))
    told = text(browser, "/slos/preview?" + "&".join(f"{k}={v}" for k, v in FORM.items()))
    assert "14.4" in told and "2 pages" in told and "expected in 30 days" in told
    dead = text(browser, "/slos/new?system=acme/support&objective=90")
    assert "can never fire" in dead and "usable: 5" in dead
    assert "must be above 0" in text(browser, "/slos/preview?system=acme/support&objective=0")


def test_a_form_makes_an_slo_and_a_dead_pair_is_refused_with_what_was_typed(browser: Browser) -> None:
    refused = browser.post("/slos/new", {**FORM, "objective": "90"})
    assert refused.status_code == 400
    assert "largest usable factor is 5" in refused.content.decode() and 'value="answers"' in refused.content.decode()
    made = browser.post("/slos/new", {**FORM, "objective": "90", "pairs": "usable", "critical": "1"})
    slo = Slo.objects.get()
    assert (made.status_code, made["Location"], slo.critical) == (302, f"/slos/{slo.pk}", True)
    assert {pair.factor for pair in SloVersion.objects.get().definition.pairs or ()} == {F(5), F(6), F(3), F(1)}
    browser.post(f"/slos/{slo.pk}/edit", {**FORM, "objective": "95"})
    assert SloVersion.objects.filter(slo=slo).count() == 2
    assert "version 2" in text(browser, f"/slos/{slo.pk}")


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "latency", "value": "800"},
        {"kind": "latency", "value": "300", "time": "ttft", "route": "chat"},
        {"kind": "quality", "value": "0.7", "evaluation": "groundedness", "sampling": "10", "pairs": "usable"},
        {"kind": "quality", "labels": "good, fine", "final_evaluation": "human_rating"},
        {"kind": "freshness", "value": "3600"},
        {"kind": "verdict", "judge": "quality.refusals"},
        {"slices": "1m", "slice_target": "95"},
        {"period": "1M", "zone": "Europe/Berlin"},
    ],
)  # fmt: skip
def test_every_kind_can_be_made_looked_at_and_saved_again_unchanged(browser: Browser, more: dict[str, str]) -> None:
    made = browser.post("/slos/new", {**FORM, "objective": "99", **more})
    assert made.status_code == 302, made.content.decode()
    slo = Slo.objects.get()
    judge(NOW)
    assert "not known" in text(browser, f"/slos/{slo.pk}")
    form = browser.get(f"/slos/{slo.pk}/edit")
    browser.post(f"/slos/{slo.pk}/edit", {k: v for k, v in form.context["values"].items() if v})
    assert SloVersion.objects.count() == 1


def test_the_list_and_the_page_show_what_is_left_and_what_is_not_known(browser: Browser, store: stores.Store) -> None:
    browser.post("/slos/new", FORM)
    browser.post("/slos/new", {**FORM, "name": "elsewhere", "route": "nowhere"})
    assert "Not judged yet" in text(browser, "/slos")
    tell(store, calls(ago(days=2), 995, 5), calls(ago(minutes=4), 20, 80))
    judge(NOW)
    listed = text(browser, "/slos")
    assert "Burning" in listed and "— not known" in listed and "-672.7\u00a0%" in listed
    slo = Slo.objects.get(name="answers")
    page = text(browser, f"/slos/{slo.pk}")
    assert "80 bad of 100 in 1h" in page and "failed%3Atrue" in page
    points = burn_down(SloVersion.objects.get(slo=slo), NOW)
    assert points[-1].total == 1100 and points[-1].left == pytest.approx(1 - 85 / 11)
    assert next(one.left for one in points if one.left is not None) == pytest.approx(1 - 5 / 10)
    assert "until,total,bad,budget_left" in text(browser, f"/slos/{slo.pk}/budget.csv")
    assert text(browser, "/slos.csv").count("\n") == 3
    assert "kind: SLO" in text(browser, "/slos.yaml")


def test_what_was_paused_says_so_and_goes_on(browser: Browser) -> None:
    browser.post("/slos/new", FORM)
    slo = Slo.objects.get()
    browser.post(f"/slos/{slo.pk}/pause", {"paused": "1"})
    assert "it is not judged and pages nobody" in text(browser, f"/slos/{slo.pk}")
    browser.post(f"/slos/{slo.pk}/pause", {"paused": "0"})
    assert not Slo.objects.get().paused
    assert browser.post(f"/slos/{slo.pk}/remove")["Location"] == "/slos"
    assert browser.get(f"/slos/{slo.pk}").status_code == 404


def test_an_upload_is_tried_imported_and_its_errors_are_placed(browser: Browser, tmp_path: Path) -> None:
    browser.post("/slos/new", FORM)
    told = browser.get("/slos.yaml").content
    Slo.objects.all().delete()
    file = tmp_path / "slos.yaml"
    file.write_bytes(told)
    with file.open("rb") as given:
        trial = browser.post("/slos/import", {"file": given, "trial": "1"})
    assert "What would change" in trial.content.decode() and not Slo.objects.exists()
    browser.post("/slos/import", {"text": told.decode()})
    assert Slo.objects.get().name == "answers"
    wrong = browser.post("/slos/import", {"text": told.decode().replace("0.99", "1.99")})
    assert wrong.status_code == 400 and "spec.objectives[0].target" in wrong.content.decode()
    assert browser.post("/slos/import", {}).status_code == 400


def test_the_api_makes_previews_and_tells(browser: Browser, store: stores.Store) -> None:
    body = {
        "client": "acme", "name": "answers", "objective": 0.999,
        "measure": {"kind": "availability", "system": "support"},
    }  # fmt: skip

    def post(path: str, told: object) -> tuple[int, dict[str, object]]:
        answer = browser.post(f"/api/v1/slos{path}", orjson.dumps(told), "application/json")
        return answer.status_code, orjson.loads(answer.content)

    status, previewed = post("/preview", body)
    assert (status, previewed["problems"]) == (200, [])
    assert post("", {**body, "objective": "90 %"})[0] == 400
    assert "measure.kind" in str(post("", {**body, "measure": {"kind": "x", "system": "support"}})[1])
    status, made = post("", body)
    assert (status, made["state"], made["version"], made["objective"]) == (200, "unknown", 1, "0.999")
    tell(store, calls(ago(hours=1), 100))
    judge(NOW)
    told = orjson.loads(browser.get(f"/api/v1/slos/{made['id']}").content)
    assert (told["state"], told["budget_left"], told["total"]) == ("ok", 1.0, 100)
    assert len(orjson.loads(browser.get(f"/api/v1/slos/{made['id']}/budget").content)["points"]) >= 6
    assert post("/import", {"text": "kind: x", "client": "acme"})[0] == 400
    assert orjson.loads(browser.get("/api/v1/slos?system=support").content)["slos"][0]["id"] == made["id"]


def test_a_backtest_counts_alerts_not_minutes(browser: Browser, store: stores.Store) -> None:
    client = Client.objects.get(slug="acme")
    definition = Definition(F(99, 100), Period(duration("30d")), Measure("availability", "support"))
    assert backtest(client, definition, NOW).alerts is None
    tell(
        store, calls(ago(days=5), 30, 30, over=timedelta(minutes=30)), calls(ago(days=4), 600, over=timedelta(hours=10))
    )
    found = backtest(client, definition, NOW)
    assert found.alerts == {"page": 1, "ticket": 1}
    assert (found.total, found.bad) == (660, 30) and found.days >= 2
    assert episodes([True, False, True, *[False] * 11, True]) == 2
