"""Weekly rotations become schedules of one layer, stand-ins overrides of it, and steps a policy of their own."""

from datetime import datetime

from django.db import migrations


def _stamp(day, wall):
    return datetime.combine(day, wall).isoformat(timespec="minutes")


def fill(apps, schema_editor):
    of = lambda name: apps.get_model("oncall", name)  # noqa: E731
    Client = apps.get_model("accounts", "Client")
    for client in Client.objects.order_by("pk"):
        rotations = list(of("Rotation").objects.filter(client=client).order_by("valid_from", "pk"))
        overrides = of("Override").objects.filter(client=client)
        if rotations or overrides.exists():
            _schedule(of, client, rotations, overrides)
        steps = list(of("EscalationStep").objects.filter(client=client).order_by("position"))
        if steps:
            of("EscalationPolicy").objects.create(
                client=client,
                name="default",
                default=True,
                steps=[_step(one) for one in steps],
                again={"P1": 30},
                catch_all=[{"kind": "owner"}],
            )


def _schedule(of, client, rotations, overrides):
    first = overrides.order_by("created_at").first()
    begins = min([*(one.valid_from for one in rotations), *([first.created_at] if first else [])])
    row = of("Schedule").objects.create(
        client=client,
        name="primary",
        zone=rotations[-1].zone if rotations else client.time_zone,
        created_at=begins,
        recorded_until=begins,
        next_at=begins,
        gaps_at=begins,
    )
    for number, one in enumerate(rotations, 1):
        members = of("RotationMember").objects.filter(rotation=one).order_by("position")
        turning = {
            "type": "weekly",
            "length": one.weeks,
            "start": _stamp(one.anchor_date, one.handoff),
            "advanceOn": "calendar",
            "members": [[member.user_id] for member in members],
        }
        layer = {"name": "weekly", "priority": 0, "timeZone": one.zone, "windows": [], "rotation": turning}
        of("ScheduleVersion").objects.create(
            schedule=row,
            number=number,
            valid_from=one.valid_from,
            layers=[layer] if members else [],
            created_at=one.valid_from,
            created_by=one.created_by,
        )
    for one in overrides:
        one.schedule = row
        one.kind = "replace" if one.absent_id else "cover"
        one.person_id = one.substitute_id
        one.save()


def _step(one):
    kind = {"catch_all": "owner"}.get(one.target, one.target)
    target = {"kind": "person", "id": one.person_id} if kind == "person" else {"kind": kind}
    return {"delay": max(one.delay, 60), "targets": [target], "conditions": {}}


class Migration(migrations.Migration):
    dependencies = [("oncall", "0002_schedules"), ("accounts", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
