from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.alerts.models import Alert
from afterlaunch.budgets import duties, rules
from afterlaunch.budgets.actions import Values, end_budget, put_budget
from afterlaunch.budgets.counting import Telling, store, take
from afterlaunch.budgets.observing import extrapolated
from afterlaunch.budgets.preview import preview
from afterlaunch.budgets.standing import standings, window_now
from afterlaunch.contracts.budgets import Window
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.routes.models import Budget
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span

HOUSE = automation("house")
GATEWAY = Actor("token", "gateway", (Held(Role.INGEST, None),))
DAY = datetime(2026, 3, 10, tzinfo=UTC)
DAILY = Values("tokens", 1_000, "day", {"tenant": "*"}, "UTC")
WINDOW = Window(DAY, DAY + timedelta(days=1))


class Clock:
    def __init__(self) -> None:
        self.at = DAY + timedelta(hours=6)

    def go(self, **more: float) -> datetime:
        self.at += timedelta(**more)
        return self.at


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(clock, "now", lambda: made.at)
    return made


def tell(budget: Budget, used: int, counter: str = "tenant=t1", **more: int) -> None:
    now = clock.now()
    start = int(now.replace(hour=0, minute=0, second=0).timestamp())
    one: dict[str, Any] = {"budget": str(budget.pk), "counter": counter, "window_start": start, "used": used}
    assert take(GATEWAY, "g1", [one | {"at": now.timestamp()} | more]).taken == 1


def open_alerts() -> list[tuple[str, str]]:
    return list(Alert.objects.filter(resolved_at=None).order_by("pk").values_list("severity", "explanation"))


@pytest.mark.parametrize(
    ("used", "then", "hours", "found"),
    [
        (1_000, 0, 3, "reached"), (400, 100, 3, "reaches"), (100, 90, 3, "holds"), (400, 400, 3, "idle"),
        (400, 0, 0.1, "unknown"), (300, 400, 3, "idle"),
    ],
)  # fmt: skip
def test_a_forecast_has_a_name(used: int, then: int, hours: float, found: str) -> None:
    now = DAY + timedelta(hours=6)
    seen = rules.forecast(used, then, now - timedelta(hours=hours), 1_000, WINDOW, "day", now)
    assert seen.kind == found
    if found == "reaches":
        assert seen.at == now + timedelta(hours=6)


def test_thresholds_alert_grow_and_end_when_the_window_renews(desk: System, time: Clock) -> None:
    row = put_budget(HOUSE, desk.client, "tenants", replace(DAILY, forecast=False))
    for used, severity, said in ((400, None, ""), (500, "", "50 %"), (850, "P3", "80 %"), (1_000, "P2", "refused")):
        tell(row, used)
        duties.judge(time.go(minutes=1))
        duties.judge(time.at)
        found = open_alerts()
        assert [one for one, _ in found] == ([] if severity is None else [severity])
        assert all(said in text for _, text in found)
    time.go(days=1)
    duties.judge(time.at)
    assert open_alerts() == []


def test_a_new_window_that_is_near_its_limit_again_alerts_again(desk: System, time: Clock) -> None:
    row = put_budget(HOUSE, desk.client, "tenants", replace(DAILY, forecast=False))
    tell(row, 1_000)
    duties.judge(time.go(minutes=1))
    time.go(days=1)
    tell(row, 900)
    duties.judge(time.at)
    assert [severity for severity, _ in open_alerts()] == ["P3"]
    assert Alert.objects.count() == 2


def test_a_pace_that_reaches_the_limit_alerts_before_it_is_reached(desk: System, time: Clock) -> None:
    row = put_budget(HOUSE, desk.client, "tenants", replace(DAILY, thresholds=(100,)))
    for _ in range(8):
        tell(row, 100 + 50 * _)
        time.go(minutes=30)
    duties.judge(time.at)
    ((severity, said),) = open_alerts()
    assert severity == "P3" and "at this rate" in said and "Tuesday 10 March" in said


