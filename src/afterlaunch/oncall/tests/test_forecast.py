from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.estate.models import System
from afterlaunch.ground import clock
from afterlaunch.notify.models import ContactMethod
from afterlaunch.oncall import escalation
from afterlaunch.oncall.forecast import future_pages

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 3, 2, tzinfo=UTC)


def test_pages_to_come_are_told_with_their_instants_until_somebody_acknowledges() -> None:
    client = Client.objects.create(slug="acme", name="Acme", created_at=AT)
    system = System.objects.create(client=client, key="helpdesk", name="Helpdesk")
    ada = User.objects.create_user("ada@acme.example", "Ada")
    Grant.objects.create(user=ada, role="admin", client=client)
    ContactMethod.objects.create(user=ada, kind="email", address=ada.email, created_at=AT, verified_at=AT)
    with clock.frozen(AT):
        assert future_pages("incident/1", AT) == []
        with transaction.atomic():
            escalation.start("incident/1", system, {"severity": "P1"}, AT)
        found = future_pages("incident/1", AT)
        assert [(at - AT, person) for at, person, _ in found] == [(timedelta(minutes=15), ada)]
        escalation.stop("incident/1", "acknowledged", "acknowledged", AT)
        assert future_pages("incident/1", AT) == []
