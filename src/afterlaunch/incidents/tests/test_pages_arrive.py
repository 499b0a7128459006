from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from afterlaunch.accounts.models import User
from afterlaunch.ground import settings
from afterlaunch.ground.clock import FixedClock
from afterlaunch.incidents.tests.conftest import AT, World
from afterlaunch.notify import duties
from afterlaunch.notify.duties import send_pages
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.notify.rules import Outcome
from afterlaunch.notify.sending import claim, settle
from afterlaunch.notify.tests.fakes import FakeMail, mail_server, provider
from afterlaunch.notify.webhook.signing import new_secret, verify


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch, free_port: int) -> Iterator[FakeMail]:
    with mail_server(free_port) as fake:
        monkeypatch.setenv("AFTERLAUNCH_SMTP_URL", fake.url)
        monkeypatch.setenv("AFTERLAUNCH_OUTBOUND_ALLOW", "127.0.0.0/8")
        settings.reload()
        yield fake
    monkeypatch.undo()
    settings.reload()


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def hook(user: User, url: str, kind: str = "webhook", position: int = 0) -> ContactMethod:
    secret = new_secret() if kind == "webhook" else ""
    return ContactMethod.objects.create(
        user=user, kind=kind, address=url, secret=secret, position=position, created_at=AT, verified_at=AT
    )


def test_a_mail_says_what_is_wrong_and_carries_one_id(world: World, mail: FakeMail, fixed: FixedClock) -> None:
    world.incident()
    send_pages(fixed.now())
    send_pages(fixed.now())
    (letter,) = mail.mails
    page = Page.objects.get()
    assert letter["Subject"] == "[P1] Answers are refused" and letter["To"] == "admin@example.test"
    assert letter["Message-ID"].startswith(f"<{page.key}@")
    assert "/ack/" in letter.get_payload() and "31 % of answers" in letter.get_payload()
    assert page.state == "accepted"


def test_a_signed_webhook_and_slack_get_their_own_forms(world: World, mail: FakeMail, fixed: FixedClock) -> None:
    ContactMethod.objects.all().delete()
    with provider(200) as fake:
        contact = hook(world.admin, fake.url)
        world.incident("f1")
        send_pages(fixed.now())
        got = fake.got.pop()
        assert verify(contact.secret, got.headers, got.body, int(got.headers["webhook-timestamp"])) == "valid"
        assert json.loads(got.body)["type"] == "incident.opened" and "." not in got.headers["webhook-id"]
        contact.delete()
        hook(world.admin, fake.url, "slack")
        world.incident("f2")
        send_pages(fixed.now())
        body = json.loads(fake.got.pop().body)
        assert body["text"] == "[P1] Answers are refused" and body["blocks"]


@pytest.mark.parametrize("answer", [302, 400, 404])
def test_a_permanent_failure_goes_to_the_next_method_at_once(
    world: World, mail: FakeMail, fixed: FixedClock, answer: int
) -> None:
    ContactMethod.objects.update(position=1)
    with provider(answer) as fake:
        hook(world.admin, fake.url)
        world.incident()
        send_pages(fixed.now())
        assert len(fake.got) == 1 and len(mail.mails) == 1
    assert list(Page.objects.values_list("state", flat=True)) == ["failed", "accepted"]


@pytest.mark.parametrize("answer", [408, 429, 500])
def test_a_temporary_failure_is_retried_with_the_same_key(
    world: World, mail: FakeMail, fixed: FixedClock, answer: int
) -> None:
    ContactMethod.objects.update(position=1)
    with provider(answer, 200) as fake:
        hook(world.admin, fake.url)
        world.incident()
        send_pages(fixed.now())
        send_pages(fixed.now())
        assert len(fake.got) == 1
        send_pages(fixed.advance(5))
        ids = [got.headers["webhook-id"] for got in fake.got]
        assert len(ids) == 2 and len(set(ids)) == 1
    assert Page.objects.get().state == "accepted" and not mail.mails


def test_five_failures_in_a_row_reach_the_person_another_way(world: World, mail: FakeMail, fixed: FixedClock) -> None:
    ContactMethod.objects.update(position=1)
    with provider(503) as fake:
        hook(world.admin, fake.url)
        world.incident()
        for wait in (0, 5, 15, 30, 60):
            send_pages(fixed.advance(wait))
        assert len(fake.got) == 5 and len(mail.mails) == 1


def test_without_a_mail_server_the_failure_is_told(world: World, fixed: FixedClock) -> None:
    world.incident()
    send_pages(fixed.now())
    page = Page.objects.get()
    assert page.state == "failed" and "AFTERLAUNCH_SMTP_URL" in page.error


def test_a_sender_that_died_is_followed_by_one_with_the_same_key(
    world: World, mail: FakeMail, fixed: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.incident()
    for step in ("claim", "message_of", "attempt", "settle"):
        with monkeypatch.context() as patch:
            patch.setattr(duties, step, _power_cut)
            with pytest.raises(RuntimeError):
                send_pages(fixed.now())
        fixed.advance(31)
    send_pages(fixed.now())
    assert Page.objects.get().state == "accepted"
    assert len({letter["Message-ID"] for letter in mail.mails}) == 1


def _power_cut(*args: object) -> None:
    raise RuntimeError("power cut")


def test_a_sender_that_slept_past_its_lease_changes_nothing(world: World, fixed: FixedClock) -> None:
    world.incident()
    (sleeper,) = claim(fixed.now(), 5)
    assert claim(fixed.now(), 5) == []
    (other,) = claim(fixed.advance(31), 5)
    assert not settle(sleeper, Outcome("permanent", "late"), fixed.now())
    assert settle(other, Outcome("accepted"), fixed.now())
    assert not settle(sleeper, Outcome("temporary", "later still"), fixed.now())
    assert Page.objects.get().state == "accepted"
