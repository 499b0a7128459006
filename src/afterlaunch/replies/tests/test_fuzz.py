"""Whatever comes to the two doors, the answer is a clear refusal or a thank-you, and nothing is done without a good
signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.ground import clock
from afterlaunch.replies.duties import act_on_replies
from afterlaunch.replies.models import Reply
from afterlaunch.replies.tests.conftest import Slack
from afterlaunch.replies.tests.test_pagerduty import Pager, pager

__all__ = ["pager"]
OFTEN = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
PLAIN = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20) | st.just("\x00")
JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=90)


@OFTEN
@given(body=st.binary(max_size=400), stamp=HEADER, signature=HEADER)
def test_slack_refuses_what_it_did_not_sign(slack: Slack, body: bytes, stamp: str, signature: str) -> None:
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
    answer = slack.browser.post("/hooks/slack", body, content_type="application/x-www-form-urlencoded", headers=headers)
    assert answer.status_code == 401 and not Reply.objects.exists()


@OFTEN
@given(
    kind=st.sampled_from(["block_actions", "view_submission", "shortcut", 7, None]),
    rest=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("team", "user", "actions", "view", "response_url", "trigger_id"), JSON)
    ),
    deed=st.sampled_from(["acknowledge", "note", "nonsense"]),
    nested=JSON,
)
def test_what_slack_signed_but_nobody_understands_does_nothing(
    slack: Slack, kind: Any, rest: dict[str, Any], deed: str, nested: Any
) -> None:
    payload = {"type": kind, **rest}
    if nested:
        payload["actions"] = [{"action_id": deed, "value": nested}]
    answer = slack.send(payload)
    assert answer.status_code == 200
    act_on_replies(clock.now())
    assert not Reply.objects.filter(state__in=("waiting", "done", "failed")).exists()


@OFTEN
@given(body=st.binary(max_size=300))
def test_garbage_that_slack_signed_is_a_bad_request_or_nothing(slack: Slack, body: bytes) -> None:
    assert slack.send(body).status_code in (200, 400)
    act_on_replies(clock.now())


@OFTEN
@given(body=st.binary(max_size=300), signature=HEADER)
def test_pagerduty_refuses_what_it_did_not_sign(pager: Pager, body: bytes, signature: str) -> None:
    assert pager.send(body, signature=signature).status_code == 401


@OFTEN
@given(
    document=JSON | st.builds(lambda inner: {"event": inner}, JSON),
    event=st.dictionaries(
        st.sampled_from(["id", "event_type", "agent", "data", "occurred_at"]),
        JSON
        | st.sampled_from(
            ["incident.acknowledged", "2026-03-03T02:00:00Z", "2026-03-03", {"type": "user_reference", "summary": "x"}]
        ),
    ),
)
def test_events_that_nobody_understands_do_nothing(pager: Pager, document: Any, event: dict[str, Any]) -> None:
    for one in (document, {"event": event}):
        assert pager.send(one).status_code in (202, 400)
    assert not Reply.objects.filter(state__in=("waiting", "done", "failed")).exists()


def test_the_signature_is_over_the_raw_bytes(slack: Slack) -> None:
    """A body that decodes to the same payload has another signature."""
    body = urlencode({"payload": json.dumps({"type": "x"})}).encode()
    same = body.replace(b"%7B", b"%7b")
    stamp = int(clock.real())
    mac = hmac.new(b"8f742231b10e8888abcd99yyyzzz85a5", f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": str(stamp), "X-Slack-Signature": f"v0={mac}"}
    form = "application/x-www-form-urlencoded"
    assert slack.browser.post("/hooks/slack", same, content_type=form, headers=headers).status_code == 401
    assert slack.browser.post("/hooks/slack", body, content_type=form, headers=headers).status_code == 200
