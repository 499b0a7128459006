"""Business hours move to the room of calendars, with their versions."""

from django.db import migrations

CARRIED = ("client_id", "version", "zone", "windows", "country", "subdivision", "closures", "created_at", "created_by")


def carry(apps, schema_editor):
    old, new = apps.get_model("incidents", "SupportCalendar"), apps.get_model("calendars", "BusinessCalendar")
    for row in old.objects.order_by("pk"):
        new.objects.create(**{name: getattr(row, name) for name in CARRIED})


def carry_back(apps, schema_editor):
    old, new = apps.get_model("incidents", "SupportCalendar"), apps.get_model("calendars", "BusinessCalendar")
    for row in new.objects.filter(name="business-hours").order_by("pk"):
        old.objects.create(**{name: getattr(row, name) for name in CARRIED})


class Migration(migrations.Migration):
    dependencies = [("incidents", "0001_initial"), ("calendars", "0001_initial")]

    operations = [
        migrations.RunPython(carry, carry_back),
        migrations.DeleteModel(name="SupportCalendar"),
    ]
