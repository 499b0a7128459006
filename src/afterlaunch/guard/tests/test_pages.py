"""The guard's pages, as those see them who may and who may not."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.contracts.guard_counts import SLOT
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.guard import forms, holding
from afterlaunch.guard.models import Count, Hold, Queue
from afterlaunch.routes.models import GuardPolicy, Route

HOUSE = automation("house")
GATEWAY = Actor("token", "gateway", (Held(Role.INGEST, None),))
BACKEND = "django.contrib.auth.backends.ModelBackend"


def browser(role: str, name: str = "Rita") -> Browser:
    person = User.objects.create_user(f"{role}@example.org", name)
    Grant.objects.create(user=person, role=role, client=Client.objects.get(slug="acme"))
    made = Browser()
    made.force_login(person, backend=BACKEND)
    return made


def shown(answer: object) -> str:
    assert answer.status_code == 200, answer.content[:500]  # type: ignore[attr-defined]
    return re.sub(r"\s+", " ", answer.content.decode())  # type: ignore[attr-defined]


FORM = {
    "route": "answers", "name": "refunds", "where": "request", "kind": "terms", "what": "refund\r\nchargeback\r\n",
    "action": "hold", "fail": "closed", "mode": "enforce", "queue": "desk", "fallback": "deny", "timeout": "600",
    "tenants": "t1, t2",
}  # fmt: skip


def test_a_policy_is_made_altered_and_ended_on_pages(route: Route) -> None:
    operator = browser("operator")
    assert "No policies yet" in shown(operator.get("/guard"))
    assert operator.post("/guard", FORM).status_code == 302
    row = GuardPolicy.objects.get()
    policy = row.contract()
    assert (policy.check.terms, policy.tenants) == (("refund", "chargeback"), ("t1", "t2"))
    assert policy.approval is not None and policy.approval.timeout == 600
    page = shown(operator.get(row.get_absolute_url()))
    assert "chargeback</textarea>" in page and "t1, t2" in page
    Count.objects.create(
        policy=row, gateway="g", slot=int(clock.now().timestamp()) // SLOT * SLOT, evaluated=400, matched=31, held=31,
        exceptions=7, micros=80_000,
    )  # fmt: skip
    assert "31" in shown(operator.get("/guard")) and "afterlaunch.guard.policy" in shown(
        operator.get(row.get_absolute_url())
    )
    altered = {**FORM, "kind": "length", "most": "4000", "action": "deny", "mode": "observe", "position": "3"}
    operator.post(row.get_absolute_url(), altered)
    row.refresh_from_db()
    assert (row.contract().check.most, row.contract().approval, row.position) == (4000, None, 3)
    operator.post(f"/guard/policies/{row.pk}/end", {"reason": "done"})
    assert "done" in shown(operator.get(row.get_absolute_url()))
    assert operator.post("/guard", {**FORM, "name": "x", "kind": "pattern", "what": "(a"}).status_code == 400


def test_a_policy_on_arguments_is_made_altered_and_told(route: Route) -> None:
    operator = browser("operator")
    asked = {**FORM, "name": "dear", "where": "tool-call", "action": "deny", "stream": "buffer",
             "kind": "arguments", "what": "pay\nrefund_*", "path": "$.amount", "above": "500", "found": "",
             "values": 'EUR\n7\n"7"\nnull'}  # fmt: skip
    wrong = operator.post("/guard", {**asked, "path": "amount"})
    assert wrong.status_code == 400 and "JSON path begins with $" in wrong.content.decode()
    assert operator.post("/guard", {**asked, "above": "much"}).status_code == 400
    assert operator.post("/guard", asked).status_code == 302
    row = GuardPolicy.objects.get(name="dear")
    wanted = {"kind": "arguments", "names": ["pay", "refund_*"], "path": "$.amount", "above": 500.0,
              "values": ["EUR", 7, "7", None]}  # fmt: skip
    assert row.spec["check"] == wanted
    page = shown(operator.get(f"/guard/policies/{row.pk}"))
    assert "arguments: $.amount above 500 or one of" in page and "of pay, refund_*" in page
    form = forms.filled(row.contract())
    again = {name: str(form.get(name, "")) for name in ("what", "path", "above", "below", "found", "values")}
    assert forms.read({**asked, **again})["check"] == wanted


def test_what_the_form_hides_is_not_read() -> None:
    hidden = {"again": "1", "restore": "1", "window": "5", "kind": "pii", "where": "response", "fail": "open"}
    assert forms.read({**hidden, "action": "flag"}).keys() == {"where", "action", "fail", "check", "mode"}
    assert forms.read({**hidden, "action": "redact"})["restore"] is True
    denying = forms.read({**hidden, "action": "deny", "stream": "watch"})
    assert (denying["again"], denying["window"], "restore" in denying) == (True, 5, False)


def test_what_waits_is_decided_on_its_page_and_hidden_from_viewers(route: Route) -> None:
    operator, viewer = browser("operator"), browser("viewer")
    operator.post("/guard", FORM)
    policy = GuardPolicy.objects.get()
    told = holding.Question(
        str(policy.pk), "a" * 64, "a blocked term", '{"say": "refund to jane@example.org"}', 40, tenant="t1"
    )
    hold = holding.ask(GATEWAY, told)
    page = shown(viewer.get("/guard/approvals"))
    assert "a blocked term" in page and "tenant t1" in page and 'class="badge breach"' not in page
    Hold.objects.update(asked_at=clock.now() - timedelta(seconds=hold.queue.tell_after))
    assert 'class="badge breach"' in shown(viewer.get("/guard/approvals"))
    hidden = shown(viewer.get(hold.get_absolute_url()))
    assert "refund to" not in hidden and "is shown to responders" in hidden and "Decide" not in hidden
    seen = shown(operator.get(hold.get_absolute_url()))
    assert "refund to [masked: e-mail]" in seen and "jane" not in seen
    assert viewer.post(hold.get_absolute_url(), {"decision": "approve", "reason": "x"}).status_code == 403
    assert operator.post(hold.get_absolute_url(), {"decision": "approve", "reason": "fine"}).status_code == 302
    assert Hold.objects.get().state == "approved"
    after = shown(operator.get("/guard/approvals"))
    assert "Nothing waits" in after and "Approved" in after


def test_a_queue_gets_an_owner_on_the_page(route: Route) -> None:
    operator = browser("operator")
    given = {"client": "acme", "name": "desk", "owner": "operator@example.org", "minutes": "5"}
    operator.post("/guard/approvals", given)
    row = Queue.objects.get()
    assert row.owner is not None and (row.owner.email, row.tell_after) == ("operator@example.org", 300)
    assert operator.post("/guard/approvals", {**given, "minutes": "soon"}).status_code == 400


@pytest.mark.parametrize("address", ["/guard", "/guard/approvals"])
def test_a_stranger_sees_nothing_of_it(route: Route, address: str) -> None:
    operator = browser("operator")
    operator.post("/guard", FORM)
    Client.objects.create(slug="other", name="Other", created_at=clock.now())
    stranger = User.objects.create_user("s@example.org", "Stan")
    Grant.objects.create(user=stranger, role="admin", client=Client.objects.get(slug="other"))
    made = Browser()
    made.force_login(stranger, backend=BACKEND)
    page = shown(made.get(address))
    assert "refunds" not in page and "desk" not in page
    assert made.get(GuardPolicy.objects.get().get_absolute_url()).status_code == 404
