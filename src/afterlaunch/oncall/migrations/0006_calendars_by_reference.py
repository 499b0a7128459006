from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("oncall", "0005_sealed_calendars"),
    ]

    operations = [
        migrations.AddField(
            model_name="calendarin",
            name="reference",
            field=models.CharField(blank=True, default="", max_length=300),
        ),
    ]
