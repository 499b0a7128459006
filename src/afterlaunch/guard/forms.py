"""A policy as its form tells it. `what` is what the kind of check looks for: a line each, or a schema as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from afterlaunch.contracts.guard import Policy
from afterlaunch.contracts.guard_checks import Check
from afterlaunch.ground.errors import Invalid

LISTS = {"pattern": "patterns", "terms": "terms", "pii": "kinds", "urls": "names", "models": "names", "tools": "names"}
PATHS = ("path", "above", "below", "values", "found")  # of a check of arguments
APPROVAL = ("queue", "fallback", "timeout", "wait", "stands")


def read(given: Mapping[str, str]) -> dict[str, Any]:
    """What the form does not show for the action or the stream that is chosen is not read. Raises Invalid."""
    spec: dict[str, Any] = {name: given.get(name, "") for name in ("where", "action", "fail")}
    spec["check"] = _check(given)
    spec["mode"] = given.get("mode") or "enforce"
    for name in ("stream", "message"):
        if given.get(name, "").strip():
            spec[name] = given[name].strip()
    if spec.get("stream") == "watch" and given.get("window", "").strip():
        spec["window"] = _whole(given, "window")
    if spec["action"] == "deny" and given.get("again"):
        spec["again"] = True
    if spec["action"] == "redact" and given.get("restore"):
        spec["restore"] = True
    for name in ("tenants", "agents"):
        if found := _lines(given.get(name, ""), ","):
            spec[name] = found
    if spec["action"] == "hold":
        spec["approval"] = _approval(given)
    return spec


def _check(given: Mapping[str, str]) -> dict[str, Any]:
    kind, what = given.get("kind", ""), given.get("what", "").strip()
    check: dict[str, Any] = {"kind": kind}
    if kind in LISTS:
        check[LISTS[kind]] = _lines(what)
    if kind in ("pattern", "arguments") and given.get("must_match"):
        check["must_match"] = True
    if kind == "arguments":
        check |= _arguments(given, what)
    if kind == "length":
        check |= {name: _whole(given, name) for name in ("least", "most") if given.get(name, "").strip()}
    if kind == "schema":
        try:
            check["schema"] = orjson.loads(what or "null")
        except orjson.JSONDecodeError as problem:
            raise Invalid(f"The schema is no JSON: {problem}.") from problem
    if kind == "http":
        check["url"] = given.get("url", "").strip()
        if given.get("credential", "").strip():
            check["credential"] = given["credential"].strip()
        if given.get("deadline", "").strip():
            check["deadline"] = _number(given, "deadline")
    return check


def _arguments(given: Mapping[str, str], what: str) -> dict[str, Any]:
    check: dict[str, Any] = {"path": given.get("path", "").strip()}
    check |= {name: _number(given, name, "a number") for name in ("above", "below") if given.get(name, "").strip()}
    told = {"names": _lines(what), "patterns": _lines(given.get("found", "")), "values": _values(given)}
    return check | {name: found for name, found in told.items() if found}


def _values(given: Mapping[str, str]) -> list[Any]:
    """A line each, as JSON; what is none is a text."""
    found: list[Any] = []
    for line in _lines(given.get("values", "")):
        try:
            found.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            found.append(line)
    return found


def _approval(given: Mapping[str, str]) -> dict[str, Any]:
    approval: dict[str, Any] = {"queue": given.get("queue", ""), "fallback": given.get("fallback", "")}
    for name in APPROVAL[2:]:
        if given.get(name, "").strip():
            approval[name] = _number(given, name)
    return approval


def _lines(text: str, sign: str = "\n") -> list[str]:
    return [one.strip() for one in text.replace("\r", "").split(sign) if one.strip()]


def _whole(given: Mapping[str, str], name: str) -> int:
    text = given[name].replace(",", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Invalid(f"{name} is a whole number, not {text!r}.")
    return int(text)


def _number(given: Mapping[str, str], name: str, what: str = "a number of seconds") -> float:
    try:
        found = float(given[name])
    except ValueError:
        raise Invalid(f"{name} is {what}, not {given[name]!r}.") from None
    return found


def filled(policy: Policy | None) -> dict[str, Any]:
    """What the form shows; of a new policy, the usual ones."""
    if policy is None:
        return {"where": "request", "kind": "pii", "action": "deny", "fail": "closed", "mode": "observe"}
    check, approval = policy.check, policy.approval
    found: dict[str, Any] = {
        name: getattr(policy, name) for name in ("where", "action", "fail", "mode", "stream", "message")
    }
    found |= {
        "again": policy.again,
        "restore": policy.restore,
        "kind": check.kind,
        "must_match": check.must_match,
        "url": check.url,
        "credential": check.credential,
    }
    found |= {"least": check.least or "", "most": check.most or "", "deadline": f"{check.deadline:g}"}
    found |= {"window": policy.window or "", "tenants": ", ".join(policy.tenants), "agents": ", ".join(policy.agents)}
    found |= _shown(check) if check.kind == "arguments" else {}
    found["what"] = _what(policy)
    if approval is not None:
        found |= {"queue": approval.queue, "fallback": approval.fallback}
        found |= {name: f"{getattr(approval, name):g}" for name in APPROVAL[2:]}
    return found


def _shown(check: Check) -> dict[str, str]:
    numbers = {name: f"{told:g}" for name in ("above", "below") if (told := getattr(check, name)) is not None}
    values = [one if isinstance(one, str) and _is_text(one) else orjson.dumps(one).decode() for one in check.values]
    return {"path": check.path, "found": "\n".join(check.patterns), "values": "\n".join(values), **numbers}


def _is_text(value: str) -> bool:
    """Whether a line of it is read as a text again."""
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return value == value.strip() and len(value.splitlines()) == 1
    return False


def _what(policy: Policy) -> str:
    check = policy.check
    if check.kind == "arguments":
        return "\n".join(check.names)
    if check.kind == "schema":
        return orjson.dumps(check.schema, option=orjson.OPT_INDENT_2).decode()
    return "\n".join(getattr(check, LISTS[check.kind])) if check.kind in LISTS else ""


def summary(policy: Policy) -> str:
    """One line for lists."""
    check = policy.check
    if check.kind in LISTS:
        named = getattr(check, LISTS[check.kind])
        shown = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        must = "must match " if check.must_match else ""
        return f"{check.kind}: {must}{shown or 'all kinds'}"
    if check.kind == "length":
        parts = [f"at least {check.least:,}"] if check.least else []
        parts += [f"at most {check.most:,}"] if check.most else []
        return f"{' and '.join(parts)} characters"
    if check.kind == "arguments":
        return f"arguments: {_condition(check)}"
    if check.kind == "http":
        return f"asks {check.url.split('/')[2]}"
    return {"always": "every call", "schema": "JSON schema"}[check.kind]


def _condition(check: Check) -> str:
    parts = [f"above {check.above:g}"] if check.above is not None else []
    parts += [f"below {check.below:g}"] if check.below is not None else []
    parts += [f"like {', '.join(check.patterns[:2])}"] if check.patterns else []
    parts += [f"one of {orjson.dumps(check.values[:3]).decode()[1:-1]}"] if check.values else []
    said = " or ".join(parts) or "told"
    of = f" of {', '.join(check.names[:3])}" if check.names else ""
    return f"{check.path} {'is not ' if check.must_match else ''}{said}{of}"
