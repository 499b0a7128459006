"""Golden prompts that a review made of failing traces become probes, so that the same failure is noticed at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.text import slugify

from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Conflict, Invalid, NotFound
from afterlaunch.incidents.reviews.models import PromptDraft
from afterlaunch.incidents.reviews.prompts import drafts_seen_by, taken_over
from afterlaunch.probes.actions import Values, put_probe
from afterlaunch.probes.models import Probe

INTERVAL, TIMEOUT = 900, 60
ENDPOINT = ("route", "url", "model", "credential", "protocol", "provider")


def waiting(actor: Actor) -> QuerySet[PromptDraft]:
    """Those of which no probe was made yet, the newest first."""
    return drafts_seen_by(actor).filter(taken_at=None).order_by("-pk")


def configured(document: Mapping[str, Any], endpoint: Mapping[str, str]) -> dict[str, Any]:
    """A probe's configuration of a draft's document. What the user said last is the prompt, what was said before it the
    history. Raises Invalid."""
    told = list(document["messages"])
    system = "\n\n".join(one["content"] for one in told if one["role"] == "system")
    said = [one for one in told if one["role"] != "system"]
    if not said or said[-1]["role"] != "user" or any(one["role"] == "tool" for one in said):
        raise Invalid(
            "A probe asks what a user said last, after what user and assistant said before.",
            "Leave tool results out of the draft, and end it with the user's words.",
        )
    return {
        **{name: value for name, value in endpoint.items() if value},
        "system": system,
        "history": said[:-1],
        "prompt": said[-1]["content"],
        "assertions": document["assertions"],
    }


@transaction.atomic
def take_over(actor: Actor, pk: int, name: str, endpoint: Mapping[str, str], interval: int = INTERVAL) -> Probe:
    """Make a probe of a draft, of the incident's system and environment; the draft knows it from then on."""
    if extra := set(endpoint) - set(ENDPOINT):
        raise Invalid(f"An endpoint has no {sorted(extra)[0]!r}.", "It holds: " + ", ".join(ENDPOINT))
    draft = drafts_seen_by(actor).select_related("incident__system__client").filter(pk=pk).first()
    if draft is None:
        raise NotFound(f"There is no golden prompt {pk}.")
    if draft.taken_at is not None:
        raise Conflict("A probe was made of it already.", f"See {draft.taken_as}.")
    incident = draft.incident
    chosen = name.strip() or slugify(draft.name)[:60].strip("-") or f"prompt-{draft.pk}"
    if Probe.objects.filter(system=incident.system, name=chosen).exists():
        raise Conflict(f"There is a probe {chosen!r} already.", "Choose another name.")
    values = Values(
        "golden",
        configured(draft.document, endpoint),
        environment=incident.environment or "prod",
        interval=interval,
        timeout=TIMEOUT,
        severity=incident.peak_severity,
    )
    made = put_probe(actor, incident.system, chosen, values)
    taken_over(actor, draft, made.get_absolute_url())
    return made
