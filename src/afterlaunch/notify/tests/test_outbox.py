from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from afterlaunch.ground.clock import FixedClock
from afterlaunch.notify.duties import send_pages
from afterlaunch.notify.models import Channel, ContactMethod, Page
from afterlaunch.notify.outbox import report, use_link, withdraw
from afterlaunch.notify.rules import Outcome
from afterlaunch.notify.sending import claim, settle
from afterlaunch.notify.tests.conftest import AT, House
from afterlaunch.notify.tests.fakes import FakeMail, provider
from afterlaunch.notify.webhook.signing import verify


def states() -> list[str]:
    return list(Page.objects.order_by("pk").values_list("state", flat=True))


def test_three_incidents_at_once_are_one_letter_with_a_link_for_each(
    house: House, mail: FakeMail, fixed: FixedClock
) -> None:
    ada = house.person("ada")
    for number, severity in ((1, "P2"), (2, "P1"), (3, "P3")):
        house.page(ada, number, severity=severity)
    send_pages(fixed.now())
    (letter,) = mail.mails
    text = str(letter.get_payload())
    assert letter["Subject"] == "[P1] Trouble 2 (and 2 more)"
    assert text.count("/ack/") == 3 and "[P3] Trouble 3" in text
    assert states() == ["accepted"] * 3


def test_the_same_alert_waiting_twice_is_told_once(house: House, mail: FakeMail, fixed: FixedClock) -> None:
    ada = house.person("ada")
    house.page(ada, 1, "s0")
    house.page(ada, 1, "s1")
    send_pages(fixed.now())
    (letter,) = mail.mails
    assert letter["Subject"] == "[P1] Trouble 1" and str(letter.get_payload()).count("/ack/") == 1
    assert states() == ["accepted", "accepted"]


def test_a_second_letter_within_a_minute_waits_and_takes_the_rest_with_it(
    house: House, mail: FakeMail, fixed: FixedClock
) -> None:
    ada = house.person("ada")
    house.page(ada, 1)
    send_pages(fixed.now())
    for number in (2, 3, 4):
        fixed.advance(5)
        house.page(ada, number, severity="P2")
        send_pages(fixed.now())
    assert len(mail.mails) == 1 and states()[1:] == ["pending"] * 3
    assert Page.objects.get(topic="incident/4").held.startswith("at most 1 in 1 min")
    send_pages(fixed.advance(45))
    assert mail.mails[1]["Subject"] == "[P2] Trouble 2 (and 2 more)" and set(states()) == {"accepted"}


def test_after_an_outage_one_letter_tells_what_piled_up_with_its_times(
    house: House, mail: FakeMail, fixed: FixedClock
) -> None:
    ada = house.person("ada")
    for number in range(1, 5):
        house.page(ada, number)
        fixed.advance(600)
    send_pages(fixed.now())
    (letter,) = mail.mails
    text = str(letter.get_payload())
    assert all(f"Decided at 2026-03-03 02:{minute} UTC, sent late." in text for minute in ("00", "10", "20", "30"))


