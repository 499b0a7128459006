from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.test import Client as Browser

from afterlaunch.accounts.models import Client, User
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Role
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.tests.conftest import AT
from afterlaunch.notify.duties import send_pages
from afterlaunch.notify.models import Channel, Thread
from afterlaunch.notify.sealed import seal
from afterlaunch.replies import signatures
from afterlaunch.replies.duties import act_on_replies, forget_replies
from afterlaunch.replies.models import LinkedAccount, Reply
from afterlaunch.replies.tests.conftest import Slack

VECTORS = Path("/work/shared/vectors/incidents/signatures.json")


def test_the_published_signature_is_good_and_its_variations_are_not() -> None:
    if not VECTORS.exists():
        pytest.skip("the vectors are not here")
    row = json.loads(VECTORS.read_text())["slack_request"]
    stamp, body = row["x-slack-request-timestamp"], row["body"].encode()
    secret, given = row["signing_secret"], row["x-slack-signature"]

    def verdict(**changed: Any) -> str:
        told: dict[str, Any] = {
            "secrets": [secret],
            "timestamp": str(stamp),
            "given": given,
            "body": body,
            "now": stamp + 1,
            **changed,
        }
        return signatures.slack(**told)

    assert verdict() == "valid" and verdict(secrets=["other", secret]) == "valid"
    assert verdict(now=stamp + 300) == "valid" and verdict(now=stamp + 301) == "timestamp_out_of_tolerance"
    assert verdict(now=stamp - 301) == "timestamp_out_of_tolerance"
    assert verdict(timestamp=str(stamp + 1)) == verdict(body=body + b"x") == "no_signature_matches"
    assert verdict(secrets=["other"]) == verdict(given="v0=x") == verdict(given="ü") == "no_signature_matches"
    assert verdict(timestamp="") == verdict(given="") == "header_missing"
    assert verdict(timestamp="1e9") == verdict(timestamp="٣") == "timestamp_not_integer"


def test_a_button_acknowledges_as_the_person_who_pressed_it(slack: Slack) -> None:
    incident = slack.incident()
    slack.link(slack.mate())
    assert slack.press("acknowledge", incident).status_code == 200
    incident.refresh_from_db()
    assert incident.acknowledged_by == "mate" and slack.said() == ["Acknowledged by mate."]
    send_pages(clock.now())
    bodies = [json.loads(got.body) for got in slack.fake.got if got.path.endswith("chat.update")]
    assert "Acknowledged by mate." in json.dumps(bodies[-1]), "the message in the channel says so too"


def test_somebody_unknown_is_asked_alone_to_link_and_nothing_is_done(slack: Slack) -> None:
    incident = slack.incident()
    slack.press("acknowledge", incident, "U9")
    incident.refresh_from_db()
    (said,) = slack.said()
    assert incident.acknowledged_at is None and said.startswith("Link your account")
    address = said.rpartition(" ")[2]
    path = address[address.index("/settings") :]
    browser = Browser()
    user = slack.mate()
    assert browser.get(path).status_code == 302, "it takes signing in"
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert b"Is this you?" in browser.get(path).content and not LinkedAccount.objects.exists()
    assert browser.post(path).status_code == 302
    slack.press("resolve", incident, "U9")
    incident.refresh_from_db()
    assert incident.status == "resolved"


