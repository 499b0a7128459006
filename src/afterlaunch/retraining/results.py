"""What a pipeline tells of a model that it made, checked. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from afterlaunch.ground.errors import Invalid, TooLarge

MOST = 256 << 10  # bytes
DEEPEST = 50
PARTS = ("data", "code", "parameters", "evaluation")


def checked(told: Any) -> dict[str, Any]:
    """Raises Invalid, TooLarge."""
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise Invalid("'result' is an object.", "It has version, address, data, code, parameters, evaluation.")
    if unknown := sorted(set(told) - {"version", "address", "run", *PARTS}):
        raise Invalid(f"'result' has no {unknown[0]}.", f"It has version, address, run, {', '.join(PARTS)}.")
    for name, most in (("version", 200), ("address", 1_000), ("run", 200)):
        value = told.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > most or not value.isprintable()):
            raise Invalid(f"result.{name} is a text of at most {most} characters.")
    address = told.get("address") or ""
    if address and not address.startswith(("https://", "http://", "models:/", "s3://", "gs://", "runs:/")):
        raise Invalid("result.address is an address.", "https://…, models:/NAME/VERSION, s3://…")
    for name in PARTS:
        if told.get(name) is not None and not isinstance(told[name], dict | list):
            raise Invalid(f"result.{name} is an object or a list.")
    _require_kept(told)
    if len(orjson.dumps(told)) > MOST:
        raise TooLarge(f"'result' has more than {MOST >> 10} KiB.", "Tell digests and addresses, not the things.")
    return told


def _require_kept(told: Any) -> None:
    """What no database keeps as JSON: too deep, or with a character that is none."""
    level, depth = [told], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise Invalid(f"'result' is nested more than {DEEPEST} deep.")
        inner = list[Any]()
        for one in level:
            if isinstance(one, dict):
                inner += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                inner += one
            elif isinstance(one, str) and "\x00" in one:
                raise Invalid("'result' has a text with a character that is none.")
        level = inner
