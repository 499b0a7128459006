"""Doing what a reply asks, as the person who asked it. The deed and the reply's end are one transaction, so that the
same reply acts once however often it is tried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from django.core import signing

from afterlaunch.accounts.actions import actor_of_user
from afterlaunch.accounts.models import User
from afterlaunch.changes.actions import contain
from afterlaunch.ground.actors import Actor, Held, Role
from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.ground.settings import settings
from afterlaunch.incidents.actions import acknowledge, add_note, resolve
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.channels import coming_from
from afterlaunch.notify.models import GONE_OUT, Channel, Page, Thread
from afterlaunch.notify.pagerduty.events import topic_of
from afterlaunch.replies import pagerduty, slack
from afterlaunch.replies.models import LinkedAccount, Reply

LINK_SALT = "link account"


@dataclass(frozen=True)
class Done:
    """How a reply ended; `answer_to` is where Slack takes a word for the person alone."""

    state: str
    said: str
    topic: str = ""
    answer_to: str = ""


def act(reply: Reply, now: datetime) -> Done:
    """Raises nothing that the sender could mend; what it could is said to whoever pressed the button."""
    if reply.source == "slack":
        return _slack(reply)
    return _pagerduty(reply, now)


def thread_of(reply: Reply, callback: str) -> Thread | None:
    """The thread behind a button, if the channel that it hangs in signed the request."""
    rows = Thread.objects.select_related("channel__client").filter(channel__in=reply.channels, channel__removed_at=None)
    return rows.filter(callback=callback).first() if callback else None


def person_behind(channel: Channel, kind: str, team: str, external: str) -> User | None:
    row = LinkedAccount.objects.select_related("user").filter(
        client=channel.client_id, kind=kind, team=team, external=external
    )
    found = row.first()
    return found.user if found else None


def _incident(topic: str, client: int) -> Incident | None:
    kind, _, number = topic.partition("/")
    if kind != "incident" or not number.isdigit():
        return None
    rows = Incident.objects.select_related("system__client").filter(pk=int(number), system__client=client)
    return rows.first()


def _slack(reply: Reply) -> Done:
    pressed = slack.read(reply.body)
    if not pressed.deed:
        return Done("ignored", "no deed of ours")
    thread = thread_of(reply, pressed.callback)
    incident = _incident(thread.topic, thread.channel.client_id) if thread else None
    if thread is None or incident is None:
        return Done("refused", "This message is no longer known here.", answer_to=pressed.answer_to)
    person = person_behind(thread.channel, "slack", pressed.team, pressed.user)
    if person is None:
        text = f"Link your account first, then press again: {link_address(thread.channel, pressed)}"
        return Done("refused", text, thread.topic, pressed.answer_to)
    if pressed.deed == "note" and pressed.text is None:
        return Done("refused", "The form could not be opened. Press again.", thread.topic, pressed.answer_to)
    try:
        said = perform(pressed.deed, actor_of_user(person), incident, "Slack", pressed.text or "")
    except AfterlaunchError as problem:
        return Done("refused", f"{problem.message} {problem.hint}".strip(), thread.topic, pressed.answer_to)
    return Done("done", said, thread.topic, pressed.answer_to)


def perform(deed: str, actor: Actor, incident: Incident, where: str, text: str = "") -> str:
    """One deed; doing it twice changes nothing. What to say about it. Raises AfterlaunchError."""
    if deed == "acknowledge":
        taken = acknowledge(actor, incident, f" from {where}")
        return f"Acknowledged by {taken.acknowledged_by}."
    if deed == "contain":
        change = contain(actor, incident, f"Containment from {where}.")
        return f"Change {change.pk} is rolled back."
    if deed == "resolve":
        resolve(actor, incident, f"Resolved from {where}.")
        return "Resolved."
    if deed == "note":
        add_note(actor, incident, text)
        return "Noted."
    raise Invalid(f"There is no deed {deed!r}.")


def link_address(channel: Channel, pressed: slack.Pressed) -> str:
    """Where somebody says which of our people they are; it came to them alone, in Slack."""
    told = {"channel": channel.pk, "kind": "slack", "team": pressed.team, "external": pressed.user}
    token = signing.dumps({**told, "shown": pressed.shown}, salt=LINK_SALT)
    return f"{settings().public_url}/settings/accounts/link/{quote(token)}"


def _pagerduty(reply: Reply, now: datetime) -> Done:
    happened = pagerduty.read(reply.body)
    topic = topic_of(happened.key, settings().public_url)
    channel = Channel.objects.select_related("client").filter(pk__in=reply.channels).order_by("pk").first()
    if topic is None or channel is None:
        return Done("ignored", "no incident of ours")
    reason = pagerduty.why_not(happened, _last_told(reply.channels, topic), now)
    if reason is not None:
        return Done("ignored", reason, topic)
    incident = _incident(topic, channel.client_id)
    if incident is None:
        return Done("ignored", "no incident of this client", topic)
    person = person_behind(channel, "pagerduty", "", happened.person_id)
    if person is None and channel.config.get("relays_people", "yes").lower() == "no":
        return Done("ignored", "nobody of ours did it", topic)
    stranger = Actor("person", f"{happened.person} (PagerDuty)", (Held(Role.RESPONDER, channel.client.slug),))
    try:
        with coming_from(reply.channels):
            said = perform(happened.deed, actor_of_user(person) if person else stranger, incident, "PagerDuty")
    except AfterlaunchError as problem:
        return Done("refused", f"{problem.message} {problem.hint}".strip(), topic)
    return Done("done", said, topic)


def _last_told(channels: list[int], topic: str) -> tuple[str, datetime] | None:
    rows = Page.objects.filter(channel__in=channels, topic=topic, state__in=GONE_OUT, accepted_at__isnull=False)
    found = rows.order_by("-accepted_at", "-pk").values_list("type", "accepted_at").first()
    return (found[0], found[1]) if found and found[1] else None
