"""Clocks move to the room of promised times, with their frozen inputs and results."""

from django.db import migrations

KEPT = (
    "tier", "severity", "policy", "calendar", "started_at", "deadline", "candidates", "reason", "met_at",
    "breached_at", "noticed_at", "cause", "superseded_at",
)  # fmt: skip
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def target_of(old):
    """The cell in the form that people write."""
    told = {"kind": old["kind"], "counting": old["counting"], "calendar": "business-hours"}
    if old["kind"] == "duration":
        return told | {name: f"{old[name]}s" for name in ("in_hours", "off_hours")}
    if old["kind"] == "business_days":
        return told | {"days": old["days"], "due_time": ""}
    weekday, time = old["slot"]
    return told | {"slot": {"weekday": DAYS[weekday - 1], "time": time, "zone": ""}}


def carry(apps, schema_editor):
    old, new = apps.get_model("incidents", "ResponseClock"), apps.get_model("sla", "Clock")
    for row in old.objects.select_related("incident__system").order_by("pk"):
        running = row.met_at is None and row.breached_at is None and row.superseded_at is None
        new.objects.create(
            **{name: getattr(row, name) for name in KEPT},
            topic=f"incident/{row.incident_id}",
            client_id=row.incident.system.client_id,
            system_id=row.incident.system_id,
            kind="response",
            target=target_of(row.target),
            promised=row.deadline,
            steps=[{"text": "Counted before steps were kept.", "at": row.deadline.isoformat()}],
            met_by_id=row.incident.responder_id if row.met_at else None,
            superseded_why="severity_change" if row.superseded_at else "",
            next_at=row.started_at if running and row.incident.status == "open" else None,
        )


class Migration(migrations.Migration):
    dependencies = [("incidents", "0003_ai_incidents"), ("sla", "0001_initial")]

    operations = [
        migrations.RunPython(carry),
        migrations.DeleteModel(name="ResponseClock"),
    ]
