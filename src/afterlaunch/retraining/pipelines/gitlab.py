"""A pipeline of GitLab CI, made with variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from afterlaunch.retraining.pipelines.words import (
    FAILED,
    RUNNING,
    SUCCEEDED,
    Ask,
    Order,
    Seen,
    Started,
    json_of,
    require,
)

OVER = {"success": SUCCEEDED, "failed": FAILED, "canceled": FAILED, "skipped": FAILED}


class GitLab:
    repeatable = False

    def _project(self, config: Mapping[str, Any]) -> str:
        return f"{config['url'].rstrip('/')}/api/v4/projects/{quote(config['project'], safe='')}"

    def start(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order) -> Started:
        told = {**config.get("variables", {}), "AFTERLAUNCH_KEY": order.key}
        told |= {"AFTERLAUNCH_CALLBACK": order.callback, "AFTERLAUNCH_ORDER": orjson.dumps(order.told).decode()}
        body = {"ref": config["ref"], "variables": [{"key": key, "value": str(value)} for key, value in told.items()]}
        answer = ask("POST", f"{self._project(config)}/pipeline", {"PRIVATE-TOKEN": secret}, body)
        require(answer, "GitLab", 201)
        made = json_of(answer, "GitLab")
        return Started(str(made.get("id", "")), str(made.get("web_url", "")))

    def look(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order, external: str) -> Seen | None:
        if not external:
            return None
        address = f"{self._project(config)}/pipelines/{quote(external, safe='')}"
        answer = ask("GET", address, {"PRIVATE-TOKEN": secret}, None)
        require(answer, "GitLab", 200)
        told = json_of(answer, "GitLab")
        status = str(told.get("status"))
        return Seen(OVER.get(status, RUNNING), f"GitLab: {status}", external, str(told.get("web_url", "")))
