"""Ways to a user's own pipeline, by the name of their kind."""

from __future__ import annotations

from afterlaunch.retraining.pipelines import airflow, command, github, gitlab, webhook
from afterlaunch.retraining.pipelines.words import Pipeline

PIPELINES: dict[str, Pipeline] = {
    "webhook": webhook.Webhook(),
    "github": github.GitHub(),
    "gitlab": gitlab.GitLab(),
    "airflow": airflow.Airflow(),
    "command": command.Command(),
}
