from __future__ import annotations

from typing import Any

import orjson

from afterlaunch.ground.outbound import Refused, Unreachable, check_address, post
from afterlaunch.notify.kinds import Item, Kind, Message
from afterlaunch.notify.rules import Outcome, judge_status

TOTAL = 10.0  # seconds for one exchange
MOST = 10  # further things told in one message, which may have 50 blocks


class Slack(Kind):
    name, label = "slack", "Slack (incoming webhook)"
    address_label, example = "Incoming webhook", "https://hooks.slack.com/services/…"
    for_people = for_channels = True

    def check(self, address: str) -> str:
        check_address(address)
        return address

    def send(self, message: Message) -> Outcome:
        try:
            answer = post(message.to, orjson.dumps(payload(message)), [("Content-Type", "application/json")], TOTAL)
        except Refused as problem:
            return Outcome("permanent", problem.message)
        except Unreachable as problem:
            return Outcome("temporary", str(problem))
        return judge_status(answer.status, answer.body, answer.headers.get("retry-after"))


def escape(text: str) -> str:
    """Slack's three; it also takes the meaning from <!channel> and <@user> in foreign text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def payload(message: Message) -> dict[str, Any]:
    own = Item(message.title, message.lines, message.severity, message.url, message.acknowledge_url)
    blocks = _told(own, message.key)
    for number, item in enumerate(message.more[:MOST]):
        blocks += [{"type": "divider"}, *_told(item, f"{message.key}-{number}")]
    if len(message.more) > MOST:
        blocks.append(_section(f"And {len(message.more) - MOST} more."))
    return {"text": escape(message.headline), "blocks": blocks}


def _told(item: Item, block: str) -> list[dict[str, Any]]:
    title = escape(" ".join(item.title.split()))
    head = f"[{item.severity}] {title}" if item.severity else title
    blocks: list[dict[str, Any]] = [_section(f"*<{item.url}|{head}>*" if item.url else f"*{head}*")]
    if item.lines:
        blocks.append(_section("\n".join(escape(line) for line in item.lines)[:2900]))
    buttons = [("Acknowledge", item.acknowledge_url, "primary"), ("Details", item.url, "")]
    elements = [_button(text, url, style) for text, url, style in buttons if url]
    if elements:
        blocks.append({"type": "actions", "block_id": block, "elements": elements})
    return blocks


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _button(text: str, url: str, style: str) -> dict[str, Any]:
    button: dict[str, Any] = {"type": "button", "text": {"type": "plain_text", "text": text}, "url": url}
    return {**button, "style": style} if style else button
