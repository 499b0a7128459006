"""The doors for Slack and PagerDuty: read, check the signature, keep, answer. What is asked is done afterwards."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from django.db import DatabaseError, IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid, NotSignedIn, Unavailable
from afterlaunch.notify.models import Channel
from afterlaunch.notify.sealed import unseal
from afterlaunch.replies import pagerduty, signatures, slack
from afterlaunch.replies.bodies import raw_body
from afterlaunch.replies.forms import open_note_form
from afterlaunch.replies.models import Reply

Check = Callable[[list[str]], str]


@csrf_exempt
@require_POST
def from_slack(request: HttpRequest) -> HttpResponse:
    """A button or a form. Kept and answered at once; what came of it is said in the channel."""
    body = raw_body(request)
    stamp = request.headers.get("X-Slack-Request-Timestamp", "")
    given = request.headers.get("X-Slack-Signature", "")

    def check(secrets: list[str]) -> str:
        return signatures.slack(secrets, stamp, given, body, clock.real())

    channels = _signed_by("slack_bot", "signing_secret", check)
    text = _decoded(body)
    pressed = slack.read(text)
    digest = hashlib.sha256(stamp.encode() + b":" + body).hexdigest()
    fresh = _keep("slack", f"slack-{digest}", "", channels, re.sub(r"(%22token%22%3A%22)[^%]*", r"\1", text))
    if fresh is not None and pressed.deed == "note" and pressed.text is None:
        open_note_form(fresh, pressed)
    return HttpResponse(status=200)


@csrf_exempt
@require_POST
def from_pagerduty(request: HttpRequest) -> HttpResponse:
    """An event of a webhook subscription."""
    body = raw_body(request)
    given = request.headers.get("X-PagerDuty-Signature", "")

    def check(secrets: list[str]) -> str:
        return signatures.pagerduty(secrets, given, body)

    channels = _signed_by("pagerduty", "webhook_secret", check)
    text = _decoded(body)
    happened = pagerduty.read(text)
    key = happened.event or hashlib.sha256(body).hexdigest()
    delivery = request.headers.get("X-Webhook-Id", "")[:120]
    _keep("pagerduty", f"pagerduty-{channels[0]}-{key}", delivery, channels, text)
    return HttpResponse(status=202)


def _decoded(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Invalid("The body is not UTF-8.") from None
    if "\0" in text:
        raise Invalid("There is a zero byte in the body.")
    return text


def _signed_by(kind: str, field: str, check: Check) -> list[int]:
    """Channels whose secret signed the request. Raises NotSignedIn, which says why but of no channel."""
    good: list[int] = []
    reason = "no_signature_matches"
    try:
        rows = list(Channel.objects.filter(kind=kind, removed_at=None))
    except DatabaseError:
        raise Unavailable("The database does not answer.", "Send it again.") from None
    verdicts: dict[str, str] = {}
    for row in rows:
        try:
            secret = unseal(row.secrets).get(field, "")
        except Invalid:
            continue  # sealed under another key: the page of channels says so when it is tested
        if secret not in verdicts:
            verdicts[secret] = check(signatures.secrets_in(secret))
        if verdicts[secret] == "valid":
            good.append(row.pk)
        elif verdicts[secret] != "no_signature_matches":
            reason = verdicts[secret]
    if not good:
        raise NotSignedIn(f"The signature is not good: {reason.replace('_', ' ')}.", "Compare the signing secrets.")
    return good


def _keep(source: str, key: str, delivery: str, channels: list[int], body: str) -> Reply | None:
    """The row, or None when it was here before. Raises Unavailable."""
    now = clock.now()
    try:
        if delivery and Reply.objects.filter(source=source, delivery=delivery).exists():
            return None
        with transaction.atomic():
            return Reply.objects.create(
                source=source, key=key, delivery=delivery, channels=channels, body=body, received_at=now, due_at=now
            )
    except IntegrityError:
        return None
    except DatabaseError:
        raise Unavailable("The database does not answer.", "Send it again.") from None
