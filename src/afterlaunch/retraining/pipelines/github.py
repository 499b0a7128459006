"""A workflow of GitHub Actions, by `workflow_dispatch`. The answer names no run (204): ours is the one whose title
holds the key, which a workflow does with `run-name: … ${{ inputs.afterlaunch_key }}`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import quote, urlencode

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

API = "https://api.github.com"
SLACK = timedelta(minutes=2)  # of two clocks


class GitHub:
    repeatable = False

    def _headers(self, secret: str) -> dict[str, str]:
        return {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {secret}",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "afterlaunch",
        }

    def _workflow(self, config: Mapping[str, Any]) -> str:
        return f"{_root(config)}/repos/{config['repository']}/actions/workflows/{quote(config['workflow'], safe='')}"

    def start(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order) -> Started:
        inputs = {name: _plain(value) for name, value in config.get("inputs", {}).items()}
        inputs |= {"afterlaunch_key": order.key, config.get("input", "afterlaunch"): orjson.dumps(order.told).decode()}
        body = {"ref": config["ref"], "inputs": inputs}
        answer = ask("POST", f"{self._workflow(config)}/dispatches", self._headers(secret), body)
        require(answer, "GitHub", 200, 204)
        told = json_of(answer, "GitHub") if answer.status == 200 else {}
        return Started(str(told.get("workflow_run_id") or ""), str(told.get("html_url") or ""))

    def look(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order, external: str) -> Seen | None:
        if external:
            address = f"{_root(config)}/repos/{config['repository']}/actions/runs/{quote(external, safe='')}"
            answer = ask("GET", address, self._headers(secret), None)
            require(answer, "GitHub", 200)
            return _seen(json_of(answer, "GitHub"))
        since = (order.at - SLACK).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = urlencode({"event": "workflow_dispatch", "created": f">={since}", "per_page": "50"})
        answer = ask("GET", f"{self._workflow(config)}/runs?{query}", self._headers(secret), None)
        require(answer, "GitHub", 200)
        runs = json_of(answer, "GitHub").get("workflow_runs", [])
        mine = [run for run in runs if order.key in str(run.get("display_title", ""))]
        return _seen(mine[0]) if mine else None


def _root(config: Mapping[str, Any]) -> str:
    return str(config.get("url", API)).rstrip("/")


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _seen(run: Mapping[str, Any]) -> Seen:
    place = str(run.get("id", "")), str(run.get("html_url", ""))
    if run.get("status") != "completed":
        return Seen(RUNNING, "", *place)
    conclusion = run.get("conclusion")
    return Seen(SUCCEEDED if conclusion == "success" else FAILED, f"GitHub: {conclusion}", *place)
