"""Any JSON, by a mapping that the user declares.

A mapping names where in the body things stand. A path is names and list places with dots between, `alert.labels.host`
or `items.0.name`; a name that holds a dot is put in quotes, `labels."host.name"`; `=text` is that text itself. `items`
names the list of alerts within the body; without it the body is one alert. `firing` and `resolved` list the values of
the status that mean so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from afterlaunch.ground.errors import Invalid
from afterlaunch.receivers.formats.shape import Parsed, Told, an_object, each, instant, text, texts

PATHS = ("items", "status", "name", "severity", "summary", "key", "startsAt", "endsAt", "url")
FIRING = (
    "firing",
    "alerting",
    "alert",
    "open",
    "triggered",
    "active",
    "problem",
    "down",
    "critical",
    "error",
    "1",
    "true",
)
RESOLVED = ("resolved", "ok", "closed", "recovered", "inactive", "up", "normal", "0", "false")
_STEP = re.compile(r'"([^"]*)"|([^.]+)')
DEFAULT: dict[str, Any] = {
    "status": "status", "name": "name", "severity": "severity", "summary": "summary", "key": "key",
    "startsAt": "startsAt", "endsAt": "endsAt", "url": "url", "labels": "labels",
}  # fmt: skip


def checked(mapping: Any) -> dict[str, Any]:
    """A mapping as it is kept. Raises Invalid."""
    given = an_object(mapping, "A mapping")
    known = {*PATHS, "labels", "annotations", "firing", "resolved"}
    if unknown := sorted(set(given) - known):
        raise Invalid(f"A mapping has no {unknown[0]!r}.", "It has " + ", ".join(sorted(known)) + ".")
    for name in PATHS:
        if name in given:
            _steps(given[name])
    for name in ("labels", "annotations"):
        value = given.get(name, "")
        for path in value.values() if isinstance(value, dict) else [value]:
            if path != "":
                _steps(path)
    for name in ("firing", "resolved"):
        words = given.get(name, [])
        if not isinstance(words, list) or not all(isinstance(word, (str, int, float)) for word in words):
            raise Invalid(f"{name} must be a list of values.")
    return given


def _steps(path: Any) -> list[str]:
    if not isinstance(path, str) or not path or len(path) > 300:
        raise Invalid(f"{str(path)[:60]!r} is no path.", "Names with dots between, such as alert.labels.host")
    return [quoted or plain for quoted, plain in _STEP.findall(path)]


def _at(body: Any, path: Any) -> Any:
    """What stands there; None where nothing does."""
    if not path:
        return None
    if isinstance(path, str) and path.startswith("="):
        return path[1:]
    found = body
    for step in _steps(path):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and len(step) < 6 and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def parse(body: Any, mapping: Mapping[str, Any]) -> Parsed:
    wanted = mapping or DEFAULT
    items = _at(body, wanted["items"]) if wanted.get("items") else body if isinstance(body, list) else [body]
    return each(items, "items", lambda item: _one(item, wanted))


def _one(item: Any, mapping: Mapping[str, Any]) -> Told:
    an_object(item, "An alert")

    def told(name: str, longest: int = 2000) -> str:
        return text(_at(item, mapping.get(name)), name, longest)

    labels, annotations = _many(item, mapping.get("labels")), _many(item, mapping.get("annotations"))
    name = told("name", 200) or labels.get("alertname") or ""
    if not name.strip():
        raise Invalid("It has no name.", "Say in the mapping where its name stands.")
    status = _status(told("status"), mapping)
    starts = instant(_at(item, mapping.get("startsAt")), "startsAt")
    return Told(
        status=status,
        labels={**labels, "alertname": name},
        name=name,
        annotations=annotations,
        summary=told("summary", 5000) or name,
        severity=told("severity", 60) or labels.get("severity"),
        starts_at=starts,
        ends_at=instant(_at(item, mapping.get("endsAt")), "endsAt") if status == "resolved" else None,
        restarts=starts is None,
        key=told("key", 500),
        url=told("url"),
    )


def _status(word: str, mapping: Mapping[str, Any]) -> Any:
    """No word at all fires: an alert that nobody can read must not be lost."""
    firing = {str(one).lower() for one in mapping.get("firing") or FIRING}
    resolved = {str(one).lower() for one in mapping.get("resolved") or RESOLVED}
    if word.lower() in resolved:
        return "resolved"
    if word and word.lower() not in firing:
        raise Invalid(f"The status {word[:60]!r} is neither firing nor resolved.", "List it in the mapping.")
    return "firing"


def _many(item: Any, where: Any) -> dict[str, str]:
    """Labels: all members of one object, or each from a path of its own."""
    if not where:
        return {}
    if isinstance(where, str):
        found = _at(item, where)
        return {name: _flat(value) for name, value in found.items() if name} if isinstance(found, dict) else {}
    return texts({name: _flat(_at(item, path)) for name, path in where.items()}, "labels")


def _flat(value: Any) -> str:
    if value is None:
        return ""
    return (value if isinstance(value, str) else orjson.dumps(value).decode()).replace("\x00", "\ufffd")[:4096]
