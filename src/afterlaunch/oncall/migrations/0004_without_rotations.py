import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("oncall", "0003_fill_schedules"),
    ]

    operations = [
        migrations.RemoveField(model_name="override", name="client"),
        migrations.RemoveField(model_name="override", name="substitute"),
        migrations.AlterField(
            model_name="override",
            name="schedule",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="overrides", to="oncall.schedule"
            ),
        ),
        migrations.DeleteModel(name="EscalationStep"),
        migrations.DeleteModel(name="RotationMember"),
        migrations.DeleteModel(name="Rotation"),
    ]
