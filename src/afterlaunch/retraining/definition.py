"""What a policy says: when to train again, how often and for how much at most, who approves, whose pipeline runs. Pure.

What is wrong is an `Invalid` that names the place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from afterlaunch.calendars.cron import check_cron
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.references import REFERENCE

STATUSES = ("warning", "breach")
TRIGGERS, ALL_OF = 50, 20  # triggers of a policy, conditions of a trigger
APPROVALS = ("posture", "always")
NEEDED = {
    "webhook": ("url", "secret"),
    "github": ("repository", "workflow", "ref", "credential"),
    "gitlab": ("url", "project", "ref", "credential"),
    "airflow": ("url", "dag", "credential"),
    "command": ("argv",),
}
OPTIONAL = {
    "webhook": (),
    "github": ("url", "inputs", "input"),
    "gitlab": ("variables",),
    "airflow": ("api", "user", "conf"),
    "command": ("folder",),
}
SECRETS = ("secret", "credential")
REGISTRY = ("kind", "url", "model", "credential")
SPEC = (
    "environment", "schedule", "triggers", "cooldownHours", "budget", "approval", "pipeline", "registry", "route",
    "timeoutHours", "paused",
)  # fmt: skip
CONDITIONS = ("judge", "status", "labels", "predictions")


@dataclass(frozen=True)
class Condition:
    """One of: a judge's verdict that is this bad, so many labels, or so many predictions, since the last run."""

    judge: str = ""
    status: str = "breach"
    labels: int = 0
    predictions: int = 0


@dataclass(frozen=True)
class Trigger:
    """Fires when all its conditions hold."""

    name: str
    when: tuple[Condition, ...]


@dataclass(frozen=True)
class Values:
    """`cooldown` and `timeout` in hours; `cost` what a run is thought to cost, `most_cost` what a month may."""

    pipeline: Mapping[str, Any]
    environment: str = "prod"
    cron: str = ""
    zone: str = "UTC"
    triggers: tuple[Trigger, ...] = ()
    cooldown: int = 24
    runs: int = 4
    cost: Decimal | None = None
    most_cost: Decimal | None = None
    currency: str = "USD"
    approval: str = "posture"
    registry: Mapping[str, Any] = field(default_factory=dict)
    route: str = ""
    timeout: int = 24
    paused: bool = False


def read(told: Any) -> Values:
    """Of the document's spec. Raises Invalid."""
    spec = _map(told, "spec", SPEC)
    cron, zone = _schedule(spec.get("schedule"))
    budget = _map(spec.get("budget") or {}, "spec.budget", ("runsPerMonth", "costPerRun", "costPerMonth", "currency"))
    cost, most = (_money(budget.get(name), f"spec.budget.{name}") for name in ("costPerRun", "costPerMonth"))
    if most is not None and cost is None:
        raise Invalid("spec.budget.costPerMonth needs costPerRun: what a run is thought to cost.")
    approval = spec.get("approval", "posture")
    if approval not in APPROVALS:
        raise Invalid(f"spec.approval is one of {', '.join(APPROVALS)}.")
    triggers = tuple(_trigger(one, at) for at, one in enumerate(_list(spec.get("triggers"), "spec.triggers", TRIGGERS)))
    if len({one.name for one in triggers}) < len(triggers):
        raise Invalid("spec.triggers: two have one name.")
    paused = spec.get("paused", False)
    if not isinstance(paused, bool):
        raise Invalid("spec.paused is true or false.")
    return Values(
        pipeline=_pipeline(spec.get("pipeline")),
        environment=_text(spec.get("environment", "prod"), "spec.environment"),
        cron=cron,
        zone=zone,
        triggers=triggers,
        cooldown=_whole(spec.get("cooldownHours", 24), "spec.cooldownHours", 0, 8_784),
        runs=_whole(budget.get("runsPerMonth", 4), "spec.budget.runsPerMonth", 0, 10_000),
        cost=cost,
        most_cost=most,
        currency=_text(budget.get("currency", "USD"), "spec.budget.currency"),
        approval=approval,
        registry=_registry(spec.get("registry")),
        route=_text(spec.get("route") or "", "spec.route", empty=True),
        timeout=_whole(spec.get("timeoutHours", 24), "spec.timeoutHours", 1, 720),
        paused=paused,
    )


def written(values: Values) -> dict[str, Any]:
    """The spec that `read` takes back."""
    budget = {"runsPerMonth": values.runs, "costPerRun": values.cost, "costPerMonth": values.most_cost}
    schedule = {"schedule": {"cron": values.cron, "zone": values.zone}} if values.cron else {}
    return {
        "environment": values.environment,
        **schedule,
        "triggers": [
            {"name": one.name, "when": [_condition_told(each) for each in one.when]} for one in values.triggers
        ],
        "cooldownHours": values.cooldown,
        "budget": {key: str(v) if isinstance(v, Decimal) else v for key, v in budget.items() if v is not None}
        | {"currency": values.currency},
        "approval": values.approval,
        "pipeline": dict(values.pipeline),
        **({"registry": dict(values.registry)} if values.registry else {}),
        **({"route": values.route} if values.route else {}),
        "timeoutHours": values.timeout,
        "paused": values.paused,
    }


def _condition_told(one: Condition) -> dict[str, Any]:
    told = {name: value for name, value in asdict(one).items() if value}
    return told if one.judge else {name: value for name, value in told.items() if name != "status"}


def references(values: Values) -> list[str]:
    """Secrets that the policy names."""
    found = [values.pipeline.get(name) for name in SECRETS] + [values.registry.get("credential")]
    return [str(one) for one in found if one]


