"""`erasures`: what was erased, and whether a name was it, from the record alone."""

from __future__ import annotations

import hmac
import sys
from typing import Any

import typer

from afterlaunch.cli.output import answer, plainly, say, with_data


@plainly
def erasures(
    value: str | None = typer.Option(None, help="A name: exit 1 unless one of these erasures was about it."),
    data: str | None = typer.Option(None, "--data", help="Data folder. Default: AFTERLAUNCH_DATA."),
    json: bool = typer.Option(False, "--json", help="Answer with one JSON document."),
) -> None:
    """Erasures with their counts and digests, newest first. The running server tells whether anything is left."""
    with_data(data)
    from afterlaunch.telemetry.keeping.erasing import Subject, digest_of
    from afterlaunch.telemetry.keeping.models import Erasure

    told: list[dict[str, Any]] = []
    for row in Erasure.objects.select_related("client"):
        subject = Subject(row.client.slug, row.kind, value or "")
        if value is not None and not hmac.compare_digest(digest_of(row.salt, subject), row.digest):
            continue
        facts = {"id": row.pk, "client": row.client.slug, "kind": row.kind, "asked_at": row.asked_at.isoformat()}
        done = {"done_at": row.done_at.isoformat() if row.done_at else None, "rows": row.counts}
        told.append({**facts, **done, "subject_sha256": row.digest, "salt": row.salt, "traces_sha256": row.erased})
    if json:
        answer({"erasures": told})
    else:
        for one in told:
            rows = ", ".join(f"{number} {name}" for name, number in one["rows"].items() if number) or "no rows"
            state = f"done {one['done_at']}" if one["done_at"] else "under way"
            sys.stdout.write(f"{one['id']}  {one['client']}  {one['kind']}  {state}  {rows}\n")
        if not told:
            say("No erasure." if value is None else "No erasure was about this name.")
    if value is not None and not told:
        raise typer.Exit(1)
