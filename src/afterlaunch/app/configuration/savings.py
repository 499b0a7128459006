"""Documents of what owners of routes say about their answers."""

from __future__ import annotations

from typing import Any

from afterlaunch.accounts.models import Client
from afterlaunch.app.configuration.document import Metadata, Spec
from afterlaunch.app.configuration.fields import TEXT, Field, list_of, number, whole
from afterlaunch.app.configuration.people import client
from afterlaunch.ground.actors import Actor
from afterlaunch.savings.actions import say_terms, terms_of
from afterlaunch.savings.facts import Terms
from afterlaunch.savings.pages import candidates

UNTOLD = "*"  # in the place of a system or a route that telemetry does not tell


def _amount(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(value)
    return float(value)


def _candidate(value: Any) -> str:
    provider, _, model = str(value).partition("/")
    if not isinstance(value, str) or not provider.strip() or not model.strip():
        raise ValueError(value)
    return f"{provider.strip()}/{model.strip()}"


TERMS_FIELDS = {
    "metric": TEXT,
    "minimum": Field("a number that is not negative, or null", _amount),
    "margin": number(0, 1_000_000),
    "patienceHours": Field("a number of hours or null", _amount),
    "freshnessMinutes": whole(0, 527_040, none=True),
    "candidates": list_of(Field("provider/model, such as openai/gpt-4o-mini", _candidate)),
}


def read_terms() -> list[tuple[Metadata, Spec]]:
    return [
        (
            {"client": of.slug, "system": row.system or UNTOLD, "route": row.route or UNTOLD},
            {
                "metric": row.metric,
                "minimum": row.minimum,
                "margin": row.margin,
                "patienceHours": row.patience_hours,
                "freshnessMinutes": row.freshness_minutes,
                "candidates": [f"{provider}/{model}" for provider, model in row.candidates],
            },
        )
        for of in Client.objects.order_by("slug")
        for row in terms_of(of)
    ]


def put_terms(actor: Actor, metadata: Metadata, spec: Spec) -> None:
    """What a document leaves out stays as it is."""
    of = client(metadata["client"])
    system, route = ("" if metadata[name] == UNTOLD else metadata[name] for name in ("system", "route"))
    before = next((row.terms for row in terms_of(of) if (row.system, row.route) == (system, route)), Terms())
    terms = Terms(
        metric=spec.get("metric", before.metric),
        minimum=spec.get("minimum", before.minimum),
        margin=spec.get("margin", before.margin),
        patience_hours=spec.get("patienceHours", before.patience_hours),
        freshness_minutes=spec.get("freshnessMinutes", before.freshness_minutes),
        candidates=candidates(",".join(spec["candidates"])) if "candidates" in spec else before.candidates,
    )
    say_terms(actor, of, system, route, terms)
