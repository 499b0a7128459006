"""Adaptive cards. Pure."""

from __future__ import annotations

import re
from typing import Any

from afterlaunch.notify.kinds import Item, Message

SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
COLOURS = {"P1": "attention", "P2": "warning"}
MOST, LINE = 10, 800  # further things in a card, characters of a line: a card may have 28 KB


def plain(text: str) -> str:
    """Foreign text without the meaning of Markdown or of a mention."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split())[:LINE])


def document(message: Message) -> dict[str, Any]:
    """What a workflow "When a Teams webhook request is received" posts into its channel."""
    own = Item(message.title, message.lines, message.severity, message.url, message.acknowledge_url)
    body = [part for item in (own, *message.more[:MOST]) for part in _told(item)]
    if len(message.more) > MOST:
        body.append({"type": "TextBlock", "text": f"And {len(message.more) - MOST} more.", "wrap": True})
    content = {
        "$schema": SCHEMA,
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": message.headline,
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": title, "url": url}
            for title, url in (("Acknowledge", message.acknowledge_url), ("Details", message.url))
            if url
        ],
    }
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "summary": message.headline, "attachments": [card]}


def _told(item: Item) -> list[dict[str, Any]]:
    head = f"[{item.severity}] {item.title}" if item.severity else item.title
    title = {
        "type": "TextBlock",
        "text": plain(head),
        "weight": "bolder",
        "wrap": True,
        "color": COLOURS.get(item.severity, "default"),
    }
    return [title, *({"type": "TextBlock", "text": plain(line), "wrap": True} for line in item.lines if line)]
