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
kind: Upstream
metadata: {name: open}
spec: {baseUrl: "https://a.example.org", provider: openai}
---
apiVersion: afterlaunch/v1
kind: Route
metadata: {name: answers}
spec: {client: acme, system: support, baseline: {upstream: open}}
---
{apiVersion: afterlaunch/v1, kind: ApprovalQueue, metadata: {client: acme, name: desk}, spec: {tellAfterSeconds: 600}}
---
apiVersion: afterlaunch/v1
kind: GuardPolicy
metadata: {route: answers, name: refunds}
spec:
  policy:
    where: request
    check: {kind: terms, terms: [refund]}
    action: hold
    fail: closed
    approval: {queue: desk, fallback: deny}
---
apiVersion: afterlaunch/v1
kind: GuardPolicy
metadata: {route: answers, name: invoices}
spec:
  policy:
    where: response
    check: {kind: schema, schema: {type: object, properties: {totalSum: {type: number}}}}
    action: deny
    fail: open
    stream: buffer
---
apiVersion: afterlaunch/v1
kind: GuardPolicy
metadata: {route: answers, name: cites}
spec:
  policy: {where: response, check: {kind: pattern, patterns: ["Source:"], mustMatch: true}, action: flag, fail: open}
"""


def test_policies_and_queues_round_trip() -> None:
    actor = automation("test")
    apply(actor, parse(SITE, "site.yaml"))
    text = to_yaml(export())
    assert "totalSum" in text and "mustMatch" in text
    assert apply(actor, parse(text, "export.yaml")) == []
    (changed,) = apply(actor, parse(text.replace("fallback: deny", "fallback: allow"), "export.yaml"))
    assert changed.after["policy"]["approval"]["fallback"] == "allow"


@pytest.mark.parametrize(
    ("old", "new"), [("fail: closed", "fail: maybe"), ("queue: desk", "queue: nobody"), ("type: number", "type: 7")]
)
def test_what_is_no_policy_is_refused(old: str, new: str) -> None:
    with pytest.raises(AfterlaunchError):
        apply(automation("test"), parse(SITE.replace(old, new), "site.yaml"))
