from __future__ import annotations

import pytest

from afterlaunch.app.configuration.apply import apply, export, parse, to_yaml
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import AfterlaunchError
from afterlaunch.retraining.models import Policy

pytestmark = pytest.mark.django_db
SITE = """
{apiVersion: afterlaunch/v1, kind: Client, metadata: {name: acme}, spec: {displayName: Acme}}
---
{apiVersion: afterlaunch/v1, kind: System, metadata: {client: acme, name: shop}, spec: {}}
---
apiVersion: afterlaunch/v1
kind: RetrainingPolicy
metadata: {client: acme, system: shop, name: scorer}
spec:
  schedule: {cron: "0 3 * * 1", zone: Europe/Berlin}
  triggers:
  - {name: worse, when: [{judge: performance.accuracy, status: warning}, {labels: 2000}]}
  budget: {runsPerMonth: 2, costPerRun: 12.5, costPerMonth: "30"}
  pipeline: {kind: airflow, url: "https://airflow.example.org", dag: train, user: ada, credential: "env:AF"}
  registry: {kind: mlflow, url: "https://mlflow.example.org", model: scorer}
"""


def test_a_policy_round_trips() -> None:
    actor = automation("test")
    apply(actor, parse(SITE, "site.yaml"))
    text = to_yaml(export())
    assert apply(actor, parse(text, "export.yaml")) == []
    assert apply(actor, parse(SITE, "site.yaml")) == []
    (changed,) = apply(actor, parse(text.replace("runsPerMonth: 2", "runsPerMonth: 3"), "export.yaml"))
    assert changed.after["budget"]["runsPerMonth"] == 3


@pytest.mark.parametrize(
    ("old", "new"), [("kind: airflow", "kind: cron"), ("labels: 2000", "labels: many"), ("system: shop", "system: x")]
)
def test_what_is_no_policy_is_refused(old: str, new: str) -> None:
    with pytest.raises(AfterlaunchError):
        apply(automation("test"), parse(SITE.replace(old, new), "site.yaml"))
    assert not Policy.objects.exists()
