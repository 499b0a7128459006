"""The token report: the same figures in five formats, every dimension summing to one total, nothing made up."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.alerts.models import Alert
from afterlaunch.reports.contents import Day
from afterlaunch.reports.facts import Asked
from afterlaunch.reports.tests.conftest import ENGINE, NOVEMBER, Month
from afterlaunch.reports.tokens import documents
from afterlaunch.reports.tokens.facts import forecast, tokens
from afterlaunch.savings.models import Recommendation
from afterlaunch.spend.drivers import FACTORS
from afterlaunch.telemetry.windows import Window
from afterlaunch.verdicts.models import Verdict, VerdictChange

DAY = timedelta(days=1)


@pytest.fixture
def told(month: Month) -> Month:
    month.system()
    for day in range(0, 30, 2):
        month.calls(NOVEMBER + day * DAY, 5, told={"gen_ai.agent.name": "triage", "tenant.id": "=cmd()"})
    month.calls(NOVEMBER + 3 * DAY, 7, model="gpt-4o", told={"gen_ai.agent.name": "answer"})
    month.calls(NOVEMBER + 4 * DAY, 3, model="nobody-priced-this")
    month.calls(NOVEMBER - 10 * DAY, 40)
    return month


def write(form: str) -> bytes:
    return documents.write(tokens(ENGINE, Asked("2026-11"), "UTC"), form, "https://a.example")


def test_every_format_tells_the_same_and_twice_the_same_bytes(told: Month) -> None:
    found: dict[str, Any] = json.loads(write("json"))
    cost = found["total"]["cost_usd"]
    assert found["total"]["calls"] == 85 and found["total"]["calls_with_unknown_cost"] == 3
    for form in documents.TYPES:
        assert write(form) == write(form)
    assert f"${cost}" in write("html").decode() and f"\\${cost}" in write("md").decode()
    assert write("pdf").startswith(b"%PDF-")
    rows = list(csv.DictReader(io.StringIO(write("csv").decode())))
    for dimension in ("model", "agent", "route", "version", "provider", "tenant"):
        mine = [row for row in rows if row["dimension"] == dimension]
        assert sum(Decimal(row["cost_usd"]) for row in mine) == Decimal(cost)
        assert sum(int(row["calls"]) for row in mine) == 85
        assert sum(Decimal(one["cost_usd"]) for one in found["spend"][dimension]["rows"]) == Decimal(cost)
    assert "'=cmd()" in {row["value"] for row in rows}  # no spreadsheet runs a name
    parts = found["drivers"]
    assert sum((Decimal(parts[name]) for name in FACTORS), Decimal(0)) == Decimal(parts["difference_usd"])
    assert parts["now_usd"] == cost
    assert found["state"] == "final" and found["forecast"]["month"] == "2026-12"


def test_recommendations_are_repeated_and_never_added_up(told: Month) -> None:
    client = told.client("acme")
    for number, state in enumerate(("projected", "verified", "rejected", "gone")):
        Recommendation.objects.create(
            client=client, key=str(number), kind="model_swap" if number == 2 else "batch", place={"model": "gpt-4o"},
            title=f"{state} thing", state=state, low_nano=10**9, middle_nano=2 * 10**9, high_nano=3 * 10**9,
            found_at=NOVEMBER, seen_at=NOVEMBER, figures={"month_nano": 10**10}, risk="low",
            measured={"by": "shadow", "before": 200, "after": 200, "share": 0.5, "low": 0.4, "high": 0.6,
                      "low_nano": 4 * 10**9, "share_nano": 5 * 10**9, "high_nano": 6 * 10**9} if number == 1 else {},
            missing="it fails the bar" if number == 2 else "",
        )  # fmt: skip
    page = write("md").decode()
    assert "2.00 (\\$1.00 to \\$3.00) a month; risk low" in page.replace("\\$2.00", "2.00")
    assert "verified thing" in page and "50.0% of the cost per call" in page
    assert "it fails the bar" in page and "gone thing" not in page
    assert "$8" not in page.replace("\\", "")  # 2 + 6, say


def test_a_month_without_a_call_makes_nothing_up(month: Month) -> None:
    month.system()
    found = json.loads(write("json"))
    assert found["total"] is None and found["forecast"] is None and found["answered_transactions"] is None
    for form in documents.TYPES:
        assert write(form)
    assert "nothing was spent as far as is known" in write("md").decode()


def test_an_anomaly_names_the_incident_that_its_alert_opened(told: Month) -> None:
    system = told.system()
    at = NOVEMBER + 5 * DAY
    verdict = Verdict.objects.create(
        judge="spend.cost_per_hour", client="acme", system=system.key, environment="prod", severity="P2",
        status="breach", reason="cost_above_line", explanation="$9 an hour", since=at, assessed_at=at,
    )  # fmt: skip
    for when, status in ((at, "breach"), (at + DAY, "ok"), (at + 2 * DAY, "breach")):
        VerdictChange.objects.create(verdict=verdict, at=when, after=status, explanation=f"{status} then")
    seen = told.incident(system, at)
    alert = {"system": system, "environment": "prod", "explanation": "told", "fired_at": at, "told_at": at}
    Alert.objects.create(
        **alert, verdict=verdict, incident=seen, source="verdicts", fingerprint="1", name="cost", started_at=at
    )
    Alert.objects.create(**alert, source="budgets", fingerprint="2", name="Budget month", started_at=at)
    found = json.loads(write("json"))["anomalies"]
    assert [(one["judge"], one["status"], one["incident"]) for one in found if one["judge"] != "budgets"] == [
        ("spend.cost_per_hour", "breach", seen.pk),
        ("spend.cost_per_hour", "breach", None),  # two days later: another breach
    ]
    assert [(one["title"], one["status"]) for one in found if one["judge"] == "budgets"] == [
        ("Budget month", "warning")
    ]


def test_page_and_api(told: Month) -> None:
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/reports/tokens/2026-11")
    assert page.status_code == 200 and "format=pdf" in page.content.decode()
    assert browser.get("/reports/monthly/2026-11").status_code == 200
    answer = browser.get("/api/v1/reports/tokens", {"month": "2026-11", "format": "pdf", "download": "true"})
    assert answer.headers["Content-Type"] == "application/pdf" and answer.content.startswith(b"%PDF-")
    assert "afterlaunch-tokens-2026-11.pdf" in answer.headers["Content-Disposition"]
    assert browser.get("/api/v1/reports/monthly", {"month": "2026-11", "format": "pdf"}).content.startswith(b"%PDF-")
    assert browser.get("/api/v1/reports/tokens", {"month": "2026-11", "format": "docx"}).status_code == 400


def days(costs: list[int], ahead: int) -> tuple[Day, ...]:
    out = []
    for number, cost in enumerate([*costs, *[0] * ahead]):
        begin = NOVEMBER + number * DAY
        window = Window(begin, begin + DAY, {}, calls=1, cost_nano=cost) if cost else None
        out.append(Day(begin.date(), begin, begin + DAY, window, {}, number >= len(costs)))
    return tuple(out)


def test_forecasts_are_of_complete_days_and_say_when_they_cannot() -> None:
    assert forecast("2026-11", False, days([5] * 7, 23)) is None  # the seventh is running
    even = forecast("2026-11", False, days([10] * 10, 20))
    assert even and even.low == even.middle == even.high == 300
    rough = forecast("2026-11", False, days([0, 0, 5, 15] * 3 + [1], 17))
    assert rough and rough.low < rough.middle < rough.high and rough.days == 10
    done = forecast("2026-11", True, days([10] * 30, 0))
    assert done and (done.month, done.middle) == ("2026-12", 300)
