from __future__ import annotations

import pytest

from afterlaunch.app.configuration.apply import apply, export, parse, to_yaml
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.savings.models import RouteTerms

pytestmark = pytest.mark.django_db
SITE = """
{apiVersion: afterlaunch/v1, kind: Client, metadata: {name: acme}, spec: {displayName: Acme}}
---
apiVersion: afterlaunch/v1
kind: RouteTerms
metadata: {client: acme, system: desk, route: support}
spec: {metric: correctness, minimum: 0.9, margin: 0.02, patienceHours: 24, candidates: [openai/gpt-4o-mini]}
"""


def test_terms_round_trip_and_are_said_once() -> None:
    actor = automation("test")
    apply(actor, parse(SITE, "site.yaml"))
    text = to_yaml(export())
    assert apply(actor, parse(text, "export.yaml")) == [] and apply(actor, parse(SITE, "site.yaml")) == []
    row = RouteTerms.objects.get()
    assert (row.metric, row.minimum, row.candidates) == ("correctness", 0.9, [["openai", "gpt-4o-mini"]])
    (changed,) = apply(actor, parse(SITE.replace("margin: 0.02, ", "margin: 0.05, "), "site.yaml"))
    assert changed.after["margin"] == 0.05 and RouteTerms.objects.count() == 2


@pytest.mark.parametrize(
    ("old", "new"), [("openai/gpt-4o-mini", "gpt-4o-mini"), ("minimum: 0.9", "minimum: null"), ("24", "-1")]
)
def test_what_are_no_terms_is_refused(old: str, new: str) -> None:
    with pytest.raises(AfterlaunchError):
        apply(automation("test"), parse(SITE.replace(old, new), "site.yaml"))
