from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("changes", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="change",
            name="kind",
            field=models.CharField(
                choices=[
                    ("prompt", "Prompt"),
                    ("model", "Model"),
                    ("upstream", "Upstream"),
                    ("configuration", "Configuration"),
                    ("observed", "Observed"),
                    ("rollback", "Rollback"),
                    ("deploy", "Deploy"),
                    ("dependency", "Dependency"),
                    ("index", "Index"),
                    ("flag", "Flag"),
                    ("data", "Data"),
                ],
                max_length=20,
            ),
        ),
    ]
