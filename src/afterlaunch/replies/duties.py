from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import connection, transaction

from afterlaunch.ground import clock
from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.notify.json_calls import call
from afterlaunch.notify.rules import RETRY_SECONDS, Outcome
from afterlaunch.replies.acting import Done, act
from afterlaunch.replies.models import Reply

log = logging.getLogger(__name__)
MOST = 100
KEPT = timedelta(days=30)


def act_on_replies(now: datetime) -> None:
    """Do what came in from Slack and PagerDuty, each in a transaction of its own; then say what came of it. A broken
    one stops nobody else and is told when the others are done."""
    problems: list[Exception] = []
    due = Reply.objects.filter(state="waiting", due_at__lte=now).order_by("pk").values_list("pk", flat=True)[:MOST]
    for pk in list(due):
        try:
            done = _take(pk, clock.now())
        except Exception as problem:  # noqa: BLE001 - raised below, after the others had their turn
            _put_off(pk, problem)
            problems.append(problem)
            continue
        if done is not None and done.answer_to:
            _say(done)
    if problems:
        raise ExceptionGroup("replies that could not be acted upon", problems)


@transaction.atomic
def _take(pk: int, now: datetime) -> Done | None:
    """None: another process has it."""
    rows = Reply.objects.filter(pk=pk, state="waiting")
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True)
    reply = rows.first()
    if reply is None:
        return None
    try:
        done = act(reply, now)
    except AfterlaunchError as problem:
        done = Done("refused", problem.message)
    reply.state, reply.said, reply.topic = done.state, done.said[:500], done.topic
    reply.save(update_fields=["state", "said", "topic"])
    return done


def _put_off(pk: int, problem: Exception) -> None:
    """Again a little later; given up after five times."""
    reply = Reply.objects.get(pk=pk)
    reply.attempts += 1
    over = reply.attempts > len(RETRY_SECONDS)
    reply.state = "failed" if over else "waiting"
    reply.said = f"{type(problem).__name__}: {problem}"[:500]
    reply.due_at = clock.now() + clock.lease(0 if over else RETRY_SECONDS[reply.attempts - 1])
    reply.save(update_fields=["attempts", "state", "said", "due_at"])


def _say(done: Done) -> None:
    """To the person alone. Lost when Slack does not take it: the message in the channel says how it stands."""
    answer = call(done.answer_to, {"response_type": "ephemeral", "replace_original": False, "text": done.said})
    if isinstance(answer, Outcome) or not 200 <= answer.status < 300:
        log.warning("Slack did not take the answer to a button: %s", done.topic)


def forget_replies(now: datetime) -> None:
    """What was answered a month ago."""
    Reply.objects.filter(received_at__lt=now - KEPT).exclude(state="waiting").delete()
