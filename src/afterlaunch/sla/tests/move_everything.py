"""Run by the test beside it in a process of its own: a store of the first edition, with a clock and a calendar, is
brought to the present. Prints one JSON line with what it then holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402

AT = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
HOURS = [{"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "17:00"}]
OLD = {"kind": "batch_slot", "counting": "business", "in_hours": 0, "off_hours": 0, "days": 0, "slot": [1, "10:00"]}
CALENDAR = {"zone": "UTC", "windows": HOURS, "country": "", "subdivision": "", "closures": [], "version": 1}


def main() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("incidents", "0001_initial")])
    apps = executor.loader.project_state([("incidents", "0001_initial")]).apps
    client = apps.get_model("accounts", "Client").objects.create(slug="acme", name="Acme", created_at=AT)
    system = apps.get_model("estate", "System").objects.create(client=client, key="helpdesk", name="Helpdesk")
    apps.get_model("incidents", "SupportCalendar").objects.create(
        client=client, version=1, zone="UTC", windows=HOURS, created_at=AT, created_by="t"
    )
    incident = apps.get_model("incidents", "Incident").objects.create(
        system=system, title="t", severity="P3", peak_severity="P3", fingerprint="f", detected_at=AT
    )
    apps.get_model("incidents", "ResponseClock").objects.create(
        incident=incident,
        tier="standard",
        severity="P3",
        policy="shipped-1",
        target=OLD,
        calendar=CALENDAR,
        started_at=AT,
        deadline=AT + timedelta(days=6),
        candidates={},
        reason="batch_slot",
    )
    call_command("migrate", verbosity=0)
    from afterlaunch.calendars.models import BusinessCalendar
    from afterlaunch.sla.clocks import target_of
    from afterlaunch.sla.duties import watch_clocks
    from afterlaunch.sla.models import Clock

    watch_clocks(AT + timedelta(days=7))
    row = Clock.objects.get()
    calendars = list(BusinessCalendar.objects.values_list("name", "version", "zone"))
    print(json.dumps({"topic": row.topic, "late": row.breached_at == AT + timedelta(days=6),
                      "target": target_of(row).words(), "calendars": calendars}))  # fmt: skip


if __name__ == "__main__":
    main()
