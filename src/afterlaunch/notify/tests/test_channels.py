from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import orjson
import pytest
import requests
from django.test import Client as Browser

from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Invalid
from afterlaunch.notify.apprise import schemes
from afterlaunch.notify.apprise.sender import judge
from afterlaunch.notify.channels import announce, coming_from
from afterlaunch.notify.duties import send_pages
from afterlaunch.notify.kinds import Message, kind_named, kinds
from afterlaunch.notify.models import Channel, Page, Thread
from afterlaunch.notify.pagerduty.events import BODY, dedup_key, event, topic_of
from afterlaunch.notify.sealed import unseal
from afterlaunch.notify.teams.card import document
from afterlaunch.notify.tests.conftest import House
from afterlaunch.notify.tests.fakes import FakeProvider, provider

OPEN = {"status": "open", "acknowledged_by": "", "contained": False, "system": "helpdesk", "actor": "engine"}
TAKEN = {**OPEN, "acknowledged_by": "Ada", "actor": "Ada"}
OVER = {**TAKEN, "status": "resolved"}


def bodies(fake: FakeProvider) -> list[tuple[str, dict[str, Any]]]:
    return [(got.path.rpartition("/")[2], json.loads(got.body)) for got in fake.got]


def buttons(body: dict[str, Any]) -> list[str]:
    blocks = body["attachments"][0]["blocks"]
    return [one["action_id"] for block in blocks if block["type"] == "actions" for one in block["elements"]]


def test_slack_gets_one_message_that_is_edited_with_the_news_in_its_thread(
    house: House, loopback: None, fixed: FixedClock
) -> None:
    with provider(200) as fake:
        fake.body = '{"ok": true, "channel": "C0123456789", "ts": "1.5"}'
        bot = house.channel(
            "slack_bot", "C0123456789", api=fake.url, secrets={"token": "xoxb-1", "signing_secret": "s"}
        )
        house.tell(bot, occurrence="n1", data=OPEN)
        house.tell(bot, occurrence="n2", type="incident.acknowledged", data=TAKEN, said="Acknowledged by Ada & Bob.")
        send_pages(fixed.now())
        house.tell(bot, occurrence="n3", type="incident.resolved", data=OVER, said="Resolved by Ada.")
        send_pages(fixed.now())
        asked = bodies(fake)
        assert {got.headers["authorization"] for got in fake.got} == {"Bearer xoxb-1"}
    assert [method for method, _ in asked] == [
        "chat.postMessage", "chat.update", "chat.postMessage", "chat.update", "chat.postMessage",
    ]  # fmt: skip
    first, taken, reply, over, _ = [body for _, body in asked]
    assert first["channel"] == "C0123456789" and first["text"] == "[P1] Trouble 1"
    assert buttons(first) == ["acknowledge", "contain", "resolve", "note"]
    assert buttons(taken) == ["contain", "resolve", "note"] and buttons(over) == []
    assert "Acknowledged by Ada." in json.dumps(taken) and taken["ts"] == "1.5"
    assert reply["thread_ts"] == "1.5" and reply["text"] == "Acknowledged by Ada &amp; Bob."
    assert set(Page.objects.values_list("state", flat=True)) == {"delivered"}
    assert Thread.objects.get().place == {"channel": "C0123456789", "ts": "1.5"}


def test_a_200_that_says_ok_false_is_a_failure(house: House, loopback: None, fixed: FixedClock) -> None:
    with provider(200) as fake:
        bot = house.channel(
            "slack_bot", "C0123456789", api=fake.url, secrets={"token": "xoxb-1", "signing_secret": "s"}
        )
        fake.body = '{"ok": false, "error": "ratelimited"}'
        house.tell(bot, 1, data=OPEN)
        send_pages(fixed.now())
        assert Page.objects.get().state == "pending"
        fake.body = '{"ok": false, "error": "channel_not_found"}'
        send_pages(fixed.advance(5))
        page = Page.objects.get()
        assert page.state == "failed" and "channel_not_found" in page.error
        fake.body = "<html>"
        house.tell(bot, 2, data=OPEN)
        send_pages(fixed.advance(60))
        assert Page.objects.get(topic="incident/2").state == "failed"


