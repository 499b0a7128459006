"""Which alerts are the same one, and which are told together. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import orjson


def _digest(*parts: object) -> str:
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def cleaned(labels: Mapping[str, str]) -> dict[str, str]:
    """Sorted, without those whose value is empty: a missing label equals an empty one."""
    return {name: labels[name] for name in sorted(labels) if labels[name] != ""}


def fingerprint(scope: str, labels: Mapping[str, str], key: str = "") -> str:
    """64 hex digits: of the teller's own key where it has one, else of all labels, within `scope`."""
    return _digest(scope, "key", key) if key else _digest(scope, "labels", sorted(cleaned(labels).items()))


def group_key(scope: str, place: Sequence[str], labels: Mapping[str, str], group_by: Sequence[str]) -> str:
    """64 hex digits: of the place (client, system, environment) and the chosen labels."""
    return _digest(scope, list(place), sorted(group_labels(labels, group_by).items()))


def group_labels(labels: Mapping[str, str], group_by: Sequence[str]) -> dict[str, str]:
    return {name: labels[name] for name in sorted(group_by) if labels.get(name, "") != ""}
