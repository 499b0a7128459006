"""A bot's message for each incident: edited at every change of state, the news in its thread, buttons to act."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.outbound import check_address
from afterlaunch.notify.kinds import Entry, Kind, Message
from afterlaunch.notify.rules import Outcome
from afterlaunch.notify.slack.api import API, ask
from afterlaunch.notify.slack.sender import escape

COLOURS = {"P1": "#b3261e", "P2": "#b25e00", "P3": "#5b6472"}
DONE, TAKEN = "#1d7a46", "#2457c5"
LOST = ("message_not_found", "thread_not_found", "cant_update_message")
BUTTONS = (
    ("acknowledge", "Acknowledge", "primary"),
    ("contain", "Contain", ""),
    ("resolve", "Resolve", "danger"),
    ("note", "Add a note", ""),
)


class SlackBot(Kind):
    name, label = "slack_bot", "Slack (bot with buttons)"
    address_label, example = "Slack channel's id", "C0123456789"
    for_channels = True
    bundles = False
    ordered = True
    entries = (
        Entry("token", "Bot token", secret=True, help="xoxb-…, with the scope chat:write"),
        Entry("signing_secret", "Signing secret", secret=True, help="of the app; two while you change it, by a comma"),
        Entry("api", "Address of the API", default=API, needed=False),
    )

    def check(self, address: str) -> str:
        if not re.fullmatch(r"[A-Z0-9]{6,20}", address):
            raise Invalid(f"{address!r} is no id of a Slack channel.", "It stands under About in the channel: C0123….")
        return address

    def check_entries(self, values: Mapping[str, str]) -> None:
        check_address(values.get("api") or API)

    def send(self, message: Message) -> Outcome:
        base, token = message.options.get("api") or API, message.options.get("token", "")
        if message.purpose in ("test", "verify") or not message.callback:
            return ask(base, "chat.postMessage", token, {"channel": message.to, "text": escape(message.headline)})[0]
        if message.place.get("ts"):
            return _edit(base, token, message)
        return _begin(base, token, message)


def _begin(base: str, token: str, message: Message) -> Outcome:
    outcome, told = ask(base, "chat.postMessage", token, {"channel": message.to, **body(message)})
    if outcome.result != "delivered":
        return outcome
    place = {"channel": told.get("channel") or message.to, "ts": str(told.get("ts", ""))}
    return Outcome("delivered", outcome.why, receipt=place["ts"], place=place)


def _edit(base: str, token: str, message: Message) -> Outcome:
    """The first message says how it stands now; what happened is said in its thread. Both may be repeated."""
    place = {"channel": message.place["channel"], "ts": message.place["ts"]}
    outcome, told = ask(base, "chat.update", token, {**place, **body(message)})
    if told.get("error") in LOST:
        return _begin(base, token, message)
    if outcome.result != "delivered" or not message.data.get("said"):
        return outcome
    reply = {"channel": place["channel"], "thread_ts": place["ts"], "text": escape(str(message.data["said"]))}
    return ask(base, "chat.postMessage", token, reply)[0]


def body(message: Message) -> dict[str, Any]:
    """Text as the fallback and the notification, the rest for the eye."""
    head = escape(message.headline)
    section = f"*<{message.url}|{head}>*" if message.url else f"*{head}*"
    lines = [line for line in message.lines if line != message.data.get("said")]
    blocks: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": section}}]
    if lines:
        text = "\n".join(escape(line) for line in lines)[:2900]
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text}})
    blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": standing(message.data)[:2900]}]})
    elements = [
        _button(name, label, style, message.callback) for name, label, style in BUTTONS if open_to(name, message)
    ]
    if elements:
        blocks += [{"type": "divider"}, {"type": "actions", "block_id": "act", "elements": elements}]
    return {
        "text": head,
        "attachments": [{"color": colour(message), "fallback": head, "blocks": blocks}],
        "unfurl_links": False,
    }


def _button(name: str, label: str, style: str, callback: str) -> dict[str, Any]:
    text = {"type": "plain_text", "text": label}
    button: dict[str, Any] = {"type": "button", "action_id": name, "text": text, "value": callback}
    return {**button, "style": style} if style else button


def open_to(name: str, message: Message) -> bool:
    """A button is gone once its deed is done."""
    data = message.data
    if data.get("status") != "open":
        return False
    if name == "acknowledge":
        return not data.get("acknowledged_by")
    return not data.get("contained") if name == "contain" else True


def standing(data: Mapping[str, Any]) -> str:
    """How it stands, with the name of whoever made it so."""
    if data.get("status") != "open":
        ended = "Closed as a false alarm" if data.get("outcome") == "false_alarm" else "Resolved"
        return f"{ended} by {data.get('actor', '')}"
    taken = (
        f"Acknowledged by {data['acknowledged_by']}" if data.get("acknowledged_by") else "Nobody has acknowledged it"
    )
    return f"{taken}. Contained." if data.get("contained") else f"{taken}."


def colour(message: Message) -> str:
    if message.data.get("status") != "open":
        return DONE
    return TAKEN if message.data.get("acknowledged_by") else COLOURS.get(message.severity, COLOURS["P3"])