def test_a_message_that_somebody_deleted_is_posted_anew(house: House, loopback: None, fixed: FixedClock) -> None:
    with provider(200) as fake:
        fake.body = '{"ok": true, "channel": "C0123456789", "ts": "1.5"}'
        bot = house.channel("slack_bot", "C0123456789", api=fake.url, secrets={"token": "x", "signing_secret": "s"})
        house.tell(bot, data=OPEN)
        send_pages(fixed.now())
        fake.body = '{"ok": false, "error": "message_not_found"}'
        house.tell(bot, occurrence="n2", type="incident.acknowledged", data=TAKEN, said="Taken.")
        send_pages(fixed.now())
        assert [method for method, _ in bodies(fake)][-2:] == ["chat.update", "chat.postMessage"]


def test_foreign_text_in_slack_calls_nobody(house: House, loopback: None, fixed: FixedClock) -> None:
    with provider(200) as fake:
        fake.body = '{"ok": true, "ts": "1"}'
        bot = house.channel("slack_bot", "C0123456789", api=fake.url, secrets={"token": "x", "signing_secret": "s"})
        house.tell(bot, data=OPEN, title="<!channel> & <@U1>", lines=["<!here>"])
        send_pages(fixed.now())
        ((_, body),) = bodies(fake)
    assert "<!" not in json.dumps(body) and "<@" not in json.dumps(body)


def test_pagerduty_follows_the_incident_under_one_key(house: House, loopback: None, fixed: FixedClock) -> None:
    with provider(202) as fake:
        fake.body = '{"status": "success", "message": "Event processed", "dedup_key": "k"}'
        pager = house.channel("pagerduty", fake.url, secrets={"routing_key": "R" * 32})
        house.tell(pager, occurrence="n1", data=OPEN)
        house.tell(pager, occurrence="n2", type="incident.acknowledged", data=TAKEN)
        house.tell(pager, occurrence="n3", type="incident.resolved", data=OVER)
        for _ in range(3):
            send_pages(fixed.now())
        told = [body for _, body in bodies(fake)]
    assert [one["event_action"] for one in told] == ["trigger", "acknowledge", "resolve"]
    assert len({one["dedup_key"] for one in told}) == 1 and told[0]["routing_key"] == "R" * 32
    assert told[0]["payload"]["severity"] == "critical" and told[0]["payload"]["source"] == "helpdesk"
    key = told[0]["dedup_key"]
    assert topic_of(key, "http://127.0.0.1:8700") == "incident/1" and topic_of(key, "https://elsewhere") is None


@pytest.mark.parametrize(("answer", "body", "state"), [
    (400, "", "failed"), (408, "", "failed"), (429, "", "pending"), (500, "", "pending"),
    (202, '{"status": "invalid event"}', "failed"),
])  # fmt: skip
def test_pagerduty_is_asked_again_only_where_it_wants_to_be(
    house: House, loopback: None, fixed: FixedClock, answer: int, body: str, state: str
) -> None:
    with provider(answer) as fake:
        fake.body = body
        house.tell(house.channel("pagerduty", fake.url, secrets={"routing_key": "k"}), data=OPEN)
        send_pages(fixed.now())
    assert Page.objects.get().state == state


def message(**more: Any) -> Message:
    told = {"key": "k", "purpose": "page", "to": "", "secret": "", "title": "T", "lines": ["l"], "topic": "incident/1"}
    return Message(**{**told, **more})


