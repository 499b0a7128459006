"""A bill against what telemetry settled: tokens first, then money, each reason told apart."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client as Browser

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.accounts.models import Client
from afterlaunch.alerts.actions import work
from afterlaunch.alerts.models import Alert
from afterlaunch.estate.models import Environment, System
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Role
from afterlaunch.ground.actors import Held as Held_
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.spend import billed
from afterlaunch.spend.billing import import_bill, lines_of, month_of
from afterlaunch.spend.bills import BillLine, read_bill
from afterlaunch.spend.held import held, take
from afterlaunch.spend.reconcile import Held, Settled, reconcile
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.tests.telling import PROTOBUF, body, span
from afterlaunch.verdicts.models import Verdict

DAY = date(2026, 10, 5)
WORTH = {("gpt-5", "input"): Decimal(1_250), ("gpt-5", "output"): Decimal(10_000)}
NANO = 10**9


def line(
    day: int = 0, tokens: int | None = None, usd: float | None = None, name: str = "input", kind: str = "usage"
) -> BillLine:
    nano = None if usd is None else int(Decimal(str(usd)) * NANO)
    return BillLine(DAY + timedelta(days=day), "", "gpt-5-2025-08-07", name, tokens, nano, kind)


def settled(
    day: int = 0, tokens: int = 1_000_000, nano: int = 1_250_000_000, calls: int = 10, unknown: int = 0
) -> Settled:
    told = {"input": tokens, "cache_read": 0, "cache_write": 0, "output": 0}
    return Settled(DAY + timedelta(days=day), "gpt-5", told, nano, calls, unknown)


def test_without_a_bill_nothing_is_assessed() -> None:
    found = reconcile([], [settled()], WORTH)
    assert (found.status, found.reason, found.billed_nano, found.settled_nano) == (
        "not_assessed",
        "no_bill",
        None,
        1_250_000_000,
    )


def test_equal_tokens_and_money_are_ok_whatever_the_days() -> None:
    found = reconcile([line(1, 1_000_000, 1.25)], [settled(0)], WORTH)
    assert (found.status, found.day_edges, found.unexplained_nano) == ("ok", 1_000_000, 0)


def test_equal_tokens_and_other_money_are_a_price() -> None:
    found = reconcile([line(0, 1_000_000, 1.5)], [settled()], WORTH)
    assert (found.status, found.reason) == ("breach", "money_outside_tolerance")
    assert found.unexplained == {"price": 250_000_000} and found.explained == {}


def test_other_tokens_are_missed_or_unbilled_calls() -> None:
    missed = reconcile([line(0, 1_200_000, 1.5)], [settled()], WORTH)
    assert (missed.status, missed.unexplained) == ("breach", {"missed_calls": 250_000_000})
    unbilled = reconcile([line(0, 800_000, 1.0)], [settled()], WORTH)
    assert unbilled.unexplained == {"unbilled_calls": -250_000_000}
    unknown = reconcile([line(0, 1_200_000, 1.5)], [settled(calls=10, unknown=2)], WORTH)
    assert unknown.explained == {"calls_of_unknown_cost": 250_000_000} and not unknown.unexplained


def test_fees_credits_and_tax_are_told_apart_and_explain_money() -> None:
    lines = [
        line(0, 1_000_000, 1.25),
        line(usd=0.1, kind="fee"),
        line(usd=-0.5, kind="credit"),
        line(usd=0.2, kind="tax"),
    ]
    found = reconcile(lines, [settled()], WORTH)
    assert found.explained == {"fee": 100_000_000, "credit": -500_000_000, "tax": 200_000_000}
    assert (found.status, found.unexplained, found.difference_nano) == ("ok", {}, -200_000_000)


@pytest.mark.parametrize("usd", [0.1, 1.2499, 1.3, 9.0])
@pytest.mark.parametrize("tokens", [None, 1, 999_999, 2_000_000])
def test_reasons_sum_to_the_difference(usd: float, tokens: int | None) -> None:
    found = reconcile([line(0, tokens, usd), line(usd=0.3, kind="fee")], [settled()], WORTH)
    assert sum(found.explained.values()) + sum(found.unexplained.values()) == found.difference_nano


OPENAI_USAGE = {
    "data": [
        {
            "start_time": 1_791_158_400,
            "results": [
                {
                    "input_tokens": 100,
                    "input_cached_tokens": 40,
                    "output_tokens": 7,
                    "model": "gpt-5",
                    "project_id": "p",
                }
            ],
        }
    ]
}
ANTHROPIC_COSTS = {
    "data": [
        {
            "starting_at": "2026-10-05T00:00:00Z",
            "results": [
                {
                    "amount": "125.5",
                    "currency": "USD",
                    "cost_type": "tokens",
                    "token_type": "output_tokens",
                    "model": "m",
                },
                {"amount": "10", "currency": "USD", "cost_type": "web_search", "token_type": None, "model": None},
            ],
        }
    ]
}


def test_exports_of_providers_are_read() -> None:
    lines = read_bill(orjson.dumps(OPENAI_USAGE).decode(), "openai-usage")
    assert [(one.token_class, one.tokens, one.day) for one in lines] == [
        ("input", 60, DAY), ("cache_read", 40, DAY), ("output", 7, DAY),
    ]  # fmt: skip
    cost = {
        "start_time": 1_791_158_400,
        "results": [{"amount": {"value": 0.06, "currency": "usd"}, "line_item": "gpt-5, input"}],
    }
    (one,) = read_bill(orjson.dumps({"data": [cost]}).decode(), "openai-costs")
    assert (one.model, one.token_class, one.nano, one.kind) == ("gpt-5", "input", 60_000_000, "usage")
    tokens, search = read_bill(orjson.dumps(ANTHROPIC_COSTS).decode(), "anthropic-costs")
    assert (tokens.nano, tokens.token_class, search.nano, search.kind) == (1_255_000_000, "output", 100_000_000, "fee")
    usage = {
        "uncached_input_tokens": 5,
        "cache_creation": {"ephemeral_1h_input_tokens": 2, "ephemeral_5m_input_tokens": 1},
    }
    usage |= {"cache_read_input_tokens": 3, "output_tokens": 4, "model": "m", "workspace_id": None}
    told = {"data": [{"starting_at": "2026-10-05T00:00:00Z", "results": [usage]}]}
    read = read_bill(orjson.dumps(told).decode(), "anthropic-usage")
    assert {one.token_class: one.tokens for one in read} == {"input": 5, "cache_read": 3, "cache_write": 3, "output": 4}


def test_a_csv_is_read_by_a_mapping() -> None:
    text = 'when,what,cost\n2026-10-05,gpt-5,"1,000.50"\n'
    (one,) = read_bill(text, "csv", {"day": "when", "model": "what", "amount": "cost"})
    assert (one.nano, one.tokens, one.day) == (1_000_500_000_000, None, DAY)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("pdf", "x"),
        ("csv", "a,b\n1,2\n"),
        ("csv", "day,amount\nyesterday,1\n"),
        ("csv", "day,amount,currency\n2026-10-05,1,EUR\n"),
        ("csv", "day,amount\n"),
        ("openai-usage", "{}"),
        ("openai-usage", "["),
        ("anthropic-costs", '{"data": [{"starting_at": "2026-10-05", "results": [{"amount": "x"}]}]}'),
    ],
)
def test_what_is_no_bill_is_refused(form: str, text: str) -> None:
    with pytest.raises(Invalid):
        read_bill(text, form)


@pytest.mark.django_db
def test_a_month_is_reconciled_on_the_page_and_over_the_api(tmp_path: Path) -> None:
    store = stores.open_store(tmp_path / "t.duckdb")
    now, told = clock.now(), {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
    one = span(
        {
            **told,
            "gen_ai.response.model": "gpt-5",
            "gen_ai.usage.input_tokens": 1_000_000,
            "gen_ai.usage.output_tokens": 0,
        }
    )
    one.start_time_unix_nano = clock.to_ns(now) - NANO
    one.end_time_unix_nano = clock.to_ns(now)
    store.commit([normalise(body(one), PROTOBUF, "acme", 0).table])
    acme = Client.objects.create(slug="acme", name="Acme", created_at=now)
    operator, month = Actor("person", "Ada", (Held_(Role.OPERATOR, "acme"),)), f"{now:%Y-%m}"
    (before,) = month_of(operator, acme, month)
    assert (before.provider, before.outcome.status) == ("openai", "not_assessed")
    day = (now - timedelta(seconds=1)).date()
    text = f"day,model,class,tokens,amount\n{day},gpt-5,input,1000000,1.25\n"
    bill = import_bill(operator, acme, "openai", "csv", text)
    assert import_bill(operator, acme, "openai", "csv", text).pk == bill.pk
    assert [one.outcome.status for one in month_of(operator, acme, f"{day:%Y-%m}")] == ["ok"]
    import_bill(operator, acme, "openai", "csv", text.replace("1.25", "2"))
    assert len(lines_of(acme, "openai", day, day)) == 1, "a later bill supersedes the day"
    browser = Browser()
    browser.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/spend/reconciliation/acme", {"month": f"{day:%Y-%m}"}).content.decode()
    assert "Unexplained: Price" in page and "$0.75" in page
    found: Any = browser.get("/api/v1/clients/acme/reconciliation", {"month": f"{day:%Y-%m}"}).json()["rows"][0]
    assert (found["status"], found["unexplained_usd"]) == ("breach", {"price": "0.75"})
    with pytest.raises(NotAllowed):
        import_bill(Actor("person", "Bob", (Held_(Role.OPERATOR, "other"),)), acme, "openai", "csv", text)
    stores.close_store()


HELD = Held(
    "gpt-5",
    attempts=10,
    reserved_tokens=1_100_000,
    reserved_nano=1_400_000_000,
    settled_tokens=900_000,
    settled_nano=1_150_000_000,
    expired=1,
    expired_tokens=100_000,
    expired_nano=125_000_000,
)


def test_the_reserved_side_is_told_beside_what_was_settled() -> None:
    found = reconcile([line(0, 1_000_000, 1.25)], [settled()], WORTH, held=[HELD])
    assert found.held is not None and found.status == "ok"
    assert (found.held.error_tokens, found.held.error_nano) == (100_000, 125_000_000)
    assert (found.around_tokens, found.around_calls) == (100_000, 0)
    without = reconcile([line(0, 1_000_000, 1.25)], [settled()], WORTH)
    assert without.held is None and without.around_tokens is None, "no ledger is not nothing reserved"


def test_missing_tokens_are_put_down_to_what_can_hold_them() -> None:
    expired = reconcile([line(0, 1_150_000, 1.4375)], [settled()], WORTH, held=[HELD])
    assert (expired.status, expired.explained) == ("ok", {"expired_reservations": 187_500_000})
    too_much = reconcile([line(0, 1_250_000, 1.5625)], [settled()], WORTH, held=[HELD])
    assert (too_much.status, too_much.unexplained) == ("breach", {"missed_calls": 312_500_000})
    cancelled = Settled(DAY, "gpt-5", settled().tokens, 1_250_000_000, 10, 0, estimated=60_000)
    replaced = reconcile([line(0, 950_000, 1.1875)], [cancelled], WORTH)
    assert (replaced.status, replaced.explained) == ("ok", {"estimated_calls": -62_500_000})


def told(day: date, at: int, **more: Any) -> dict[str, Any]:
    amounts = {name: getattr(HELD, name) for name in vars(HELD) if name != "model"}
    where = {"day": day.isoformat(), "client": "acme", "provider": "openai", "model": "gpt-5"}
    return where | amounts | {"at": at} | more


@pytest.mark.django_db
def test_a_gateway_tells_its_days_once() -> None:
    gateway = Actor("token", "gw", (Held_(Role.INGEST, None),))
    taken = take(gateway, "g", [told(DAY, 5), {"day": "x"}, told(DAY, 4)])
    assert taken == (1, [(1, "client is text of at most 60 characters")])
    assert take(gateway, "g", [told(DAY, 5)]) == (0, [])
    assert take(gateway, "g", [told(DAY, 6, attempts=11)]) == (1, [])
    take(gateway, "h", [told(DAY, 1), told(DAY - timedelta(days=1), 1)])
    take(gateway, "h/a", [told(DAY, 1)])  # as it names itself now: the same ledger, counted once
    (one,) = held("acme", "openai", DAY, DAY)
    assert (one.attempts, one.settled_tokens) == (21, 1_800_000)
    assert held("umbrella", "openai", DAY, DAY) == []
    with pytest.raises(NotAllowed):
        take(Actor("token", "mine", (Held_(Role.INGEST, "acme"),)), "g", [told(DAY, 9)])


@pytest.mark.django_db
def test_a_bill_that_differs_opens_an_incident_and_a_better_one_ends_the_verdict(tmp_path: Path) -> None:
    store, start = stores.open_store(tmp_path / "t.duckdb"), datetime(2026, 11, 3, 12, tzinfo=UTC)
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-5"}
    one = span({**attributes, "gen_ai.usage.input_tokens": 1_000_000, "gen_ai.usage.output_tokens": 0})
    one.start_time_unix_nano, one.end_time_unix_nano = clock.to_ns(start), clock.to_ns(start) + NANO
    store.commit([normalise(body(one), PROTOBUF, "acme", 0).table])
    now = start + timedelta(days=3)
    with clock.frozen(now):
        acme = Client.objects.create(slug="acme", name="Acme", created_at=start)
        system = System.objects.create(client=acme, key="desk", name="Desk", first_seen_at=start)
        Environment.objects.create(system=system, name="prod")
        operator = Actor("person", "Ada", (Held_(Role.OPERATOR, "acme"),))
        text = "day,model,class,tokens,amount\n2026-11-03,gpt-5,input,1000000,2\n2026-11-06,gpt-5,input,5,9\n"
        import_bill(operator, acme, "openai", "csv", text)
        billed.judge(now)
        (verdict,) = Verdict.objects.filter(judge="spend.reconciliation")
        assert (verdict.status, verdict.reason) == ("breach", "money_outside_tolerance")
        assert (verdict.system, verdict.provider) == ("desk", "openai")
        assert "$2.00 billed, $1.25 settled; unexplained price $0.7500" in verdict.explanation
        assert verdict.evidence["unexplained_price_nano"] == 750_000_000, "the running day waits"
        work(now + timedelta(minutes=3), {})
        alert = Alert.objects.get(name="spend.reconciliation")
        assert alert.incident is not None and alert.severity == "P3"
        import_bill(operator, acme, "openai", "csv", text.replace(",2\n", ",1.25\n"))
        billed.judge(now + timedelta(minutes=10))
        verdict.refresh_from_db()
        assert verdict.status == "ok"
        billed.judge(now + timedelta(days=90))
        verdict.refresh_from_db()
        assert (verdict.status, verdict.reason) == ("not_assessed", "no_bill")
    stores.close_store()
