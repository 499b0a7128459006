from __future__ import annotations

from typing import Any

import orjson
from django.db.models import QuerySet
from ninja import Router

from afterlaunch.evidence import notes
from afterlaunch.evidence.checkpoints import verifier_key
from afterlaunch.evidence.models import Entry, SignedCheckpoint
from afterlaunch.evidence.tree import inclusion_proof
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.errors import Invalid, NotFound
from afterlaunch.look.requests import Request

router = Router(tags=["evidence"])


def entries_seen_by(actor: Actor) -> QuerySet[Entry]:
    """Of one's own clients; entries of the house only for those who see everything."""
    seen = actor.sees()
    return Entry.objects.all() if seen is None else Entry.objects.filter(client__in=seen)


@router.get("/evidence/checkpoint")
def checkpoint(request: Request) -> dict[str, Any]:
    """The newest signed checkpoint and the key that verifies it."""
    newest = SignedCheckpoint.objects.first()
    if newest is None:
        raise NotFound("Nothing has been signed yet.", "The first entries are signed within a minute.")
    signed = {"size": newest.size, "note": newest.note, "signed_at": newest.signed_at}
    return {**signed, "verifier_key": verifier_key().text()}


@router.get("/evidence/entries")
def entries(
    request: Request, subject: str | None = None, deed: str | None = None, limit: int = 100, cursor: int = -1
) -> dict[str, Any]:
    """Entries in their order."""
    limit = max(1, min(limit, 1000))
    wanted = {name: value for name, value in (("subject", subject), ("deed", deed)) if value}
    rows = list(entries_seen_by(request.actor).filter(index__gt=cursor, **wanted)[: limit + 1])
    listed = [{**orjson.loads(bytes(row.body)), "leaf": bytes(row.leaf).hex()} for row in rows[:limit]]
    return {"entries": listed, "cursor": rows[limit - 1].index if len(rows) > limit else None}


@router.get("/evidence/proof")
def proof(request: Request, index: int) -> dict[str, Any]:
    """An inclusion proof of one entry under the newest checkpoint, as a tlog-proof."""
    entry = entries_seen_by(request.actor).filter(index=index).first()
    newest = SignedCheckpoint.objects.first()
    if entry is None:
        raise NotFound(f"There is no entry {index}.")
    if newest is None or newest.size <= index:
        raise Invalid(f"Entry {index} is not under a signed checkpoint yet.", "Ask again in a minute.")
    leaves = [bytes(leaf) for leaf in Entry.objects.filter(index__lt=newest.size).values_list("leaf", flat=True)]
    return {
        "index": index,
        "leaf": bytes(entry.leaf).hex(),
        "proof": notes.write_proof(index, inclusion_proof(leaves, index), newest.note),
    }
