"""Who may have which report, over REST, on pages and from the command line."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from django.test import Client as Browser
from typer.testing import CliRunner

from afterlaunch.accounts.actions import create_token, first_administrator
from afterlaunch.accounts.models import Grant, User
from afterlaunch.cli.main import app
from afterlaunch.ground.actors import automation
from afterlaunch.reports.tests.conftest import Month
from afterlaunch.telemetry import store

ADMIN = automation("test")
PATH = "/api/v1/reports/monthly"


def person(month: Month, slug: str, role: str = "viewer") -> Browser:
    user = User.objects.create_user(f"{role}@{slug}.example")
    Grant.objects.create(user=user, role=role, client=month.client(slug))
    return browser(user)


def browser(user: User) -> Browser:
    made = Browser()
    made.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return made


def test_a_viewer_gets_the_own_client_and_a_stranger_nothing_of_it(told: Month) -> None:
    mine, stranger = person(told, "acme"), person(told, "globex")
    for form in ("json", "html", "md"):
        answer = mine.get(PATH, {"month": "2026-11", "client": "acme", "format": form})
        assert answer.status_code == 200 and b"bakery" in answer.content
        unasked = stranger.get(PATH, {"month": "2026-11", "format": form})
        assert unasked.status_code == 200 and b"bakery" not in unasked.content and b"refused" not in unasked.content
    for refused in (
        PATH + "?month=2026-11&client=acme",
        "/reports/monthly/2026-11?client=acme",
        "/reports?client=acme",
    ):
        assert stranger.get(refused).status_code == 404
    assert "Acme" not in stranger.get("/reports").content.decode()


def test_a_token_that_may_only_send_telemetry_gets_no_report(told: Month) -> None:
    _, secret = create_token(ADMIN, "collector", "ingest", None)
    answer = Browser().get(PATH, {"month": "2026-11"}, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 403 and "role viewer" in answer.json()["detail"]
    assert Browser().get(PATH).status_code == 401


@pytest.mark.parametrize(
    "query",
    [{"month": "2026-13"}, {"month": "2099-01"}, {"month": "2026-11", "format": "docx"},
     {"month": "2026-11", "time_zone": "Mars/Olympus"}, {"month": "2026-11", "time_zone": "../etc/passwd"}],
)  # fmt: skip
def test_a_wrong_question_gets_a_problem_document_that_says_how_to_mend_it(told: Month, query: dict[str, str]) -> None:
    answer = browser(first_administrator()).get(PATH, query)
    assert answer.status_code == 400 and answer["Content-Type"] == "application/problem+json"
    assert answer.json()["hint"]


def test_only_a_token_chooses_where_links_point_to(told: Month) -> None:
    query = {"month": "2026-11", "url": "https://watch.example/", "format": "html"}
    assert browser(first_administrator()).get(PATH, query).status_code == 403
    _, secret = create_token(ADMIN, "reader", "viewer", None)
    headers = {"Authorization": f"Bearer {secret}"}
    assert b'href="https://watch.example/incidents/' in Browser().get(PATH, query, headers=headers).content
    for bad in ("javascript:alert(1)", "https://", "https://a b", 'https://x"y', "https://x/?q", "https://x)"):
        assert Browser().get(PATH, query | {"url": bad}, headers=headers).status_code == 400, bad


def test_a_download_is_named_after_the_month_and_may_run_nothing(told: Month) -> None:
    query = {"month": "2026-11", "client": "acme", "format": "html", "download": "true"}
    answer = browser(first_administrator()).get(PATH, query)
    assert answer["Content-Disposition"] == 'attachment; filename="afterlaunch-2026-11-acme.html"'
    assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_the_api_describes_the_report() -> None:
    described = Browser().get("/api/v1/openapi.json").json()["paths"][PATH]["get"]
    assert {one["name"] for one in described["parameters"]} >= {"month", "client", "system", "format", "time_zone"}


def test_the_page_lists_the_months_and_shows_one(told: Month) -> None:
    reader = browser(first_administrator())
    listed = reader.get("/reports").content.decode()
    assert "November 2026" in listed and "/reports/monthly/2026-11" in listed and 'aria-current="page"' in listed
    shown = reader.get("/reports/monthly/2026-11?client=acme").content.decode()
    assert "How it went" in shown and 'href="/incidents/' in shown and "chart-spend" in shown
    assert reader.get("/reports/monthly/2026-13").status_code == 400


def test_with_no_data_the_page_says_what_to_do(month: Month) -> None:
    assert "No month to report on yet" in browser(first_administrator()).get("/reports").content.decode()


@pytest.fixture
def folder(told: Month, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose server has stopped: its store is closed and lies where commands look for it."""
    store.close_store()
    made = tmp_path / "data"
    made.mkdir()
    (tmp_path / "t.duckdb").rename(made / "telemetry.duckdb")
    monkeypatch.setenv("AFTERLAUNCH_DATA", str(made))
    monkeypatch.setattr("afterlaunch.cli.report.with_data", lambda data: None)  # the test's database stands already
    return made


def test_the_command_reads_the_stores_when_no_server_runs(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "november.html"
    asked = ["report", "monthly", "--month", "2026-11", "--data", str(folder), "--client", "acme"]
    done = CliRunner().invoke(app, [*asked, "--format", "html", "--output", str(file), "--url", "https://w.example"])
    assert done.exit_code == 0, done.output
    assert 'href="https://w.example/incidents/' in file.read_text()
    printed = CliRunner().invoke(app, [*asked, "--json"])
    assert orjson.loads(printed.stdout)["month"] == "2026-11"


def test_the_command_says_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    def said(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["report", "monthly", "--data", str(folder), *arguments])
        return done.exit_code, " ".join(done.stderr.split())

    assert said("--month", "2026-13") == (
        2,
        "'2026-13' is no month. Write it as year and month, for example 2026-11",
    )
    assert said("--client", "nobody")[0] == 1
    assert said("--json", "--format", "md")[0] == 2
    code, text = said("--data", str(tmp_path / "elsewhere"))
    assert code == 1 and "holds no telemetry store" in text and "afterlaunch up" in text
    code, text = said("--to", "http://127.0.0.1:9199", "--token", "alt_x")
    assert code == 1 and "cannot be reached" in text and "afterlaunch up" in text
