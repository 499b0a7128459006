from __future__ import annotations

from typing import Any

import orjson

from afterlaunch.ground.outbound import Refused, Unreachable, check_address, post
from afterlaunch.notify.kinds import Message
from afterlaunch.notify.rules import Outcome, judge_status


class Slack:
    name, label = "slack", "Slack"
    address_label, example = "Incoming webhook", "https://hooks.slack.com/services/…"

    def check(self, address: str) -> str:
        check_address(address)
        return address

    def new_secret(self) -> str:
        return ""

    def send(self, message: Message) -> Outcome:
        try:
            answer = post(message.to, orjson.dumps(payload(message)), [("Content-Type", "application/json")])
        except Refused as problem:
            return Outcome("permanent", problem.message)
        except Unreachable as problem:
            return Outcome("temporary", str(problem))
        return judge_status(answer.status, answer.body, answer.headers.get("retry-after"))


def escape(text: str) -> str:
    """Slack's three; it also takes the meaning from <!channel> and <@user> in foreign text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def payload(message: Message) -> dict[str, Any]:
    title = escape(" ".join(message.title.split()))
    head = f"[{message.severity}] {title}" if message.severity else title
    linked = f"*<{message.url}|{head}>*" if message.url else f"*{head}*"
    blocks: list[dict[str, Any]] = [_section(linked)]
    if message.lines:
        blocks.append(_section("\n".join(escape(line) for line in message.lines)[:2900]))
    buttons = [("Acknowledge", message.acknowledge_url, "primary"), ("Details", message.url, "")]
    elements = [_button(text, url, style) for text, url, style in buttons if url]
    if elements:
        blocks.append({"type": "actions", "block_id": message.key, "elements": elements})
    return {"text": head, "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _button(text: str, url: str, style: str) -> dict[str, Any]:
    button: dict[str, Any] = {"type": "button", "text": {"type": "plain_text", "text": text}, "url": url}
    return {**button, "style": style} if style else button
