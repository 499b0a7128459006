from django.db import migrations, models

MEDIA = {"email": "email", "webhook": "machine"}


def fill(apps, schema_editor):
    """What older rows would say in the new columns."""
    pages = apps.get_model("notify", "Page")
    for kind in pages.objects.order_by().values_list("contact__kind", flat=True).distinct():
        of_kind = pages.objects.filter(contact__kind=kind)
        of_kind.update(kind=kind, medium=MEDIA.get(kind, "chat"), taken_at=models.F("accepted_at"))
    changed = []
    for page in pages.objects.only("pk", "facts", "purpose").iterator():
        page.type = str(page.facts.get("type", "test"))
        page.service = str(page.facts.get("system", ""))[:120]
        page.rank = 3 if page.purpose == "test" else 0 if page.facts.get("severity") == "P1" else 1
        changed.append(page)
        if len(changed) == 500:
            pages.objects.bulk_update(changed, ["type", "service", "rank"])
            changed = []
    pages.objects.bulk_update(changed, ["type", "service", "rank"])
    contacts = apps.get_model("notify", "ContactMethod")
    contacts.objects.update(proved_at=models.F("verified_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("notify", "0003_channels"),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