def test_a_letter_is_the_same_when_it_is_tried_again(
    house: House, mail: FakeMail, fixed: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = house.person("ada")
    mail.refuse = "451 later"
    for number in (1, 2):
        house.page(ada, number)
    send_pages(fixed.now())
    mail.refuse = ""
    house.page(ada, 3)
    send_pages(fixed.advance(5))
    subjects = sorted(str(letter["Subject"]) for letter in mail.mails)
    assert subjects[0].endswith("(and 1 more)") and "Trouble 3" not in subjects[0]
    send_pages(fixed.advance(60))
    assert set(states()) == {"accepted"} and len(mail.mails) == 2


@pytest.mark.parametrize("answer", [302, 400, 404, 410])
def test_every_page_of_a_refused_message_goes_the_next_way_at_once(
    house: House, mail: FakeMail, fixed: FixedClock, answer: int
) -> None:
    with provider(answer) as fake:
        ada = house.person("ada", "slack", fake.url)
        house.contact(ada, "email", "ada@example.test", 1)
        house.page(ada, 1)
        house.page(ada, 2)
        send_pages(fixed.now())
        assert len(fake.got) == 1
    (letter,) = mail.mails
    assert letter["Subject"] == "[P1] Trouble 1 (and 1 more)"
    assert sorted(states()) == ["accepted", "accepted", "failed", "failed"]


@pytest.mark.parametrize("answer", [408, 425, 429, 500, 503, "close"])
def test_a_provider_that_fails_is_tried_after_5_15_30_60_seconds_and_then_left(
    house: House, mail: FakeMail, fixed: FixedClock, answer: int | str
) -> None:
    with provider(answer) as fake:
        ada = house.person("ada", "slack", fake.url)
        house.contact(ada, "email", "ada@example.test", 1)
        house.page(ada)
        for tries, wait in enumerate((5, 15, 30, 60), 1):
            send_pages(fixed.now())
            send_pages(fixed.advance(wait - 1))
            assert len(fake.got) == tries and not mail.mails
            fixed.advance(1)
        send_pages(fixed.now())
        assert len(fake.got) == 5 and len(mail.mails) == 1


def test_a_provider_that_hangs_holds_up_nobody_else(
    house: House, mail: FakeMail, fixed: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afterlaunch.notify.slack.sender.TOTAL", 0.5)
    with provider("hang") as fake:
        bob = house.person("bob", "slack", fake.url)
        house.page(bob)
        house.page(house.person("ada"), 2)
        send_pages(fixed.now())
        assert len(mail.mails) == 1
        page = Page.objects.get(person=bob)
        assert page.state == "pending" and ("no answer within" in page.error or "timed out" in page.error)


def test_retry_after_is_honoured_up_to_a_minute(house: House, loopback: None, fixed: FixedClock) -> None:
    with provider(429, 429, 200, Retry_After="40") as fake:
        house.page(house.person("ada", "slack", fake.url))
        send_pages(fixed.now())
        assert Page.objects.get().due_at == fixed.now() + timedelta(seconds=40)
        fake.extra["Retry-After"] = "4000"
        send_pages(fixed.advance(40))
        assert Page.objects.get().due_at == fixed.now() + timedelta(seconds=60)
        send_pages(fixed.advance(60))
        assert states() == ["accepted"]


def test_an_acknowledgement_withdraws_what_was_not_sent(house: House, mail: FakeMail, fixed: FixedClock) -> None:
    ada = house.person("ada")
    house.page(ada)
    withdraw("incident/1", fixed.now())
    send_pages(fixed.now())
    assert not mail.mails and states() == ["withdrawn"]
    again = house.page(ada, 1, "s1")
    assert again.rank == 0, "what comes after is a first page again"


def test_what_is_no_longer_needed_is_not_tried_again(house: House, loopback: None, fixed: FixedClock) -> None:
    with provider(500) as fake:
        house.page(house.person("ada", "slack", fake.url))
        (page,) = claim(fixed.now(), 1)
        withdraw("incident/1", fixed.now())
        assert settle(page, Outcome("temporary", "answered 500"), fixed.now())
        send_pages(fixed.advance(600))
        assert not fake.got and states() == ["withdrawn"]


def test_of_two_senders_the_one_that_slept_past_its_lease_changes_nothing(
    house: House, mail: FakeMail, fixed: FixedClock
) -> None:
    ada = house.person("ada")
    house.page(ada, 1)
    house.page(ada, 2)
    (sleeper,) = claim(fixed.now(), 5)
    assert claim(fixed.now(), 5) == []
    send_pages(fixed.advance(31))
    assert not settle(sleeper, Outcome("permanent", "late"), fixed.now())
    assert not settle(sleeper, Outcome("temporary", "late"), fixed.now())
    assert not settle(sleeper, Outcome("delivered"), fixed.now())
    assert states() == ["accepted", "accepted"] and len(mail.mails) == 1


def test_late_news_moves_no_page_back(house: House, mail: FakeMail, fixed: FixedClock) -> None:
    house.page(house.person("ada"))
    send_pages(fixed.now())
    page = Page.objects.get()
    assert report(page, "delivered", fixed.now(), 7)
    page.refresh_from_db()
    assert not report(page, "accepted", fixed.now(), 8) and not report(page, "read", fixed.now(), 6)
    assert use_link(page, fixed.now()) and states() == ["read"]
    assert ContactMethod.objects.get().proved_at == fixed.now()


def test_nobody_left_to_try_is_told_to_the_channels(house: House, loopback: None, fixed: FixedClock) -> None:
    with provider(404) as fake, provider(200) as watcher:
        hook = house.channel("webhook", watcher.url, secrets={"secret": "whsec_" + "QUJD" * 8})
        house.page(house.person("ada", "slack", fake.url))
        send_pages(fixed.now())
        (got,) = watcher.got
        told = json.loads(got.body)
        assert told["type"] == "page.failed" and told["data"]["id"] == "incident/1"
        assert verify("whsec_" + "QUJD" * 8, got.headers, got.body, int(got.headers["webhook-timestamp"])) == "valid"
    assert Channel.objects.get() == hook


def test_an_address_that_is_gone_gets_nothing_any_more(house: House, loopback: None, fixed: FixedClock) -> None:
    with provider(410) as fake:
        hook = house.channel("webhook", fake.url, secrets={"secret": "whsec_" + "QUJD" * 8})
        house.tell(hook, 1)
        send_pages(fixed.now())
        hook.refresh_from_db()
        assert hook.disabled_at == fixed.now() and "410" in hook.disabled_why


def test_ten_thousand_pages_that_are_not_due_cost_one_question(house: House, fixed: FixedClock) -> None:
    ada = house.person("ada")
    contact = ContactMethod.objects.get()
    late = fixed.now() + timedelta(minutes=5)
    Page.objects.bulk_create(
        Page(
            key=f"k{number}",
            topic=f"incident/{number}",
            person=ada,
            contact=contact,
            kind="email",
            medium="email",
            created_at=AT,
            due_at=late,
            nonce="n",
            link_expires_at=late,
            occurrence="s0",
        )
        for number in range(10_000)
    )
    with CaptureQueriesContext(
        connection,
    ) as asked:
        send_pages(fixed.now())
    assert len(asked) == 1, [one["sql"][:100] for one in asked]


def test_a_thousand_pages_for_one_person_are_one_letter_and_few_questions(
    house: House, mail: FakeMail, fixed: FixedClock
) -> None:
    ada = house.person("ada")
    contact = ContactMethod.objects.get()
    Page.objects.bulk_create(
        Page(
            key=f"k{number}",
            topic=f"incident/{number}",
            person=ada,
            contact=contact,
            kind="email",
            medium="email",
            created_at=AT,
            due_at=AT,
            nonce="n",
            link_expires_at=AT,
            occurrence="s0",
            client="acme",
            facts={"title": f"Trouble {number}", "severity": "P3"},
        )
        for number in range(1_000)
    )
    with CaptureQueriesContext(connection) as asked:
        send_pages(fixed.now())
    assert len(mail.mails) == 1 and set(states()) == {"accepted"}
    assert len(asked) < 25, len(asked)
