"""The token report: the same figures in five formats, every dimension summing to one total, nothing made up."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.alerts.models import Alert
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import Conflict, Invalid, NotAllowed
from afterlaunch.look.formats import money
from afterlaunch.reports.contents import Day
from afterlaunch.reports.facts import Asked
from afterlaunch.reports.models import Seal
from afterlaunch.reports.tests.conftest import ENGINE, NOVEMBER, Month
from afterlaunch.reports.tokens import documents
from afterlaunch.reports.tokens.facts import forecast, tokens
from afterlaunch.reports.tokens.sealing import SINCE, seal, seal_final, token_report, without
from afterlaunch.reports.tokens.words import usd
from afterlaunch.reports.words import cents, exact
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
    for dimension in ("model", "agent", "route", "version", "provider", "tenant", "purpose"):
        mine = [row for row in rows if row["dimension"] == dimension]
        assert sum(Decimal(row["cost_usd"]) for row in mine) == Decimal(cost)
        assert sum(int(row["calls"]) for row in mine) == 85
        part = found["purposes"] if dimension == "purpose" else found["spend"][dimension]["rows"]
        assert sum(Decimal(one["cost_usd"]) for one in part) == Decimal(cost)
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


def test_shadows_probes_and_estimates_are_told_apart(told: Month) -> None:
    assert "for nobody who asked" not in write("md").decode()
    told.calls(NOVEMBER + 6 * DAY, 4, told={"afterlaunch.arm": "shadow", "afterlaunch.gateway": "true"})
    told.calls(NOVEMBER + 6 * DAY, 2, told={"gen_ai.agent.name": "afterlaunch-probes"})
    estimate: dict[str, Any] = {"afterlaunch.gateway": "true", "afterlaunch.estimate.method": "learned"}
    estimate |= {"afterlaunch.estimate.input_tokens": 500, "afterlaunch.estimate.output_tokens": 50}
    told.calls(NOVEMBER + 7 * DAY, 1, told=estimate, usage=False)
    found = json.loads(write("json"))
    calls = {one["purpose"]: one["calls"] for one in found["purposes"]}
    assert (calls["shadow"], calls["probe"]) == (4, 2) and found["total"]["calls"] == sum(calls.values())
    assert found["total"]["calls_estimated"] == 1 and found["total"]["tokens_estimated"] == 550
    for form in ("md", "html"):
        page = write(form).decode()
        assert "4 calls of shadow copies" in page and "2 calls of golden prompts" in page
        assert "\N{ALMOST EQUAL TO} $" in page.replace("\\$", "$") and "told no usage" in page
    rows = list(csv.DictReader(io.StringIO(write("csv").decode())))
    assert {row["calls_estimated"] for row in rows if row["value"] == "gpt-4o-mini"} == {"1"}


def test_a_final_report_is_sealed_once_and_later_differences_are_told(told: Month) -> None:
    acme = told.client("acme")
    with clock.frozen(NOVEMBER + 31 * DAY):
        seal_final(clock.now())
        assert not Seal.objects.exists(), "spans may come late"
    with clock.frozen(NOVEMBER + 34 * DAY):
        seal_final(clock.now())
        seal_final(clock.now())
    row = Seal.objects.get()
    assert hashlib.sha256(bytes(row.document)).hexdigest() == row.digest
    entry = Entry.objects.get(index=row.entry)
    assert (entry.deed, json.loads(bytes(entry.body))["details"]["sha256"]) == ("report.sealed", row.digest)
    with pytest.raises(Conflict):
        seal(ENGINE, acme, "2026-11")
    with pytest.raises(NotAllowed):
        seal(Actor("person", "Eve", (Held(Role.OPERATOR, "other"),)), acme, "2026-11")
    with pytest.raises(Invalid):
        seal(ENGINE, acme, "2027-12")
    same = token_report(ENGINE, Asked("2026-11", "acme"), "UTC")
    assert same.seal is not None and same.seal.differs == ()
    assert f"SHA-256 {row.digest}" in documents.write(same, "md", "").decode().replace("\\", "")
    older = json.loads(bytes(row.document))
    Seal.objects.update(document=json.dumps(without(older, SINCE)).encode())  # sealed before samples were told
    same = token_report(ENGINE, Asked("2026-11", "acme"), "UTC")
    assert same.seal is not None and same.seal.differs == () and older != without(older, SINCE)
    told.calls(NOVEMBER + 8 * DAY, 9)
    later = token_report(ENGINE, Asked("2026-11", "acme"), "UTC")
    assert later.seal is not None and {"total", "spend", "drivers"} <= set(later.seal.differs)
    assert "anomalies" not in later.seal.differs
    assert json.loads(documents.write(later, "json", ""))["seal"]["same"] is False
    row.refresh_from_db()
    assert json.loads(bytes(row.document))["total"]["calls"] == 85
    assert token_report(ENGINE, Asked("2026-11", "acme", "desk"), "UTC").seal is None


def test_negative_money_has_its_sign_before_the_dollar() -> None:
    assert (exact(-660_000_000), cents(-660_000_000), usd("-0.66")) == ("−$0.66", "−$0.66", "−$0.66")
    assert (money(-660_000_000), exact(660_000_000)) == ("−$0.6600", "$0.66")


def test_a_month_with_sampled_traces_says_what_they_stand_for(told: Month) -> None:
    told.calls(NOVEMBER + 9 * DAY, 3, told={"sampling.ratio": "0.25"})
    report = token_report(ENGINE, Asked("2026-11", "acme"), "UTC")
    total = report.base.total
    assert total is not None and (total.calls, total.calls_extrapolated) == (88, 97)
    page = documents.write(report, "md", "").decode().replace("\\", "")
    assert "3 calls are of sampled traces, counted as they were sent." in page
    assert "all stand for about 97 calls and $" in page and "; no sum holds that." in page
    assert json.loads(documents.write(report, "json", ""))["total"]["calls_extrapolated"] == 97
