from __future__ import annotations

import pytest

from afterlaunch.app.configuration.apply import apply, export, parse, to_yaml
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import AfterlaunchError

pytestmark = pytest.mark.django_db
SITE = """
{apiVersion: afterlaunch/v1, kind: Client, metadata: {name: acme}, spec: {displayName: Acme}}
---
{apiVersion: afterlaunch/v1, kind: System, metadata: {client: acme, name: support}, spec: {}}
---
apiVersion: afterlaunch/v1
kind: Budget
metadata: {client: acme, name: tenants}
spec: {unit: usd, limit: 250, window: month, zone: Europe/Berlin, scope: {tenant: "*"}}
---
apiVersion: afterlaunch/v1
kind: Budget
metadata: {client: "*", name: everything}
spec: {unit: tokens, limit: 5000000, window: day, scope: {client: "*"}, system: acme/support, thresholds: [100]}
"""


def test_budgets_round_trip() -> None:
    actor = automation("test")
    assert "Budget" in {one.kind for one in apply(actor, parse(SITE, "site.yaml"))}
    text = to_yaml(export())
    assert apply(actor, parse(text, "export.yaml")) == []
    (changed,) = apply(actor, parse(text.replace("'250'", "'99.50'"), "export.yaml"))
    assert changed.after["limit"] == "99.5"


@pytest.mark.parametrize(("old", "new"), [("limit: 250", "limit: lots"), ("window: month", "window: year")])
def test_what_is_no_budget_is_refused(old: str, new: str) -> None:
    with pytest.raises(AfterlaunchError):
        apply(automation("test"), parse(SITE.replace(old, new), "site.yaml"))
