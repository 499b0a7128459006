"""A DAG of Airflow, by its stable REST API v2 (Airflow 3) or v1 (Airflow 2). Its run bears our key, so a second order
of one run is a conflict (409), which is fine."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

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

OVER = {"success": SUCCEEDED, "failed": FAILED}


class Airflow:
    repeatable = True

    def _headers(self, config: Mapping[str, Any], secret: str) -> dict[str, str]:
        """With a user the secret is a password, else a token."""
        if config.get("user"):
            pair = base64.b64encode(f"{config['user']}:{secret}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {"Authorization": f"Bearer {secret}"}

    def _runs(self, config: Mapping[str, Any]) -> str:
        return f"{config['url'].rstrip('/')}/api/{config['api']}/dags/{quote(config['dag'], safe='')}/dagRuns"

    def start(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order) -> Started:
        conf = {**config.get("conf", {}), "afterlaunch": order.told}
        body: dict[str, Any] = {"dag_run_id": _name(order), "conf": conf}
        if config["api"] == "v2":
            body["logical_date"] = None  # the field must be there; null: a run that belongs to no interval
        answer = ask("POST", self._runs(config), self._headers(config, secret), body)
        require(answer, "Airflow", 200, 201, 409)
        page = f"{config['url'].rstrip('/')}/dags/{quote(config['dag'], safe='')}"
        return Started(_name(order), f"{page}/runs/{_name(order)}" if config["api"] == "v2" else f"{page}/grid")

    def look(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order, external: str) -> Seen | None:
        address = f"{self._runs(config)}/{quote(external or _name(order), safe='')}"
        answer = ask("GET", address, self._headers(config, secret), None)
        require(answer, "Airflow", 200)
        state = str(json_of(answer, "Airflow").get("state"))
        return Seen(OVER.get(state, RUNNING), f"Airflow: {state}", external)


def _name(order: Order) -> str:
    return f"afterlaunch-{order.key}"
