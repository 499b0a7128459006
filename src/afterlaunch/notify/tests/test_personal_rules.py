from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client as Browser

from afterlaunch.calendars.windows import Window
from afterlaunch.ground.clock import FixedClock
from afterlaunch.ground.errors import Invalid, NotAllowed
from afterlaunch.notify.duties import remind, send_pages
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.notify.outbox import withdraw
from afterlaunch.notify.personal import set_rules
from afterlaunch.notify.preferences import Planned, Rules, Step, checked, planned, quiet_until
from afterlaunch.notify.tests.conftest import AT, House
from afterlaunch.notify.tests.fakes import FakeMail, provider

NIGHT = Window("22:00", "07:00")
BERLIN = Rules(quiet=(NIGHT,), zone="Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_p1_is_not_quiet_and_everything_else_waits_for_the_morning() -> None:
    night = at("2026-03-03T02:00")
    assert planned(BERLIN, "page", "P1", [7], night) == [Planned(7, night)]
    assert planned(BERLIN, "page", "P2", [7], night) == [Planned(7, at("2026-03-03T06:00"), "quiet hours")]
    assert planned(BERLIN, "notice", "", [7, 8], at("2026-03-03T12:00")) == [Planned(7, at("2026-03-03T12:00"))]


def test_quiet_hours_keep_the_wall_clock_when_summer_time_begins() -> None:
    assert quiet_until(BERLIN, at("2026-03-28T23:30")) == at("2026-03-29T05:00")
    assert quiet_until(BERLIN, at("2026-10-24T23:30")) == at("2026-10-25T06:00")
    assert quiet_until(BERLIN, at("2026-03-29T05:00")) is None, "the end is outside"


def test_methods_have_delays_and_a_list_of_its_own_for_each_urgency() -> None:
    rules = Rules(urgent=(Step(1, 300), Step(2, 60)), normal=(Step(3, 600),))
    now = at("2026-03-03T12:00")
    urgent = planned(rules, "page", "P1", [1, 2, 3], now)
    assert urgent == [Planned(2, now), Planned(1, now + timedelta(minutes=5))], "the first is tried at once"
    assert planned(rules, "page", "P3", [1, 2, 3], now) == [Planned(3, now + timedelta(minutes=10))]
    assert planned(rules, "page", "P3", [1], now) == [Planned(1, now)], "what is gone is passed over"
    assert planned(rules, "page", "P1", [], now) == []


@pytest.mark.parametrize("rules", [
    Rules(urgent=(Step(9, 0),)), Rules(normal=(Step(1, -1),)), Rules(normal=(Step(1, 7201),)), Rules(collect=3601),
    Rules(urgent=tuple(Step(1, n) for n in range(7))), Rules(quiet=(Window("00:00", "00:00"),)),
])  # fmt: skip
def test_rules_that_cannot_be_kept_are_refused(rules: Rules) -> None:
    with pytest.raises(Invalid):
        checked(rules, [1, 2])


def test_the_next_method_is_tried_after_its_delay_unless_somebody_acknowledged(
    house: House, mail: FakeMail, fixed: FixedClock
) -> None:
    ada = house.person("ada")
    second = house.contact(ada, "email", "ada2@example.test", 1)
    first = ContactMethod.objects.get(address="ada@example.test")
    set_rules(house.actor("ada"), ada, Rules(urgent=(Step(first.pk, 0), Step(second.pk, 120))))
    house.page(ada, 1)
    house.page(ada, 2)
    send_pages(fixed.now())
    assert [letter["To"] for letter in mail.mails] == ["ada@example.test"]
    withdraw("incident/2", fixed.now())
    send_pages(fixed.advance(120))
    assert [letter["To"] for letter in mail.mails][1:] == ["ada2@example.test"]
    assert mail.mails[1]["Subject"] == "[P1] Trouble 1"


def test_a_method_that_fails_calls_the_next_one_before_its_time(
    house: House, mail: FakeMail, fixed: FixedClock
) -> None:
    with provider(404) as fake:
        ada = house.person("ada", "slack", fake.url)
        second = house.contact(ada, "email", "ada@example.test", 1)
        first = ContactMethod.objects.get(kind="slack")
        set_rules(house.actor("ada"), ada, Rules(urgent=(Step(first.pk, 0), Step(second.pk, 600))))
        house.page(ada)
        send_pages(fixed.now())
    assert len(mail.mails) == 1 and Page.objects.count() == 2


def test_what_is_no_p1_is_collected_into_one_letter(house: House, mail: FakeMail, fixed: FixedClock) -> None:
    ada = house.person("ada")
    set_rules(house.actor("ada"), ada, Rules(collect=600))
    for number in range(1, 4):
        house.page(ada, number, severity="P3")
        send_pages(fixed.now())
        fixed.advance(120)
    assert not mail.mails and set(Page.objects.values_list("held", flat=True)) == {"collected for 10 min"}
    assert set(Page.objects.values_list("due_at", flat=True)) == {AT + timedelta(minutes=10)}
    send_pages(fixed.advance(240))
    (letter,) = mail.mails
    assert letter["Subject"] == "[P3] Trouble 1 (and 2 more)"


def test_in_the_morning_one_letter_tells_the_night(house: House, mail: FakeMail, fixed: FixedClock) -> None:
    ada = house.person("ada")
    set_rules(house.actor("ada"), ada, Rules(quiet=(NIGHT,)))
    for number in range(1, 4):
        house.page(ada, number, severity="P2")
        send_pages(fixed.advance(600))
    assert not mail.mails
    send_pages(fixed.advance(at("2026-03-03T07:00") - fixed.now()))
    (letter,) = mail.mails
    assert letter["Subject"] == "[P2] Trouble 1 (and 2 more)"


def test_nobody_sets_the_rules_of_somebody_else(house: House) -> None:
    ada = house.person("ada")
    house.person("bob")
    with pytest.raises(NotAllowed):
        set_rules(house.actor("bob"), ada, Rules())


def test_once_a_month_a_method_is_asked_whether_it_still_works(house: House, mail: FakeMail, fixed: FixedClock) -> None:
    house.person("ada")
    remind(fixed.now())
    assert not Page.objects.exists()
    fixed.advance(timedelta(days=31))
    remind(fixed.now())
    remind(fixed.now())
    send_pages(fixed.now())
    (letter,) = mail.mails
    assert letter["Subject"] == "Does this still reach you?" and "2026-03-03" in str(letter.get_payload())


def test_the_page_sets_order_rules_and_takes_the_code_of_a_re_test(house: House, fixed: FixedClock) -> None:
    ada = house.person("ada")
    second = house.contact(ada, "email", "ada2@example.test", 1)
    first = ContactMethod.objects.get(address="ada@example.test")
    browser = Browser()
    browser.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    form = {
        "urgent-0": str(second.pk), "urgent-0-minutes": "0", "urgent-1": str(first.pk), "urgent-1-minutes": "5",
        "quiet-0-day": ["6", "7"], "quiet-0-start": "20:00", "quiet-0-end": "09:00", "collect": "10",
    }  # fmt: skip
    assert browser.post("/settings/contacts/rules", form).status_code == 302
    row = ada.notification_rules
    assert row.urgent == [[second.pk, 0], [first.pk, 300]] and row.collect == 600
    assert row.quiet == [{"days": [6, 7], "start": "20:00", "end": "09:00"}]
    assert b'value="20:00"' in browser.get("/settings/contacts").content
    assert browser.post("/settings/contacts/rules", {"collect": "x"}).status_code == 400
    browser.post(f"/settings/contacts/{second.pk}/first")
    second.refresh_from_db()
    assert second.position == 0
    fixed.advance(timedelta(days=40))
    browser.post(f"/settings/contacts/{second.pk}/test")
    second.refresh_from_db()
    browser.post(f"/settings/contacts/{second.pk}/verify", {"code": second.code})
    second.refresh_from_db()
    assert second.proved_at == fixed.now() and second.verified_at == AT