def test_a_link_for_another_client_or_of_yesterday_is_no_link(slack: Slack) -> None:
    stranger = slack.mate("stranger", Role.ADMIN, "other")
    token = signing.dumps(
        {"channel": slack.channel.pk, "kind": "slack", "team": "T1", "external": "U1", "shown": ""}, salt="link account"
    )
    browser = Browser()
    browser.force_login(stranger, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.post(f"/settings/accounts/link/{token}").status_code == 404
    assert browser.post(f"/settings/accounts/link/{token[:-2]}xx").status_code == 404
    assert not LinkedAccount.objects.exists()


def test_pressing_twice_and_a_repeated_delivery_are_harmless(slack: Slack) -> None:
    incident = slack.incident()
    slack.link(slack.mate())
    payload = slack.payload("acknowledge", incident)
    assert slack.send(payload).status_code == slack.send(payload).status_code == 200
    act_on_replies(clock.now())
    slack.press("acknowledge", incident)
    act_on_replies(clock.now())
    assert incident.timeline.filter(kind="acknowledged").count() == 1


def test_a_viewer_may_not_and_is_told_why(slack: Slack) -> None:
    incident = slack.incident()
    slack.link(slack.mate("looker", Role.VIEWER))
    slack.press("acknowledge", incident)
    incident.refresh_from_db()
    assert incident.acknowledged_at is None and "role responder" in slack.said()[0]


def test_containing_goes_through_the_changes_and_says_when_there_is_nothing(slack: Slack) -> None:
    incident = slack.incident()
    slack.link(slack.mate())
    slack.press("contain", incident)
    assert slack.said() == ["Nothing is being rolled out here; there is no candidate to take back. See Changes."]


def test_a_note_goes_through_a_form(slack: Slack) -> None:
    incident = slack.incident()
    slack.link(slack.mate())
    slack.press("note", incident)
    (form,) = slack.opened()
    assert form["trigger_id"] == "1.2" and form["view"]["private_metadata"] == Thread.objects.get().callback
    slack.send(slack.note(incident, "The index was rebuilt at 02:00."))
    act_on_replies(clock.now())
    assert incident.timeline.filter(kind="note").get().text == "The index was rebuilt at 02:00."


def test_no_form_for_somebody_unknown(slack: Slack) -> None:
    incident = slack.incident()
    slack.press("note", incident, "U9")
    assert not slack.opened() and slack.said()[0].startswith("Link your account")


def test_another_workspace_can_do_nothing_here(slack: Slack) -> None:
    """It signs with its own secret, and knows the word of a button and the id of one of our people."""
    incident = slack.incident()
    slack.link(slack.mate())
    other = Client.objects.get(slug="other")
    Channel.objects.create(
        client=other, name="theirs", kind="slack_bot", address="C9", config={"api": slack.fake.url},
        secrets=seal({"token": "x", "signing_secret": "their own"}), created_at=AT,
    )  # fmt: skip
    answer = slack.send(slack.payload("resolve", incident), secret="their own")
    act_on_replies(clock.now())
    incident.refresh_from_db()
    assert answer.status_code == 200 and incident.status == "open"
    assert Reply.objects.get().said == "This message is no longer known here."


@pytest.mark.parametrize(("more", "status"), [
    ({"signature": "v0=" + "0" * 64}, 401), ({"signature": ""}, 401), ({"ago": 400}, 401), ({"ago": -400}, 401),
    ({"secret": "another"}, 401),
])  # fmt: skip
def test_a_signature_that_is_not_good_is_refused(slack: Slack, more: dict[str, object], status: int) -> None:
    incident = slack.incident()
    answer = slack.send(slack.payload("acknowledge", incident), **more)  # type: ignore[arg-type]
    assert answer.status_code == status and not Reply.objects.exists()
    assert answer["Content-Type"] == "application/problem+json"


def test_a_huge_body_is_refused_before_it_is_read(slack: Slack) -> None:
    assert slack.send(b"x" * (10 * 1024 * 1024)).status_code == 413
    assert slack.browser.get("/hooks/slack").status_code == 405


def test_somebody_switched_off_acts_no_more(slack: Slack) -> None:
    incident = slack.incident()
    slack.link(slack.mate())
    User.objects.filter(email="mate@example.test").update(is_active=False)
    slack.press("acknowledge", incident)
    assert Incident.objects.get(pk=incident.pk).acknowledged_at is None


def test_a_reply_that_breaks_is_tried_again_and_then_given_up(
    slack: Slack, fixed: clock.FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = slack.incident()
    slack.link(slack.mate())
    slack.send(slack.payload("acknowledge", incident))

    def broken(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("afterlaunch.replies.duties.act", broken)
    for wait in (0, 5, 15, 30, 60):
        with pytest.raises(ExceptionGroup):
            act_on_replies(fixed.advance(wait))
    assert Reply.objects.get().state == "failed" and "disk is full" in Reply.objects.get().said


def test_replies_are_forgotten_after_a_month(slack: Slack, fixed: clock.FixedClock) -> None:
    incident = slack.incident()
    slack.press("acknowledge", incident)
    forget_replies(fixed.now())
    assert Reply.objects.count() == 1
    forget_replies(fixed.advance(31 * 86_400))
    assert not Reply.objects.exists()
