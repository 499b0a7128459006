"""The newest version of a model in an MLflow registry, with its lineage, by MLflow's REST API 2.0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from afterlaunch.retraining.pipelines.words import Ask, json_of, require

NEWEST = 20


def newest(ask: Ask, config: Mapping[str, Any], secret: str, since: datetime, key: str) -> dict[str, Any] | None:
    """What a pipeline registered since then, as a result; None: nothing yet. A version that bears our key as a tag
    (`afterlaunch.key`) is ours whatever came after it."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    name = config["model"].replace("'", "''")
    query = urlencode({"filter": f"name='{name}'", "max_results": NEWEST, "order_by": "version_number DESC"})
    root = f"{config['url'].rstrip('/')}/api/2.0/mlflow"
    answer = ask("GET", f"{root}/model-versions/search?{query}", headers, None)
    require(answer, "MLflow", 200)
    rows = json_of(answer, "MLflow").get("model_versions", [])
    fresh = [row for row in rows if int(row.get("creation_timestamp", 0)) >= since.timestamp() * 1000]
    tagged = [row for row in fresh if _pairs(row.get("tags")).get("afterlaunch.key") == key]
    found = (tagged or fresh or [None])[0]
    if found is None:
        return None
    run: Mapping[str, Any] = {}
    if found.get("run_id"):
        answer = ask("GET", f"{root}/runs/get?{urlencode({'run_id': found['run_id']})}", headers, None)
        require(answer, "MLflow", 200)
        run = json_of(answer, "MLflow").get("run", {})
    return _result(config, found, run)


def _result(config: Mapping[str, Any], row: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    data, tags = run.get("data", {}), _pairs(run.get("data", {}).get("tags"))
    inputs = run.get("inputs", {}).get("dataset_inputs", [])
    named = [one.get("dataset", {}) for one in inputs]
    code = {"commit": tags.get("mlflow.source.git.commit"), "source": tags.get("mlflow.source.name")}
    return {
        "version": str(row.get("version", "")),
        "address": f"{config['url'].rstrip('/')}/#/models/{config['model']}/versions/{row.get('version')}",
        "data": [{"name": one.get("name"), "digest": one.get("digest"), "source": one.get("source")} for one in named],
        "code": {name: value for name, value in code.items() if value},
        "parameters": _pairs(data.get("params")),
        "evaluation": _pairs(data.get("metrics")),
        "run": row.get("run_id"),
    }


def _pairs(rows: Any) -> dict[str, Any]:
    return {str(one.get("key")): one.get("value") for one in rows or []}