def test_raising_the_limit_or_ending_the_budget_ends_its_alerts(desk: System, time: Clock) -> None:
    row = put_budget(HOUSE, desk.client, "tenants", DAILY)
    tell(row, 1_000)
    duties.judge(time.go(minutes=1))
    assert open_alerts()
    put_budget(HOUSE, desk.client, "tenants", replace(DAILY, limit=10_000))
    duties.judge(time.at)
    assert not open_alerts()
    put_budget(HOUSE, desk.client, "tenants", DAILY)
    duties.judge(time.go(hours=1))
    end_budget(HOUSE, row)
    duties.judge(time.at)
    assert not open_alerts()


def test_observe_tells_what_would_have_been_refused(desk: System, time: Clock) -> None:
    row = put_budget(HOUSE, desk.client, "tenants", replace(DAILY, mode="observe"))
    tell(row, 1_200, refused=7)
    duties.judge(time.go(minutes=1))
    ((severity, said),) = open_alerts()
    assert severity == "P3" and "7 calls would have been refused" in said


def test_of_thousands_of_tenants_the_nearest_alert(desk: System, time: Clock) -> None:
    row = put_budget(HOUSE, desk.client, "tenants", DAILY)
    for number in range(30):
        tell(row, 1_000 + number, f"tenant=t{number:02d}")
    duties.judge(time.go(minutes=1))
    assert Alert.objects.filter(resolved_at=None).count() == 20


def spans_of(tenants: dict[str, int], at: datetime) -> bytes:
    spans = []
    for number, (tenant, tokens) in enumerate(tenants.items(), 1):
        words = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o"}
        counts = {"gen_ai.usage.input_tokens": tokens, "gen_ai.usage.output_tokens": 0}
        one = span({**words, **counts, "tenant.id": tenant}, number=number, trace=int(at.timestamp()) + number)
        one.start_time_unix_nano = clock.to_ns(at)
        one.end_time_unix_nano = clock.to_ns(at + timedelta(seconds=1))
        spans.append(one)
    return body(*spans)


@pytest.fixture
def telemetry(tmp_path: Path) -> Any:
    yield stores.open_store(tmp_path / "t.duckdb")
    stores.close_store()


def test_telemetry_feeds_a_budget_beside_the_gateway_and_the_pages_show_it(
    desk: System, time: Clock, telemetry: stores.Store
) -> None:
    now = clock.to_ns(time.at)
    for back in (0.5, 26):
        raw = spans_of({"t1": 900, "t2": 2_000}, time.at - timedelta(hours=back))
        telemetry.commit([normalise(raw, PROTOBUF, "acme", now).table])
    row = put_budget(HOUSE, desk.client, "seen", replace(DAILY, fed="telemetry", mode="soft"))
    duties.observe(time.at)
    assert [(one.counter, one.used) for one in standings(row, time.at)] == [("tenant=t2", 2_000), ("tenant=t1", 900)]
    duties.judge(time.at)
    assert any("Observed from telemetry" in said for _, said in open_alerts())
    found = preview(row.contract(), time.at)
    assert (found.calls, found.refused, found.windows) == (4, 2, 2)
    assert [(one.counter, one.windows, one.most) for one in found.over] == [("tenant=t2", 2, 2_000)]
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/budgets").content.decode()
    assert "tenant=t2" in page and "Observed" in page and "The limit is reached." in page
    page = browser.get(f"/budgets/{row.pk}", {"limit": "1500", "mode": "soft"}).content.decode()
    assert "A hard limit of 1,500 tokens would have refused <strong>2</strong> of 4 calls, in 2 windows" in page
    assert "<strong>Made</strong> <span>house</span>" in page
    assert "No counter holds" in browser.get(f"/budgets/{row.pk}", {"q": "nobody"}).content.decode()


