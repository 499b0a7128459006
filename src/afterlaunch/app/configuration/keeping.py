"""Documents of keeping: how content is captured, and for how long each kind of data is kept."""

from __future__ import annotations

from typing import Any

from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import NEEDED_TEXT, Field, list_of, mapping, one_of
from afterlaunch.app.configuration.people import client
from afterlaunch.ground.actors import Actor
from afterlaunch.telemetry.keeping.actions import decide
from afterlaunch.telemetry.keeping.content import CAPTURES, Pattern
from afterlaunch.telemetry.keeping.models import Keeping
from afterlaunch.telemetry.keeping.retention import BY_NAME, LONGEST

ALL = "*"  # in the place of a client or a system


def _days(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or set(value) - set(BY_NAME):
        raise ValueError(value)
    if any(isinstance(days, bool) or not isinstance(days, int) for days in value.values()):
        raise ValueError(value)
    return dict(value)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(value)
    return float(value)


KEEPING_FIELDS = {
    "capture": one_of(["", *CAPTURES]),
    "patterns": list_of(mapping({"name": NEEDED_TEXT, "pattern": NEEDED_TEXT})),
    "sampled": Field("a share of traces from 0.000001 to 1, or 0 to inherit it", _share),
    "days": Field(f"days from 1 to {LONGEST} by kind of data: " + ", ".join(BY_NAME), _days),
}


def read_keeping() -> list[tuple[Metadata, Spec]]:
    return [
        (
            {"client": row.client.slug if row.client else ALL, "system": row.system or ALL},
            {"capture": row.capture, "patterns": row.patterns, "days": row.days, "sampled": row.sampled or 0.0},
        )
        for row in Keeping.objects.select_related("client").order_by("client__slug", "system")
    ]


def put_keeping(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    of = None if metadata["client"] == ALL else client(metadata["client"])
    system = "" if metadata["system"] == ALL else metadata["system"]
    patterns = [Pattern(**one) for one in spec["patterns"]] if "patterns" in spec else None
    decide(actor, of, system, spec.get("capture"), patterns, spec.get("days"), spec.get("sampled"))
