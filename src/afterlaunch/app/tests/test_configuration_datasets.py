from __future__ import annotations

import pytest
import yaml

from afterlaunch.app.configuration.apply import apply, export, parse, to_yaml
from afterlaunch.data_contracts.contract import read
from afterlaunch.datasets.models import Version
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import AfterlaunchError

pytestmark = pytest.mark.django_db
SITE = """
{apiVersion: afterlaunch/v1, kind: Client, metadata: {name: acme}, spec: {displayName: Acme}}
---
{apiVersion: afterlaunch/v1, kind: System, metadata: {client: acme, name: shop}, spec: {}}
---
apiVersion: afterlaunch/v1
kind: DataContract
metadata: {client: acme, system: shop, name: orders, owner: team-shop, version: 1.0.0}
spec:
  columns:
  - {name: id, type: integer, required: true, unique: true, unit: piece, meaning: counts up}
  - {name: at, type: timestamp, range: {least: 0}}
  rules:
  - {kind: expression, expression: id > 0, severity: warn}
  freshness: {column: at, most: 90m}
  delivery: {every: 1d, late: 2h, severity: warn}
  volume: {least: 10}
  upstream: {kind: api, provider: Rates Ltd, consumers: [ltv], deprecated: 2027-01-31}
  additionalColumns: false
"""


def test_a_contract_round_trips_and_is_what_the_command_takes() -> None:
    actor = automation("test")
    apply(actor, parse(SITE, "site.yaml"))
    text = to_yaml(export())
    assert apply(actor, parse(text, "export.yaml")) == []
    assert apply(actor, parse(SITE, "site.yaml")) == []
    (document,) = (one for one in yaml.safe_load_all(text) if one["kind"] == "DataContract")
    assert read(yaml.safe_dump(document)).owner == "team-shop"
    (changed,) = apply(actor, parse(text.replace("least: 10", "least: 20"), "export.yaml"))
    assert changed.after["volume"]["least"] == 20
    assert Version.objects.count() == 2


@pytest.mark.parametrize(
    ("old", "new"), [("type: integer", "type: int"), ("owner: team-shop, ", ""), ("shop, name", "x, name")]
)
def test_what_is_no_contract_is_refused(old: str, new: str) -> None:
    with pytest.raises(AfterlaunchError):
        apply(automation("test"), parse(SITE.replace(old, new), "site.yaml"))
    assert not Version.objects.exists()
