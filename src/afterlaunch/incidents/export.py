"""An incident's timeline as a file: JSON that can be checked offline, Markdown to read, CSV to count."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson

from afterlaunch.incidents.chain import BEGINNING, FORMAT
from afterlaunch.incidents.checklist import took_of
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.reviews.drafting import span

TYPES = {"json": "application/json", "md": "text/markdown", "csv": "text/csv"}
COLUMNS = ("sequence", "at", "kind", "actor_kind", "actor", "text", "details", "hash")


def document(incident: Incident) -> dict[str, Any]:
    """What `afterlaunch verify` checks: the entries as they were hashed, and the head."""
    entries = [
        {
            "sequence": row.sequence,
            "at": row.at.isoformat(),
            "kind": row.kind,
            "text": row.text,
            "details": row.details,
            "actor": row.actor,
            "actor_kind": row.actor_kind,
            "hash": row.hash,
        }
        for row in incident.timeline.all()
    ]
    files = incident.files.filter(removed_at=None)
    return {
        "format": FORMAT,
        "incident": {
            "id": incident.pk,
            "title": incident.title,
            "client": incident.system.client.slug,
            "system": incident.system.key,
            "environment": incident.environment,
            "kind": incident.kind,
            "severity": incident.severity,
            "peak_severity": incident.peak_severity,
            "occurred_at": incident.occurred_at,
            "detected_at": incident.detected_at,
            "resolved_at": incident.resolved_at,
        },
        "entries": entries,
        "files": [{"name": one.name, "size": one.size, "sha256": one.sha256} for one in files],
        "head": entries[-1]["hash"] if entries else BEGINNING,
    }


def written(incident: Incident, form: str) -> bytes:
    """`form`: a key of TYPES."""
    told = document(incident)
    if form == "json":
        return orjson.dumps(told, option=orjson.OPT_INDENT_2)
    return (_markdown(incident, told) if form == "md" else _csv(told)).encode()


def _markdown(incident: Incident, told: dict[str, Any]) -> str:
    times = took_of(incident)
    head = [
        f"# Incident {incident.pk}: {_line(incident.title)}",
        "",
        f"{incident.severity} (at its worst {incident.peak_severity}), {incident.get_kind_display()},"
        f" {_line(str(incident.system))}{f', {_line(incident.environment)}' if incident.environment else ''}",
        "",
        "| step | after detection |",
        "| --- | --- |",
        *(f"| {name} | {span(getattr(times, name))} |" for name in ("acknowledge", "contain", "recover", "resolve")),
        "",
        "## Timeline",
        "",
    ]
    head += [
        f"{one['sequence']}. **{one['at']}** {_line(one['actor'])}, {one['kind']}: {_line(one['text'])}"
        for one in told["entries"]
    ]
    files = [f"- {_line(one['name'])}: {one['size']} bytes, SHA-256 `{one['sha256']}`" for one in told["files"]]
    tail = ["", f"{len(told['entries'])} entries; the hash of the last is `{told['head']}`.", ""]
    return "\n".join([*head, *(["", "## Files", "", *files] if files else []), *tail])


def _line(text: str) -> str:
    """On one line, so that no text can pretend to be a heading or another entry."""
    return " ".join(text.replace("`", "'").split())


def _csv(told: dict[str, Any]) -> str:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it; the JSON has it as it is."""
    file = io.StringIO(newline="")
    sheet = csv.writer(file)
    sheet.writerow(COLUMNS)
    for one in told["entries"]:
        cells = {**one, "details": orjson.dumps(one["details"], option=orjson.OPT_SORT_KEYS).decode()}
        sheet.writerow([_cell(str(cells[name])) for name in COLUMNS])
    return file.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
