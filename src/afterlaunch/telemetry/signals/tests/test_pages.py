"""Metrics and logs as people read them: the explorer, its files, and the list of log records."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.ground import clock
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.signals import points, questions, records, tables
from afterlaunch.telemetry.signals.pages import severity

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JSON = "application/json"


@pytest.fixture
def browser(place: Path | str) -> Iterator[Browser]:
    """Of somebody who may see the client acme alone."""
    tables.prepare(stores.open_store(place))
    acme = Client.objects.create(slug="acme", name="Acme", created_at=NOW)
    user = User.objects.create_user("mate@acme.example", "Mate")
    Grant.objects.create(user=user, role="viewer", client=acme)
    made = Browser()
    made.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    with clock.frozen(NOW):
        yield made
    stores.close_store()


def attributes(**told: str) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in told.items()]


def tell(name: str, values: list[float], client: str = "acme", counter: bool = False, **labels: str) -> None:
    """Points a minute apart, the newest now."""
    rows = [
        {
            "timeUnixNano": str(clock.to_ns(NOW - timedelta(minutes=len(values) - 1 - n))),
            "asDouble": value,
            "attributes": attributes(**labels),
        }
        for n, value in enumerate(values)
    ]
    data: dict[str, Any] = {"dataPoints": rows}
    kind = {"sum": data | {"isMonotonic": True, "aggregationTemporality": 2}} if counter else {"gauge": data}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "support"}}]}
    body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [{"name": name, **kind}]}]}]}
    table = points.from_otlp(orjson.dumps(body), JSON, client, clock.to_ns(NOW)).table
    tables.Lander(stores.current(), tables.METRICS).commit([table])


def write(text: str, severity: int = 9, client: str = "acme", minutes: float = 1, **more: Any) -> None:
    record = {
        "timeUnixNano": str(clock.to_ns(NOW - timedelta(minutes=minutes))),
        "severityNumber": severity,
        "body": {"stringValue": text},
        **more,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "support"}}]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    table = records.from_otlp(orjson.dumps(body), JSON, client, clock.to_ns(NOW)).table
    tables.Lander(stores.current(), tables.LOGS).commit([table])


def page(browser: Browser, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, answer.content[:500]
    return answer.content.decode()


def test_without_metrics_the_page_says_where_they_come_from(browser: Browser) -> None:
    assert "/targets" in page(browser, "/explorer") and "remote_write" in page(browser, "/explorer")


def test_a_metric_is_searched_grouped_and_narrowed(browser: Browser) -> None:
    tell("queue_depth", [1.0, 2.0, 3.0], queue="mail", zone="a")
    tell("queue_depth", [10.0, 20.0, 30.0], queue="print", zone="b")
    tell("other_metric", [5.0])
    tell("hidden_metric", [5.0], client="globex")
    listed = page(browser, "/explorer")
    assert "queue_depth" in listed and "other_metric" in listed and "hidden_metric" not in listed
    part = page(browser, "/explorer?part=list&search=QUEUE")
    assert "queue_depth" in part and "other_metric" not in part and "<html" not in part
    shown = page(browser, "/explorer?name=queue_depth&by=queue&range=1h")
    assert "mail" in shown and "print" in shown and "<svg" in shown and ">30<" in shown
    assert "zone" in shown, "what else it could be grouped by"
    assert "by=queue%2Czone" in shown and "labels=queue%3Dprint" in shown
    narrowed = page(browser, "/explorer?name=queue_depth&by=queue&labels=queue%3Dmail&range=1h")
    assert ">3<" in narrowed and ">30<" not in narrowed
    summed = page(browser, "/explorer?name=queue_depth&combine=sum&range=1h")
    assert ">33<" in summed
    assert "No points of this metric" in page(browser, "/explorer?name=hidden_metric")
    assert browser.get("/explorer?name=queue_depth&combine=guess").status_code == 400
    assert browser.get("/explorer?name=queue_depth&labels=nonsense").status_code == 400
    assert browser.get("/explorer?from=yesterday").status_code == 400


def test_a_link_shows_the_same_tomorrow_and_a_file_holds_the_points(browser: Browser) -> None:
    tell("queue_depth", [1.0, 2.0, 3.0], queue="mail")
    shown = page(browser, "/explorer?name=queue_depth&by=queue&range=1h")
    lasting = shown.split('data-copy="')[1].split('"')[0].replace("&amp;", "&")
    file = next(part for part in shown.split('href="') if part.startswith("/api/v1/metrics/points")).split('"')[0]
    with clock.frozen(NOW + timedelta(days=1)):
        assert ">3<" in page(browser, lasting)
        assert ">3<" not in page(browser, lasting + "&range=1h"), "what is chosen goes before"
        answer: Any = browser.get(file.replace("&amp;", "&"))
    assert answer["Content-Disposition"] == 'attachment; filename="queue_depth.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["value"] for row in rows] == ["1", "2", "3"] and rows[0]["queue"] == "mail"
    assert rows[0]["at"].startswith("2026-03-01T11:58")
    labels = browser.get("/api/v1/metrics/labels?name=queue_depth").json()["labels"]
    assert labels == {"queue": ["mail"]}


def test_a_counter_is_a_rise_per_second_whatever_the_step(browser: Browser) -> None:
    """Its points are a minute apart; steps are shorter, as long, and longer."""
    tell("calls", [600.0 * n for n in range(31)], counter=True)
    for step in (15, 60, 300):
        found = questions.over_time("calls", NOW - timedelta(minutes=20), NOW, step)
        assert {round(one.value, 6) for one in found} == {10.0}, step


def test_logs_are_searched_by_words_severity_and_place_and_lead_to_their_trace(browser: Browser) -> None:
    write("All is well")
    write("Tool crashed", 17, traceId="ab" * 16, spanId="cd" * 8)
    write("An hour ago", minutes=59)
    write("Long ago", minutes=300)
    write("Of somebody else", client="globex")
    text = page(browser, "/logs")
    assert "All is well" in text and "An hour ago" in text
    assert "Long ago" not in text and "somebody else" not in text
    errors = page(browser, "/logs?severity=17")
    assert "Tool crashed" in errors and "All is well" not in errors
    assert f"/traces/{'ab' * 16}#span-{'cd' * 8}" in errors
    assert "Tool crashed" in page(browser, "/logs?text=CRASHED") and "crashed" in page(
        browser, f"/logs?trace={'ab' * 16}"
    )
    assert "No log records match" in page(browser, "/logs?system=other")
    assert browser.get("/logs?severity=3").status_code == 400 and browser.get("/logs?trace=xyz").status_code == 400


def test_following_asks_for_the_newest_and_a_fixed_time_does_not(browser: Browser) -> None:
    write("All is well")
    live = page(browser, "/logs?live=1")
    assert 'hx-trigger="every 5s"' in live and "part=rows" in live and "Stop following" in live
    part = page(browser, "/logs?live=1&part=rows")
    assert "All is well" in part and "<html" not in part and 'hx-trigger="every 5s"' in part
    fixed = page(browser, "/logs?live=1&from=2026-03-01T11:00:00Z&to=2026-03-01T12:00:00Z")
    assert "hx-trigger" not in fixed and "All is well" in fixed


def test_older_records_stand_on_the_next_page_and_a_file_holds_them_all(browser: Browser) -> None:
    for number in range(120):
        write(f"line {number:03}", minutes=number / 10)
    first = page(browser, "/logs")
    older = next(part for part in first.split('href="') if "before=" in part).split('"')[0].replace("&amp;", "&")
    second = page(browser, older)
    assert "line 000" in first and "line 119" not in first and "line 119" in second and "line 000" not in second
    answer: Any = browser.get("/api/v1/logs?format=csv")
    assert answer["Afterlaunch-Rows"] == "120" and b"line 119" in b"".join(answer.streaming_content)


@pytest.mark.parametrize(
    ("number", "text", "said"),
    [(9, None, ("info", "plain")), (13, "WARN", ("warning", "warning")), (24, None, ("fatal", "breach")),
     (0, "NOTICE", ("notice", "not_assessed")), (0, None, ("not told", "not_assessed"))],
)  # fmt: skip
def test_a_severity_is_said(number: int, text: str | None, said: tuple[str, str]) -> None:
    assert severity(number, text) == said