def _schedule(told: Any) -> tuple[str, str]:
    if told is None:
        return "", "UTC"
    row = _map(told, "spec.schedule", ("cron", "zone"))
    zone = _text(row.get("zone", "UTC"), "spec.schedule.zone")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid("spec.schedule.zone is an IANA time zone, such as Europe/Berlin.") from None
    return check_cron(row.get("cron")), zone


def _trigger(told: Any, at: int) -> Trigger:
    where = f"spec.triggers[{at}]"
    row = _map(told, where, ("name", "when"))
    told = _list(row.get("when"), f"{where}.when", ALL_OF)
    when = tuple(_condition(one, f"{where}.when[{n}]") for n, one in enumerate(told))
    if not when:
        raise Invalid(f"{where}.when is empty.", "For example [{judge: drift.input}, {labels: 2000}]")
    return Trigger(_text(row.get("name"), f"{where}.name"), when)


def _condition(told: Any, where: str) -> Condition:
    row = _map(told, where, CONDITIONS)
    if len({"judge", "labels", "predictions"} & set(row)) != 1:
        raise Invalid(f"{where} has one of judge, labels and predictions.")
    if "judge" in row:
        status = row.get("status", "breach")
        if status not in STATUSES:
            raise Invalid(f"{where}.status is one of {', '.join(STATUSES)}.")
        return Condition(_text(row["judge"], f"{where}.judge"), status)
    if "labels" in row:
        return Condition(labels=_whole(row["labels"], f"{where}.labels", 1, 10**12))
    return Condition(predictions=_whole(row["predictions"], f"{where}.predictions", 1, 10**12))


def _pipeline(told: Any) -> dict[str, Any]:
    where = "spec.pipeline"
    if not isinstance(told, dict) or told.get("kind") not in NEEDED:
        raise Invalid(f"{where}.kind is one of {', '.join(NEEDED)}.")
    kind = told["kind"]
    row = _map(told, where, ("kind", *NEEDED[kind], *OPTIONAL[kind]))
    out: dict[str, Any] = {"kind": kind}
    for name in (*NEEDED[kind], *OPTIONAL[kind]):
        if name in row:
            out[name] = _part(name, row[name], f"{where}.{name}")
        elif name in NEEDED[kind]:
            raise Invalid(f"{where}.{name} is missing.", f"A pipeline of kind {kind} needs {', '.join(NEEDED[kind])}.")
    if kind == "airflow" and out.setdefault("api", "v2") not in ("v1", "v2"):
        raise Invalid(f"{where}.api is v1 or v2.")
    return out


def _part(name: str, value: Any, where: str) -> Any:
    if name in ("inputs", "variables", "conf"):
        given = _map(value, where, None)
        if len(given) > 20 or not all(_is_plain(one) for one in (*given, *given.values())):
            raise Invalid(f"{where} maps up to 20 names to plain values.")
        return given
    if name == "argv":
        words = [_text(one, where) for one in _list(value, where, 50)]
        if not words:
            raise Invalid(f"{where} is a list of 1 to 50 words, the first of them a program.")
        return words
    text = _text(value, where)
    if name in SECRETS and not REFERENCE.fullmatch(text):
        raise Invalid(f"{where} is env:NAME or file:/path, never the secret itself.")
    if name == "url":
        _address(text, where)
    if name == "repository" and text.count("/") != 1:
        raise Invalid(f"{where} is OWNER/NAME.")
    return text


def _is_plain(value: Any) -> bool:
    """What every database keeps as JSON."""
    if isinstance(value, str):
        return "\x00" not in value
    return isinstance(value, int | float) and isfinite(value)


def _registry(told: Any) -> dict[str, Any]:
    if told is None or told == {}:
        return {}
    row = _map(told, "spec.registry", REGISTRY)
    if row.get("kind") != "mlflow":
        raise Invalid("spec.registry.kind is mlflow.", "Leave the registry out to use ours.")
    out = {"kind": "mlflow", "model": _text(row.get("model"), "spec.registry.model")}
    out["url"] = _part("url", row.get("url"), "spec.registry.url")
    if row.get("credential"):
        out["credential"] = _part("credential", row["credential"], "spec.registry.credential")
    return out


def _address(text: str, where: str) -> None:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Invalid(f"{where} is a web address without a user name.", "https://host/path, say")


def _map(told: Any, where: str, names: Sequence[str] | None) -> dict[str, Any]:
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told):
        raise Invalid(f"{where} is a mapping.", f"It has: {', '.join(names)}" if names else "")
    if names is not None and (unknown := sorted(set(told) - set(names))):
        raise Invalid(f"{where} has no {unknown[0]}.", f"It may have: {', '.join(names)}")
    return told


def _list(told: Any, where: str, most: int) -> list[Any]:
    if told is None:
        return []
    if not isinstance(told, list | tuple):
        raise Invalid(f"{where} is a list.")
    if len(told) > most:
        raise Invalid(f"{where} has at most {most} entries.")
    return list(told)


def _text(value: Any, where: str, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > 1_000 or not value.isprintable() or not (empty or value.strip()):
        raise Invalid(f"{where} is a text.")
    return value.strip()


def _whole(value: Any, where: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid(f"{where} is a whole number from {least} to {most}.")
    return value


def _money(value: Any, where: str) -> Decimal | None:
    if value is None:
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise Invalid(f"{where} is an amount of money, such as '12.50'.") from None
    if not found.is_finite() or not 0 <= found < 10**10:
        raise Invalid(f"{where} is an amount of money, such as '12.50'.")
    return found.quantize(Decimal("0.01"))
