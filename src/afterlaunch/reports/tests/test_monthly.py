"""What a reader gets: figures that agree everywhere, each with its source, and nothing unknown shown as if known."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from afterlaunch.accounts.actions import create_token, first_administrator
from afterlaunch.ground.actors import Actor, automation
from afterlaunch.ground.errors import NotFound
from afterlaunch.reports import documents
from afterlaunch.reports.facts import Asked, monthly
from afterlaunch.reports.tests.conftest import LATER, NOVEMBER, Month
from afterlaunch.reports.words import percent

ADMIN = automation("test")
BASE = "https://watch.example"


def written(form: str, actor: Actor = ADMIN, **asked: Any) -> str:
    given = {"month": "2026-11", "client": "acme", **asked}
    return documents.write(monthly(actor, Asked(**given), "UTC"), form, BASE).decode(
        "latin1" if form == "pdf" else "utf-8"
    )


def document(**asked: Any) -> Any:
    return orjson.loads(written("json", **asked))


def api(path: str) -> Any:
    _, secret = create_token(ADMIN, "reader", "viewer", None)
    answer = Browser().get(path, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_spend_equals_what_the_api_says_to_the_last_digit_in_every_format(told: Month) -> None:
    report, html, text = document(), unescape(written("html")), written("md")
    for name in ("model", "agent", "tenant"):
        path = report["spend"][name]["link"].removeprefix(BASE)
        rows = {row.pop(name): row for row in api(path)["rows"]}
        mine = {row[name]: row for row in report["spend"][name]["rows"]}
        assert mine.keys() == rows.keys()
        for value, row in rows.items():
            assert {key: mine[value][key] for key in row} == row
            if row["calls"] == row["calls_with_unknown_cost"]:
                continue
            shown = f"${Decimal(row['cost_usd']):,f}"
            assert f">{shown}" in html and f"[\\{shown}" in text, shown
    assert sum(Decimal(row["cost_usd"]) for row in rows.values()) == Decimal(report["total"]["cost_usd"])


def test_every_figure_of_the_html_is_in_the_markdown_and_links_to_the_same_place(told: Month) -> None:
    html, text = written("html"), written("md")
    shown = re.findall(r'<td class="n"><a href="([^"]+)">([^<]+)</a>', html)
    assert len(shown) > 100
    for address, figure in shown:
        plain = unescape(figure).replace("$", "\\$").replace("<", "\\<").replace(">", "\\>")
        assert f"[{plain}]({unescape(address)})" in text


def test_a_month_that_is_over_is_written_the_same_way_twice(told: Month, later: Any) -> None:
    before = {form: written(form) for form in documents.TYPES}
    later.advance(timedelta(days=40))
    assert {form: written(form) for form in documents.TYPES} == before


def test_the_file_needs_nothing_else_and_runs_no_script(told: Month) -> None:
    html = written("html")
    assert "<script" not in html and "default-src 'none'" in html
    addresses = re.findall(r'(?:href|src|url)\s*[=(]\s*"?([^">)]+)', html)
    assert addresses and all(one.startswith((BASE + "/", "#")) for one in addresses)


def test_every_link_of_the_report_answers(told: Month) -> None:
    browser = Browser()
    browser.force_login(first_administrator())
    links = {unescape(one) for one in re.findall(r'href="' + BASE + r'([^"]+)"', written("html"))}
    assert len(links) > 20
    broken = {path: code for path in links if (code := browser.get(path).status_code) != 200}
    assert broken == {}


def test_no_number_of_the_summary_stands_without_its_source(told: Month) -> None:
    told.calls(NOVEMBER - timedelta(days=3), 2, told={"tenant.id": "bakery"})
    html = written("html")
    first_page = html[html.index('<div class="figures">') : html.index('<nav class="contents"')]
    bare = re.sub(r"<a [^>]*>.*?</a>|<code.*?</code>|\bOctober 2026\b|\d+ Nov \d\d:\d\d|[0-9] P[123]", "", first_page)
    lines = unescape(re.sub(r"<[^>]+>", "\n", bare)).splitlines()
    assert [line for line in lines if re.search(r"\d", line)] == []


@pytest.mark.parametrize(
    ("part", "of", "shown"),
    [(0, 0, "—"), (0, 7, "0 %"), (7, 7, "100 %"), (98219, 100_000, "98.2 %"), (99_949, 100_000, "99.949 %"),
     (9_995, 10_000, "99.950 %"), (998, 1_000, "99.80 %"), (1, 3, "33.3 %"),
     (999_999_999, 1_000_000_000, "above 99.999 %"),
     (1, 1_000_000_000, "below 0.001 %"), (1, 100_000, "0.001 %")],
)  # fmt: skip
def test_a_share_is_never_rounded_up_to_all_or_down_to_none(part: int, of: int, shown: str) -> None:
    assert percent(part, of) == shown


def test_minutes_without_traffic_are_named_and_never_count_as_up(told: Month) -> None:
    (place,) = document()["availability"]
    assert (place["calls"], place["unserved"]) == (161, 6)
    assert place["failed_by_fault"] == {"provider": 6}
    assert place["minutes_with_calls"] == 155 and place["minutes_down"] == 0
    names = [gap["name"] for gap in document()["missing_data"]]
    assert "days_without_telemetry" in names and "no_month_before" in names
    days = document()["days"]
    assert [day["calls"] for day in days[:3]] == [None, 50, 50] and len(days) == 30


def test_an_hour_after_the_last_call_a_verdict_is_not_believed_any_more(told: Month) -> None:
    (judge,) = document()["judges"]
    hours = {status: seconds / 3600 for status, seconds in judge["seconds"].items()}
    assert hours["breach"] == 1.0
    assert sum(hours.values()) == pytest.approx(24 * 29 - 9, abs=0.01)
    assert hours["ok"] < 12 < 600 < hours["not_assessed"]


def test_unknown_cost_is_beside_the_sum_and_never_zero(told: Month) -> None:
    (row,) = [row for row in document()["spend"]["model"]["rows"] if row["model"] == "house-model-7b"]
    assert row["calls_with_unknown_cost"] == 5
    html = written("html")
    assert '<code dir="auto">house-model-7b</code></td>' in html
    line = html[html.index("house-model-7b</code></td>") :].split("</tr>")[0]
    assert ">unknown</a>" in line and "$0.00" not in line
    assert "unknown_cost" in [one["name"] for one in document()["what_to_improve"]]


def test_tokens_that_no_call_told_are_unknown_and_not_zero(month: Month) -> None:
    month.system()
    silent = {"gen_ai.usage.input_tokens": "", "gen_ai.usage.output_tokens": ""}
    month.calls(NOVEMBER + timedelta(days=1), 3, model="gpt-4o-mini", told=silent)
    html = written("html")
    row = html[html.index("gpt-4o-mini</code></td>") :].split("</tr>")[0]
    assert re.findall(r">([^<>]+)</a>", row) == ["3", *["—"] * 5, "unknown", "3"]


def test_incidents_tell_their_clock_and_link_to_their_page(told: Month) -> None:
    (incident,) = document()["incidents"]
    assert incident["link"] == f"{BASE}/incidents/{incident['pk']}"
    (clock,) = incident["clocks"]
    assert clock["verdict"] == "met" and clock["actual_seconds"] == 720
    assert "Answers are refused" in written("html") and ">met</span>" in written("html")


def test_rollbacks_are_told_with_what_they_undid(told: Month) -> None:
    changes = document()["changes"]
    back = next(one for one in changes if one["kind"] == "rollback")
    assert back["parent"] in [one["pk"] for one in changes]
    assert "rollback_not_verified" in [one["name"] for one in document()["what_to_improve"]]


def test_a_client_sees_only_its_own(told: Month, viewer: Actor) -> None:
    mine = written("json", viewer, client=None)
    assert "only-globex" not in mine and "globex" not in mine and orjson.loads(mine)["client"] == "acme"
    assert "only-globex" in written("json", client=None)
    with pytest.raises(NotFound):
        written("json", viewer, client="globex")
    with pytest.raises(NotFound):
        written("json", viewer, system="shop", client=None)


def test_a_month_without_anything_says_so_instead_of_praising_it(month: Month) -> None:
    month.system()
    report = document()
    assert report["status"] == "not_assessed" and report["total"] is None
    assert "no_telemetry" in [gap["name"] for gap in report["missing_data"]]
    html = written("html")
    assert "$0.00" not in html and "100 %" not in html


def test_a_running_month_says_how_far_it_reaches(month: Month, later: Any) -> None:
    month.system()
    later.set(NOVEMBER + timedelta(days=10, hours=6))
    month.calls(NOVEMBER + timedelta(days=2), 3)
    report = document()
    assert not report["over"] and report["to"] == "2026-11-11T06:01:00+00:00"
    assert "month_not_over" in [gap["name"] for gap in report["missing_data"]] and len(report["days"]) == 11


def test_the_month_begins_at_midnight_of_the_client(month: Month) -> None:
    client = month.client("acme", "Europe/Berlin")
    month.system()
    month.calls(NOVEMBER - timedelta(minutes=30))  # 00:30 in Berlin
    month.calls(NOVEMBER + timedelta(days=30) - timedelta(minutes=30))  # 00:30 on 1 December in Berlin
    report = document(client=client.slug)
    assert report["time_zone"] == "Europe/Berlin" and report["total"]["calls"] == 1
    assert report["days"][0]["calls"] == 1
    assert document(client=client.slug, time_zone="UTC")["total"]["calls"] == 1
    assert document(client=client.slug, time_zone="UTC")["days"][0]["calls"] is None


def test_the_month_before_is_compared_with_when_there_was_one(told: Month) -> None:
    told.calls(NOVEMBER - timedelta(days=3), 2, told={"tenant.id": "bakery"})
    told.calls(NOVEMBER - timedelta(days=3), 1, model="retired-model")
    report = document()
    rows = {row["model"]: row for row in report["spend"]["model"]["rows"]}
    assert rows["gpt-4o-mini"]["month_before"]["calls"] == 2 and rows["claude-haiku-4-5"]["month_before"] is None
    assert rows["retired-model"]["calls"] == 0
    assert "month_before_not_whole" in [gap["name"] for gap in report["missing_data"]]


def test_without_a_month_the_last_one_that_is_over_is_told(told: Month) -> None:
    assert document(month=None)["month"] == "2026-11"


def test_more_incidents_cost_a_bounded_number_of_questions(told: Month) -> None:
    counted = []
    for more in (0, 10):
        for one in range(more):
            at = NOVEMBER + timedelta(days=20, hours=one)
            told.incident(told.system(), at, fingerprint=f"more-{one}")
        with CaptureQueriesContext(connection) as queries:
            monthly(ADMIN, Asked("2026-11", "acme"), "UTC")
        counted.append(len(queries))
    assert counted[1] - counted[0] <= 10 and counted[0] < 20


def test_forty_models_and_more_are_all_in_the_sum(month: Month) -> None:
    month.system()
    for one in range(130):
        month.calls(NOVEMBER + timedelta(days=1), 1, model=f"model-{one}", told={"tenant.id": f"tenant-{one}"})
    report, html = document(), written("html")
    assert len(report["spend"]["model"]["rows"]) == 130 and report["total"]["calls"] == 130
    assert "30 others" in html and LATER
