import hashlib
import json
import uuid

from django.db import migrations

SCOPE = ("client", "system", "environment", "route", "arm", "provider", "host")


def fill(apps, schema_editor):
    """Alerts of judges get the labels, fingerprint and system that new ones have; silences become matchers."""
    Alert, Silence = apps.get_model("alerts", "Alert"), apps.get_model("alerts", "Silence")
    System = apps.get_model("estate", "System")
    systems = {(row.client.slug, row.key): row.pk for row in System.objects.select_related("client")}
    for alert in Alert.objects.select_related("verdict").iterator():
        verdict = alert.verdict
        system = systems.get((verdict.client, verdict.system))
        if system is None:
            alert.delete()
            continue
        labels = {name: getattr(verdict, name) for name in SCOPE if getattr(verdict, name)}
        labels = dict(sorted({"alertname": verdict.judge, **labels}.items()))
        parts = [f"judges/{verdict.client}", "labels", sorted(labels.items())]
        body = json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()
        alert.system_id, alert.environment, alert.source = system, verdict.environment, "judges"
        alert.name, alert.labels, alert.fingerprint = verdict.judge, labels, hashlib.sha256(body).hexdigest()
        alert.started_at = alert.told_at = alert.fired_at
        alert.suppressed_as = "silence" if alert.suppressed_by else ""
        alert.save()
    for row in Silence.objects.iterator():
        named = {
            "alertname": row.judge,
            "arm": row.arm,
            "environment": row.environment,
            "route": row.route,
            "system": row.system,
        }
        row.matchers = [{"name": name, "op": "=", "value": value} for name, value in named.items() if value]
        row.public_id = uuid.uuid4()
        row.save()


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_other_tools"), ("estate", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
