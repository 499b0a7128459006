"""Failing traces become golden prompts: a document whose assertions probes take as they are.

    {"name": …, "messages": [{"role": "system" | "user" | "assistant" | "tool", "content": …}],
     "reference": the answer that would have been right, or "",
     "assertions": [{"kind": "contains" | "not_contains", "text": …}, {"kind": "matches", "pattern": …},
                    {"kind": "json_schema", "schema": …}, {"kind": "similar", "reference": …, "least": 0.8},
                    {"kind": "latency", "max_ms": …}, {"kind": "cost", "max_usd": 0.01}],
     "source_trace_ids": […]}

In `similar` the document's reference stands where none is given.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db import transaction
from django.db.models import QuerySet

from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.incidents.deeds import locked, tell
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.reviews.models import PromptDraft
from afterlaunch.incidents.timeline import append
from afterlaunch.telemetry import records
from afterlaunch.telemetry.views.conversation import messages

ROLES = ("system", "user", "assistant", "tool")
NEEDS: dict[str, tuple[str, ...]] = {  # what an assertion holds beside its kind
    "contains": ("text",),
    "not_contains": ("text",),
    "matches": ("pattern",),
    "json_schema": ("schema",),
    "similar": ("reference", "least"),
    "latency": ("max_ms",),
    "cost": ("max_usd",),
}
SHAPE = ("name", "messages", "reference", "assertions", "source_trace_ids")
LONGEST, MOST = 100_000, 50


def check(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with nothing but its shape. Raises Invalid with what is wrong."""
    name = str(document.get("name", "")).strip()[:200]
    if not name:
        raise Invalid("A golden prompt needs a name.")
    said = [_message(one) for one in _list(document, "messages")]
    if not said:
        raise Invalid("A golden prompt needs a message.", "messages: [{role, content}]")
    traces = [str(one).lower() for one in _list(document, "source_trace_ids")]
    if any(not re.fullmatch(r"[0-9a-f]{32}", one) for one in traces):
        raise Invalid("A trace id has 32 hex digits.")
    reference = str(document.get("reference") or "")
    asserted = [_assertion(one, reference) for one in _list(document, "assertions")]
    checked = {
        "name": name,
        "messages": said,
        "reference": reference,
        "assertions": asserted,
        "source_trace_ids": traces,
    }
    if not asserted:
        raise Invalid("A golden prompt without an assertion proves nothing.", "Kinds: " + ", ".join(NEEDS))
    if len(orjson.dumps(checked)) > LONGEST:
        raise Invalid(f"A golden prompt has at most {LONGEST} bytes.")
    return checked


def _list(document: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = document.get(name) or []
    if not isinstance(found, list) or len(found) > MOST:
        raise Invalid(f"{name} is a list of at most {MOST}.")
    return found


def _message(one: Any) -> dict[str, str]:
    told: Mapping[str, Any] = one if isinstance(one, Mapping) else {}
    role, content = told.get("role"), told.get("content")
    if role not in ROLES or not isinstance(content, str):
        raise Invalid("A message has a role and a text.", "Roles: " + ", ".join(ROLES))
    return {"role": str(role), "content": content}


def _assertion(one: Any, reference: str) -> dict[str, Any]:
    told: dict[str, Any] = dict(one) if isinstance(one, Mapping) else {}
    kind = str(told.get("kind"))
    if kind not in NEEDS:
        raise Invalid(f"{kind!r} is no kind of assertion.", "Kinds: " + ", ".join(NEEDS))
    if kind == "similar" and not told.get("reference"):
        told["reference"] = reference
    for name in NEEDS[kind]:
        if not _fits(name, told.get(name)):
            raise Invalid(f"An assertion of kind {kind} needs {name}.", "See the shape in the docs of reviews.")
    return {"kind": kind, **{name: told[name] for name in NEEDS[kind]}}


def _fits(name: str, value: Any) -> bool:
    if name in ("text", "pattern", "reference"):
        return isinstance(value, str) and bool(value)
    if name == "schema":
        return isinstance(value, dict)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and (0 < value <= 1 if name == "least" else value > 0)


def from_trace(actor: Actor, incident: Incident, trace_id: str) -> dict[str, Any]:
    """A document to begin with: what was asked in the trace's last call with content. Its assertions are left to the
    person. Raises NotFound, Invalid when nothing of the content was kept."""
    spans, _ = records.trace(trace_id, frozenset({incident.system.client.slug}))
    if not spans:
        raise NotFound("There is no such trace.", "It may be older than what is kept.")
    told = [span for span in spans if span["input_text"]]
    calls = [span for span in told if span["op_kind"] == "inference"] or told
    if not calls:
        raise Invalid("Nothing of this trace's content was kept.", "Write the messages by hand.")
    last = calls[-1]
    asked = [
        {"role": one.role if one.role in ROLES else "user", "content": "\n".join(part.text for part in one.parts)}
        for one in messages(last["input_text"], "user")
    ]
    answered = ["\n".join(part.text for part in one.parts) for one in messages(last["output_text"], "assistant")]
    return {
        "name": f"Incident {incident.pk}: {asked[-1]['content'][:60] if asked else trace_id}",
        "messages": asked,
        "reference": "",
        "assertions": [],
        "source_trace_ids": [trace_id.lower()],
        "answered": "\n".join(answered),
    }


@transaction.atomic
def keep(actor: Actor, incident: Incident, document: Mapping[str, Any]) -> PromptDraft:
    """Store a draft; another one of the same name is replaced until a probe was made of it."""
    fresh = locked(actor, incident)
    checked = check(document)
    digest = hashlib.sha256(orjson.dumps(checked, option=orjson.OPT_SORT_KEYS)).hexdigest()
    known = PromptDraft.objects.filter(incident=fresh, name=checked["name"]).first()
    if known is not None and known.taken_at is not None:
        raise Conflict("A probe was made of the draft with this name.", "Alter the probe, or choose another name.")
    values = {"document": checked, "sha256": digest, "at": clock.now(), "by": actor.name}
    row, _ = PromptDraft.objects.update_or_create(incident=fresh, name=checked["name"], defaults=values)
    append(actor, fresh, "prompt", f"Golden prompt drafted: {row.name}", {"draft": row.pk, "sha256": digest})
    tell(actor, fresh, "incident.prompt_drafted", {"draft": row.pk, "sha256": digest})
    return row


def drafts_seen_by(actor: Actor) -> QuerySet[PromptDraft]:
    """For probes too: those that nobody has taken over have no `taken_at`."""
    seen = actor.sees()
    rows = PromptDraft.objects.select_related("incident__system__client")
    return rows if seen is None else rows.filter(incident__system__client__slug__in=seen)


@transaction.atomic
def taken_over(actor: Actor, draft: PromptDraft, address: str) -> PromptDraft:
    """A probe was made of it, at `address`; in the transaction that made the probe."""
    fresh = locked(actor, draft.incident)
    draft.taken_at, draft.taken_as = clock.now(), address[:200]
    draft.save(update_fields=["taken_at", "taken_as"])
    append(
        actor, fresh, "prompt", f"Golden prompt is watched now: {draft.name}", {"draft": draft.pk, "address": address}
    )
    tell(actor, fresh, "incident.prompt_taken_over", {"draft": draft.pk, "address": address[:200]})
    return draft