def test_many_budgets_are_shown_in_pages_and_found(
    desk: System, time: Clock, django_assert_max_num_queries: Any
) -> None:
    made = [
        put_budget(HOUSE, desk.client, f"cap {number:02d}", replace(DAILY, scope={"agent": f"a{number}"}))
        for number in range(40)
    ]
    for number, row in enumerate(made):
        start = int(window_now(row, time.at).start.timestamp())
        told = Telling(row.pk, f"agent=a{number}", start, time.at.timestamp(), used=row.limit * number // 39)
        store("g1", [told], {row.pk: row})
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    with django_assert_max_num_queries(20):
        page = browser.get("/budgets").content.decode()
    assert "cap 39" in page and "cap 05" not in page and "1 of 2" in page
    assert "cap 05" in browser.get("/budgets", {"page": 2}).content.decode()
    found = browser.get("/budgets", {"q": "agent=a5 hard"}).content.decode()
    assert "cap 05" in found and "cap 39" not in found
    reached = browser.get("/budgets", {"state": "reached", "of": "acme"}).content.decode()
    assert "cap 39" in reached and "cap 38" not in reached
    assert "No budget fits" in browser.get("/budgets", {"q": "nobody"}).content.decode()


def test_forms_make_alter_and_end(desk: System, time: Clock) -> None:
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    assert "No budgets yet" in browser.get("/budgets").content.decode()
    form = {
        "client": "acme", "name": "tenants", "unit": "usd", "limit": "250", "window": "month", "scope": "tenant=*",
        "mode": "observe", "thresholds": "80, 100", "forecast": "1",
    }  # fmt: skip
    assert browser.post("/budgets", form).status_code == 302
    row = Budget.objects.get()
    assert (row.limit, row.mode, row.thresholds, row.zone) == (250 * 10**9, "observe", [80, 100], "UTC")
    browser.post(f"/budgets/{row.pk}", {"limit": "99.50", "mode": "hard", "thresholds": "100"})
    row.refresh_from_db()
    assert (row.limit, row.mode, row.scope, row.forecast) == (99_500_000_000, "hard", {"tenant": "*"}, False)
    page = browser.get(f"/budgets/{row.pk}").content.decode()
    assert "250 → 99.5" in page
    browser.post(f"/budgets/{row.pk}/end", {"reason": "over"})
    assert "Ended budgets" in browser.get("/budgets").content.decode()


def test_what_telemetry_does_not_tell_is_not_shown_as_zero(desk: System, time: Clock, telemetry: stores.Store) -> None:
    raw = spans_of({"t1": 900}, time.at - timedelta(minutes=30))
    telemetry.commit([normalise(raw, PROTOBUF, "acme", clock.to_ns(time.at)).table])
    row = put_budget(HOUSE, desk.client, "seen", replace(DAILY, fed="telemetry", mode="observe"))
    duties.observe(time.at)
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get(f"/budgets/{row.pk}").content.decode()
    assert "Observed from telemetry" in page and "Reserved" not in page and "ould be refused" not in page


def test_a_budget_counts_what_was_sent_and_tells_what_a_sample_stands_for(
    desk: System, time: Clock, telemetry: stores.Store
) -> None:
    raw = ExportTraceServiceRequest.FromString(spans_of({"t1": 900, "t2": 300}, time.at - timedelta(minutes=30)))
    raw.resource_spans[0].scope_spans[0].spans[0].trace_state = "ot=th:e"  # one of eight
    telemetry.commit([normalise(raw.SerializeToString(), PROTOBUF, "acme", clock.to_ns(time.at)).table])
    row = put_budget(HOUSE, desk.client, "seen", replace(DAILY, fed="telemetry", mode="observe"))
    duties.observe(time.at)
    assert [(one.counter, one.used) for one in standings(row, time.at)] == [("tenant=t1", 900), ("tenant=t2", 300)]
    assert extrapolated(row, "tenant=t1", time.at) == 7_200 and extrapolated(row, "tenant=t2", time.at) is None
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get(f"/budgets/{row.pk}").content.decode()
    assert "extrapolated, 7,200 tokens; the budget counts what was sent" in page and ">900<" in page
    assert "extrapolated" not in browser.get(f"/budgets/{row.pk}", {"counter": "tenant=t2"}).content.decode()


def test_one_budget_that_cannot_be_judged_holds_up_no_other(
    desk: System, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = put_budget(HOUSE, desk.client, "broken", replace(DAILY, forecast=False))
    second = put_budget(HOUSE, desk.client, "well", replace(DAILY, forecast=False))
    for row in (first, second):
        tell(row, 1_000)
    Budget.objects.filter(pk=first.pk).update(zone="Mars/Base")
    with pytest.raises(Exception, match="Mars"):
        duties.judge(time.go(minutes=1))
    assert len(open_alerts()) == 1
