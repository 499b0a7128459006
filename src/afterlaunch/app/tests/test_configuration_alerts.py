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
{apiVersion: afterlaunch/v1, kind: System, metadata: {client: acme, name: gateway}, spec: {}}
---
apiVersion: afterlaunch/v1
kind: Integration
metadata: {client: acme, name: prometheus}
spec: {kind: prometheus, system: support, environment: prod, severities: {wake-me: P1, chatter: ""}, maySilence: true}
---
apiVersion: afterlaunch/v1
kind: MaintenanceWindow
metadata: {client: acme, name: nightly}
spec:
  matchers: '{system="support"}'
  recurrence: {times: [{start_time: "22:00", end_time: "24:00"}], weekdays: [sunday], location: Europe/Berlin}
---
apiVersion: afterlaunch/v1
kind: InhibitionRule
metadata: {client: acme, name: cluster}
spec: {source: alertname=ClusterDown, target: 'priority=~"P2|P3"', equal: [cluster]}
---
apiVersion: afterlaunch/v1
kind: Dependencies
metadata: {client: acme, system: support}
spec: {needs: [{system: gateway, inhibits: true}]}
"""


def test_what_lets_alerts_in_and_keeps_them_quiet_round_trips() -> None:
    actor = automation("test")
    made = {one.kind: one for one in apply(actor, parse(SITE, "site.yaml"))}
    secret = made["Integration"].secret
    assert secret is not None and secret.startswith("ali_")
    assert {"MaintenanceWindow", "InhibitionRule", "Dependencies"} <= set(made)
    text = to_yaml(export())
    assert secret not in text and 'priority=~"P2|P3"' in text
    assert apply(actor, parse(text, "export.yaml")) == [], "applied again it changes nothing"
    (changed,) = apply(actor, parse(text.replace("storm_limit", "x").replace("stormLimit: 100", "stormLimit: 7"), "x"))
    assert changed.after["stormLimit"] == 7 and changed.secret is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("alertname=ClusterDown", "{{bad"),
        ("system: gateway, inhibits", "system: unknown, inhibits"),
        ("weekdays: [sunday]", "weekdays: [someday]"),
        ("system: support, environment", "system: nobody, environment"),
    ],
)
def test_what_makes_no_sense_is_refused_whole(old: str, new: str) -> None:
    with pytest.raises(AfterlaunchError):
        apply(automation("test"), parse(SITE.replace(old, new), "site.yaml"))
