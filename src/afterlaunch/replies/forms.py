"""Forms in Slack, opened while it waits for our answer: its word for opening one is good for three seconds."""

from __future__ import annotations

from afterlaunch.notify.models import Thread
from afterlaunch.notify.sealed import unseal
from afterlaunch.notify.slack.api import API, ask
from afterlaunch.replies.acting import person_behind, thread_of
from afterlaunch.replies.models import Reply
from afterlaunch.replies.slack import Pressed, note_form

QUICK = 2.0  # seconds


def open_note_form(reply: Reply, pressed: Pressed) -> None:
    """For somebody we know. Whoever we don't is told so when the reply's turn comes."""
    thread = thread_of(reply, pressed.callback)
    if thread is None or person_behind(thread.channel, "slack", pressed.team, pressed.user) is None:
        return
    outcome = _open(thread, pressed)
    Reply.objects.filter(pk=reply.pk, state="waiting").update(
        state="done" if outcome == "" else "failed", said=outcome or "form opened", topic=thread.topic
    )


def _open(thread: Thread, pressed: Pressed) -> str:
    channel = thread.channel
    base, token = channel.config.get("api") or API, unseal(channel.secrets).get("token", "")
    view = note_form(thread.callback, thread.topic.replace("/", " "))
    outcome, _ = ask(base, "views.open", token, {"trigger_id": pressed.trigger, "view": view}, QUICK)
    return "" if outcome.result == "delivered" else outcome.why[:500]