def test_pagerduty_gets_no_more_than_it_takes() -> None:
    told = event(message(title="ä" * 3000, type="incident.opened", lines=["x" * BODY]), "https://a.example")
    assert len(told["payload"]["summary"]) == 1024 and len(orjson.dumps(told)) < BODY
    assert "notice" in told["payload"]["custom_details"]
    assert dedup_key("incident/1", "https://a.example") != dedup_key("incident/1", "https://b.example")


def test_a_card_for_teams_holds_foreign_text_as_text() -> None:
    card = document(
        message(title="[x](https://evil) <at>all</at>", acknowledge_url="https://a/ack/1", url="https://a/1")
    )
    content = card["attachments"][0]["content"]
    assert content["body"][0]["text"] == r"\[x\](https://evil) \<at\>all\</at\>"
    assert [one["title"] for one in content["actions"]] == ["Acknowledge", "Details"]


def test_every_kind_says_what_it_is() -> None:
    for kind in kinds().values():
        assert kind.label and kind.example and (kind.for_people or kind.for_channels)
        with pytest.raises(Invalid):
            kind.check("file:///etc/passwd")


SAMPLES = {
    "twilio": "twilio://AC" + "a" * 32 + ":" + "b" * 32 + "@15551230000/15557654321",
    "vonage": "vonage://" + "a" * 8 + ":" + "b" * 16 + "@15551230000/15557654321",
    "nexmo": "nexmo://" + "a" * 8 + ":" + "b" * 16 + "@15551230000/15557654321",
    "msgbird": "msgbird://" + "a" * 25 + "/15551230000/15557654321",
    "plivo": "plivo://" + "a" * 25 + "@" + "b" * 30 + "/15551230000/15557654321",
    "sinch": "sinch://" + "a" * 32 + ":" + "b" * 32 + "@15551230000/15557654321",
    "clickatell": "clickatell://" + "a" * 32 + "/15557654321",
    "bulksms": "bulksms://user:word@15557654321",
    "clicksend": "clicksend://user:word@15557654321",
    "d7sms": "d7sms://" + "a" * 32 + "@15557654321",
    "seven": "seven://" + "a" * 32 + "/15557654321",
    "pover": "pover://" + "u" * 30 + "@" + "t" * 30,
    "tgram": "tgram://123456789:" + "a" * 35 + "/12345678",
    "threema": "threema://*THEGWID@secret/15557654321",
    "sns": "sns://AKIAIOSFODNN7EXAMPLE/" + "a" * 40 + "/us-east-1/15557654321",
}


@pytest.mark.parametrize("scheme", sorted(schemes.HOSTS))
def test_a_service_of_apprise_calls_its_own_host_and_follows_nothing(scheme: str, loopback: None) -> None:
    """Whatever the address says besides."""
    asked: list[tuple[str, bool]] = []

    def caught(method: str, url: str, **more: Any) -> Any:
        asked.append((urlsplit(url).hostname or "", bool(more.get("allow_redirects", True))))
        raise requests.ConnectionError("no network here")

    kind = kind_named("apprise")
    address = kind.check(SAMPLES[scheme])
    with patch("requests.api.request", caught), patch("requests.request", caught):
        outcome = kind.send(message(to=address))
    assert outcome.result == "temporary" and asked, outcome
    for host, follows in asked:
        right = schemes.HOSTS[scheme]
        assert host.endswith(right) if right.startswith(".") else host == right
        assert not follows


@pytest.mark.parametrize("address", [
    "json://169.254.169.254/latest", "mailto://user:x@10.0.0.1", "xml://localhost", "ntfy://127.0.0.1/topic",
    "form://[::1]/x", "dbus://", "syslog://", "file:///etc/passwd", "twilio", "", "schan://x",
    SAMPLES["twilio"] + "?verify=no", SAMPLES["twilio"] + "?redirect=yes", SAMPLES["twilio"] + "?rto=900",
    SAMPLES["sinch"] + "?region=evil.example/",
])  # fmt: skip
def test_apprise_reaches_no_private_address_and_keeps_its_guards(address: str) -> None:
    with pytest.raises(Invalid):
        kind_named("apprise").check(address)


