"""What Slack sends when a button is pressed or a form is filled in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import orjson

from afterlaunch.ground.errors import Invalid

DEEDS = ("acknowledge", "contain", "resolve", "note")
LONGEST_NOTE = 3000


@dataclass(frozen=True)
class Pressed:
    """`deed` is a name of DEEDS, or empty where there is nothing for us to do. Identity is (team, user), never a name.
    `text` is None until a form was filled in."""

    deed: str
    callback: str
    team: str
    user: str
    shown: str
    trigger: str
    answer_to: str
    text: str | None = None


def _text(value: Any) -> str:
    return value.replace("\0", "") if isinstance(value, str) else ""


def _inside(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def read(body: str) -> Pressed:
    """Raises Invalid for what Slack would not send."""
    try:
        found = parse_qs(body, max_num_fields=20).get("payload", [])
        payload = orjson.loads(found[0] if found else "")
    except ValueError:  # of either
        raise Invalid("There is no JSON in the field payload.", "Point Slack's Interactivity here.") from None
    if not isinstance(payload, dict):
        raise Invalid("The payload is no object.")
    user, kind = payload.get("user"), payload.get("type")
    deed, callback, text = "", "", None
    if kind == "block_actions":
        actions = payload.get("actions")
        first = actions[0] if isinstance(actions, list) and actions else None
        deed, callback = _text(_inside(first, "action_id")), _text(_inside(first, "value"))
    elif kind == "view_submission":
        deed = _text(_inside(payload, "view", "callback_id"))
        callback = _text(_inside(payload, "view", "private_metadata"))
        text = _text(_inside(payload, "view", "state", "values", "note", "text", "value"))[:LONGEST_NOTE]
    return Pressed(
        deed=deed if deed in DEEDS else "",
        callback=callback[:60],
        team=_text(_inside(payload, "team", "id") or _inside(user, "team_id"))[:60],
        user=_text(_inside(user, "id"))[:60],
        shown=_text(_inside(user, "name") or _inside(user, "username"))[:200],
        trigger=_text(payload.get("trigger_id")),
        answer_to=_text(payload.get("response_url"))[:500],
        text=text,
    )


def note_form(callback: str, title: str) -> dict[str, Any]:
    """The form for a note; what it sends back carries the same callback."""
    area = {"type": "plain_text_input", "action_id": "text", "multiline": True, "max_length": LONGEST_NOTE}
    label = {"type": "plain_text", "text": f"What have you seen? {title}"[:150]}
    return {
        "type": "modal",
        "callback_id": "note",
        "private_metadata": callback,
        "title": {"type": "plain_text", "text": "Add a note"},
        "submit": {"type": "plain_text", "text": "Add"},
        "close": {"type": "plain_text", "text": "Leave it"},
        "blocks": [{"type": "input", "block_id": "note", "label": label, "element": area}],
    }
