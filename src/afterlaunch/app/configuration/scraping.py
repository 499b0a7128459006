"""Documents of targets: addresses that tell metrics."""

from __future__ import annotations

from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import FLAG, NEEDED_TEXT, TEXT, Field, texts, whole
from afterlaunch.app.configuration.people import client
from afterlaunch.ground.actors import Actor
from afterlaunch.ground.references import REFERENCE
from afterlaunch.scraping import rules
from afterlaunch.scraping.actions import Values, put_target
from afterlaunch.scraping.models import Target


def _reference(value: Any) -> str:
    text: str = TEXT.take(value)
    if text and not REFERENCE.fullmatch(text):
        raise ValueError(value)
    return text


_REFERENCE = Field("env:NAME or file:/path, never the secret itself", _reference)
FIELDS: dict[str, tuple[str, Field]] = {
    "system": ("system", NEEDED_TEXT),
    "environment": ("environment", TEXT),
    "url": ("url", NEEDED_TEXT),
    "intervalSeconds": ("interval", whole(rules.LEAST_INTERVAL, rules.MOST_INTERVAL)),
    "labels": ("labels", texts()),
    "bearerToken": ("bearer", _REFERENCE),
    "username": ("username", TEXT),
    "password": ("password", _REFERENCE),
    "sampleLimit": ("sample_limit", whole(1, rules.MOST_SAMPLES)),
    "paused": ("paused", FLAG),
}
TARGET_FIELDS = {name: field for name, (_, field) in FIELDS.items()}


def read_targets() -> list[tuple[Metadata, Spec]]:
    return [
        (
            {"client": row.client.slug, "name": row.name},
            {name: getattr(row, column) for name, (column, _) in FIELDS.items()},
        )
        for row in Target.objects.select_related("client").order_by("client__slug", "name")
    ]


def put_target_document(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """What a document leaves out stays as it is."""
    of, name = client(metadata["client"]), metadata["name"]
    known = Target.objects.filter(client=of, name=name).first()
    before = {column: getattr(known, column) for column, _ in FIELDS.values()} if known else {}
    told = {column: spec[field] for field, (column, _) in FIELDS.items() if field in spec}
    put_target(actor, of, name, Values(**{**before, **told}))