def test_what_apprise_says_is_judged() -> None:
    assert judge(["Failed to send Twilio notification to +1: Unauthorized, error=401."]).result == "permanent"
    assert judge(["Failed: error=429."]).result == "temporary"
    assert judge(["A Connection error occurred"]).result == "temporary" and judge([]).result == "temporary"


def test_a_call_is_voice_and_a_text_message_is_short() -> None:
    kind = kind_named("apprise")
    assert kind.medium(SAMPLES["twilio"]) == "sms" and kind.medium(SAMPLES["twilio"] + "?method=call") == "voice"
    assert kind.medium(SAMPLES["tgram"]) == "chat"


def test_channels_hear_what_they_asked_for(house: House, fixed: FixedClock) -> None:
    every = house.channel("webhook", "https://example.com/a", "every")
    some = house.channel("webhook", "https://example.com/b", "some")
    some.types, some.severities, some.system = ["incident."], ["P1"], "helpdesk"
    some.save()
    from django.db import transaction

    with transaction.atomic():
        announce("acme", house.notice(1, system_key="helpdesk"), fixed.now())
        announce("acme", house.notice(2, system_key="other"), fixed.now())
        announce("acme", house.notice(3, severity="P3", system_key="helpdesk"), fixed.now())
        announce("acme", house.notice(4, type="slo.burn_started", system_key="helpdesk"), fixed.now())
        with coming_from([every.pk]):
            announce("acme", house.notice(5, system_key="helpdesk"), fixed.now())
        announce("elsewhere", house.notice(6), fixed.now())
    assert [page.topic for page in Page.objects.filter(channel=every)] == [f"incident/{n}" for n in (1, 2, 3, 4)]
    assert [page.topic for page in Page.objects.filter(channel=some)] == ["incident/1", "incident/5"]


def test_an_administrator_makes_tests_edits_and_removes_a_channel(house: House, fixed: FixedClock) -> None:
    ada = house.person("ada", role="admin")
    browser = Browser()
    browser.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    form = {"client": "acme", "name": "team", "kind": "email", "address": "team@example.test", "type": ["incident."]}
    assert browser.post("/settings/channels", form).status_code == 302
    row = Channel.objects.get()
    assert row.types == ["incident."]
    page = browser.get(f"/settings/channels?edit={row.pk}").content.decode()
    assert 'value="incident.opened" checked' in page and 'value="review.due" checked' not in page
    assert browser.post(f"/settings/channels/{row.pk}/test").status_code == 302
    assert Page.objects.get().purpose == "test"
    assert "Afterlaunch test message to team" in browser.get("/settings/deliveries").content.decode()
    browser.post(f"/settings/channels/{row.pk}/remove")
    assert list(Page.objects.values_list("state", flat=True)) == ["withdrawn"]
    assert browser.post("/settings/channels", {**form, "type": ["nonsense"]}).status_code == 400


def test_a_secret_is_sealed_kept_when_left_out_and_never_shown(house: House, fixed: FixedClock, loopback: None) -> None:
    ada = house.person("ada", role="admin")
    browser = Browser()
    browser.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    form = {"client": "acme", "name": "pager", "kind": "pagerduty", "address": "http://127.0.0.1:9/v2/enqueue"}
    assert browser.post("/settings/channels", form).status_code == 400, "the key is missing"
    browser.post("/settings/channels", {**form, "field-routing_key": "R0UT1NG"})
    browser.post("/settings/channels", {**form, "field-webhook_secret": "H00K"})
    row = Channel.objects.get()
    assert "R0UT1NG" not in row.secrets and unseal(row.secrets)["routing_key"] == "R0UT1NG"
    shown = browser.get(f"/settings/channels?edit={row.pk}").content.decode()
    assert "R0UT1NG" not in shown and "H00K" not in shown
