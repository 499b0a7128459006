"""Failing traces become golden prompts: a document that probes take over.

{"name": …, "messages": [{"role": "system" | "user" | "assistant" | "tool", "content": …}],
 "reference": the answer that would have been right, or "",
 "assertions": [{"kind": "contains" | "not_contains" | "regex", "value": …},
                {"kind": "json_schema", "schema": …}, {"kind": "similarity", "at_least": 0.8},
                {"kind": "latency", "at_most_ms": …}, {"kind": "cost", "at_most_usd": "0.01"}],
 "source_trace_ids": […]}
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
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
from afterlaunch.telemetry import queries
from afterlaunch.telemetry.views.conversation import messages

ROLES = ("system", "user", "assistant", "tool")
NEEDS = {  # what an assertion holds beside its kind
    "contains": "value",
    "not_contains": "value",
    "regex": "value",
    "json_schema": "schema",
    "similarity": "at_least",
    "latency": "at_most_ms",
    "cost": "at_most_usd",
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
    asserted = [_assertion(one) for one in _list(document, "assertions")]
    checked = {
        "name": name,
        "messages": said,
        "reference": str(document.get("reference") or ""),
        "assertions": asserted,
        "source_trace_ids": traces,
    }
    if not asserted:
        raise Invalid("A golden prompt without an assertion proves nothing.", "Kinds: " + ", ".join(NEEDS))
    if any(one["kind"] == "similarity" for one in asserted) and not checked["reference"]:
        raise Invalid("Similarity needs the reference answer.")
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


def _assertion(one: Any) -> dict[str, Any]:
    told: Mapping[str, Any] = one if isinstance(one, Mapping) else {}
    kind = str(told.get("kind"))
    if kind not in NEEDS:
        raise Invalid(f"{kind!r} is no kind of assertion.", "Kinds: " + ", ".join(NEEDS))
    value = told.get(NEEDS[kind])
    if not _fits(kind, value):
        raise Invalid(f"An assertion of kind {kind} needs {NEEDS[kind]}.", "See the shape in the docs of reviews.")
    return {"kind": kind, NEEDS[kind]: value}


def _fits(kind: str, value: Any) -> bool:
    if kind in ("contains", "not_contains", "regex"):
        return isinstance(value, str) and bool(value)
    if kind == "json_schema":
        return isinstance(value, dict)
    if kind == "cost":
        return _amount(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and (0 < value <= 1 if kind == "similarity" else value > 0)


def _amount(value: Any) -> bool:
    try:
        return isinstance(value, str) and Decimal(value) > 0
    except InvalidOperation:
        return False


def from_trace(actor: Actor, incident: Incident, trace_id: str) -> dict[str, Any]:
    """A document to begin with: what was asked in the trace's last call with content. Its assertions are left to the
    person. Raises NotFound, Invalid when nothing of the content was kept."""
    spans, _ = queries.trace(trace_id, frozenset({incident.system.client.slug}))
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
