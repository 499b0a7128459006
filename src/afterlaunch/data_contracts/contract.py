"""A contract as data and as YAML: `apiVersion: afterlaunch/v1`, `kind: DataContract`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import re2
import yaml

from afterlaunch.data_contracts.cells import TYPES
from afterlaunch.data_contracts.expressions import Expression
from afterlaunch.data_contracts.places import on_line
from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.yaml_text import load

API, KIND = "afterlaunch/v1", "DataContract"
SEVERITIES = ("error", "warn")
COLUMN_KEYS = (
    "name", "type", "required", "nulls", "range", "values", "pattern", "length", "unique", "similar", "warn", "unit",
    "meaning",
)  # fmt: skip
UPSTREAM_KINDS = ("table", "feature", "topic", "api", "feed", "model", "prompt", "embedding", "tool")
SPEC_KEYS = ("columns", "rules", "volume", "freshness", "delivery", "upstream", "additionalColumns")
COLUMN_RULES = ("type", "required", "range", "values", "pattern", "length", "unique", "similar")
SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w)\Z")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
LARGEST = 5 << 20
LONGEST = timedelta(days=3_660)


@dataclass
class Column:
    """What one column must be. None: nothing is asked. `nulls`: the most of them, as a share. `similar`: rare values
    that look like a slip of a frequent one are errors. `warn`: rules that only warn. `unit` (with the time zone of a
    wall time) and `meaning` are for readers, and a change of the unit breaks who reads it."""

    name: str
    type: str = "text"
    required: bool = False
    nulls: float | None = None
    range: tuple[float | None, float | None] | None = None
    values: tuple[str, ...] | None = None
    pattern: str | None = None
    length: tuple[int, int] | None = None
    unique: bool = False
    similar: bool = False
    warn: tuple[str, ...] = ()
    unit: str = ""
    meaning: str = ""

    def severity(self, rule: str) -> str:
        return "warn" if rule in self.warn else "error"


@dataclass
class Rule:
    """Between columns. kind `dependency`: `to` follows from `given`. `embedded`: `column` holds, at its end, what is
    missing in `other`. `expression`: holds for each record. `tolerance`: the share of records that may break it."""

    kind: str
    name: str
    severity: str = "error"
    tolerance: float = 0.0
    given: str = ""
    to: str = ""
    expression: str = ""


@dataclass(frozen=True)
class Upstream:
    """What others deliver: `provider` is who, `consumers` what of ours depends on it, `deprecated` the day it ends."""

    kind: str
    provider: str
    consumers: tuple[str, ...] = ()
    deprecated: date | None = None


@dataclass
class Contract:
    """`every`: how often a delivery is expected; it is overdue `late` after that (by default, three times `every`
    after the one before). `client` and `system`: whose it is, on a server."""

    name: str
    owner: str
    version: str = "1.0.0"
    client: str = ""
    system: str = ""
    columns: list[Column] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    volume: tuple[int | None, int | None] | None = None
    volume_severity: str = "warn"
    fresh_column: str = ""
    fresh: timedelta | None = None
    fresh_severity: str = "error"
    more_columns: bool = True
    every: timedelta | None = None
    late: timedelta | None = None
    delivery_severity: str = "error"
    upstream: Upstream | None = None

    @property
    def patience(self) -> timedelta | None:
        """After a delivery, so long until the next one is overdue."""
        if self.every is None:
            return None
        return self.every + (2 * self.every if self.late is None else self.late)


def read(body: bytes | str) -> Contract:
    """Raises `Invalid`, naming line and place."""
    if len(body) > LARGEST:
        raise Invalid("The contract is larger than 5 MiB.")
    try:
        told = load(body)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        where = ": it is not UTF-8" if isinstance(problem, yaml.reader.ReaderError) else where
        raise Invalid(f"The contract is no YAML{where}.", "See docs/data-contracts.md for its form.") from problem
    try:
        return made(told)
    except Invalid as problem:
        raise on_line(problem, body) from None


def made(told: Any) -> Contract:
    """Of a document that was read as YAML or JSON. Raises `Invalid`, naming the place."""
    top = _map(told, "the contract", ("apiVersion", "kind", "metadata", "spec"))
    if top.get("apiVersion") != API or top.get("kind") != KIND:
        raise Invalid(f"This is no data contract: it needs apiVersion: {API} and kind: {KIND}.")
    meta = _map(top.get("metadata"), "metadata", ("name", "owner", "version", "client", "system"))
    spec = _map(top.get("spec"), "spec", SPEC_KEYS)
    out = Contract(_text(meta, "name", "metadata"), _text(meta, "owner", "metadata"))
    out.version = str(meta.get("version", out.version))
    out.client, out.system = str(meta.get("client", "")), str(meta.get("system", ""))
    out.columns = [_column(one, i) for i, one in enumerate(_list(spec.get("columns"), "spec.columns"))]
    names = [one.name for one in out.columns]
    if twice := {name for name, times in Counter(names).items() if times > 1}:
        raise Invalid(f"spec.columns has {', '.join(sorted(twice))} more than once.")
    out.rules = [_rule(one, i, set(names)) for i, one in enumerate(_list(spec.get("rules"), "spec.rules"))]
    _window(spec, out, set(names))
    out.more_columns = _flag(spec, "additionalColumns", True, "spec")
    return out


def _window(spec: Mapping[str, Any], out: Contract, names: set[str]) -> None:
    if (told := spec.get("volume")) is not None:
        volume = _map(told, "spec.volume", ("least", "most", "severity"))
        least, most = (_amount(volume.get(name), f"spec.volume.{name}") for name in ("least", "most"))
        out.volume = (None if least is None else int(least), None if most is None else int(most))
        out.volume_severity = _severity(volume, "spec.volume")
    if (told := spec.get("freshness")) is not None:
        fresh = _map(told, "spec.freshness", ("column", "most", "severity"))
        out.fresh_column = _known(_text(fresh, "column", "spec.freshness"), names, "spec.freshness.column")
        out.fresh = _span(fresh, "most", "spec.freshness")
        out.fresh_severity = _severity(fresh, "spec.freshness")
    if (told := spec.get("delivery")) is not None:
        delivery = _map(told, "spec.delivery", ("every", "late", "severity"))
        out.every = _span(delivery, "every", "spec.delivery")
        out.late = _span(delivery, "late", "spec.delivery") if "late" in delivery else None
        out.delivery_severity = _severity(delivery, "spec.delivery")
    if (told := spec.get("upstream")) is not None:
        out.upstream = _upstream(_map(told, "spec.upstream", ("kind", "provider", "consumers", "deprecated")))


def _upstream(told: Mapping[str, Any]) -> Upstream:
    where = "spec.upstream"
    kind = _text(told, "kind", where)
    if kind not in UPSTREAM_KINDS:
        raise Invalid(f"{where}.kind: there is no kind {kind!r}.", f"Kinds: {', '.join(UPSTREAM_KINDS)}")
    consumers = tuple(str(one) for one in _list(told.get("consumers"), f"{where}.consumers"))
    end = told.get("deprecated")
    try:
        day = end if end is None or type(end) is date else date.fromisoformat(str(end))
    except ValueError as problem:
        raise Invalid(f"{where}.deprecated is a date such as 2027-01-31.") from problem
    return Upstream(kind, _text(told, "provider", where), consumers, day)


def _span(told: Mapping[str, Any], name: str, where: str) -> timedelta:
    found = SPAN.match(str(told.get(name, "")))
    if not found:
        raise Invalid(f"{where}.{name} is a span such as 3h, 45m or 2d.")
    try:
        span = timedelta(seconds=float(found[1]) * SECONDS[found[2]])
    except OverflowError as problem:
        raise Invalid(f"{where}.{name} is too long.") from problem
    if not timedelta(0) < span <= LONGEST:
        raise Invalid(f"{where}.{name} is more than nothing and at most {LONGEST.days} days.")
    return span


def _column(told: Any, at: int) -> Column:
    where = f"spec.columns[{at}]"
    row = _map(told, where, COLUMN_KEYS)
    out = Column(_text(row, "name", where))
    where = f"spec.columns[{at}] ({out.name})"
    out.type = str(row.get("type", "text"))
    if out.type not in TYPES:
        raise Invalid(f"{where}: there is no type {out.type!r}.", f"Types: {', '.join(TYPES)}")
    out.required = _flag(row, "required", False, where)
    out.unique = _flag(row, "unique", False, where)
    out.similar = _flag(row, "similar", False, where)
    out.nulls = _share(row.get("nulls"), f"{where}.nulls")
    if (told := row.get("range")) is not None:
        bounds = _map(told, f"{where}.range", ("least", "most"))
        out.range = (_amount(bounds.get("least"), f"{where}.range"), _amount(bounds.get("most"), f"{where}.range"))
    if (told := row.get("length")) is not None:
        bounds = _map(told, f"{where}.length", ("least", "most"))
        least, most = (_amount(bounds.get(name), f"{where}.length") for name in ("least", "most"))
        out.length = (int(least or 0), int(most) if most is not None else 1 << 30)
    if (told := row.get("values")) is not None:
        out.values = tuple(str(one) for one in _list(told, f"{where}.values"))
    if (told := row.get("pattern")) is not None:
        out.pattern = str(told)
        compiled(out.pattern, where)
    out.unit, out.meaning = str(row.get("unit") or ""), str(row.get("meaning") or "")
    out.warn = tuple(str(one) for one in _list(row.get("warn"), f"{where}.warn"))
    if unknown := [one for one in out.warn if one not in (*COLUMN_RULES, "nulls")]:
        raise Invalid(f"{where}.warn names no rule: {', '.join(unknown)}.", f"Rules: {', '.join(COLUMN_RULES)}")
    return out


def compiled(pattern: str, where: str = "") -> Any:
    """Linear in the length of what it is matched with, whatever the pattern."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as problem:
        raise Invalid(f"{where}: the pattern {pattern!r} is no regular expression.") from problem


def _rule(told: Any, at: int, names: set[str]) -> Rule:
    where = f"spec.rules[{at}]"
    row = _map(told, where, ("kind", "name", "severity", "tolerance", "from", "to", "column", "other", "expression"))
    kind = row.get("kind")
    severity, tolerance = _severity(row, where), _share(row.get("tolerance"), f"{where}.tolerance") or 0.0
    if kind == "expression":
        text = _text(row, "expression", where)
        for name in Expression(text).columns:
            _known(name, names, where)
        return Rule(kind, str(row.get("name") or text), severity, tolerance, expression=text)
    ends = {"dependency": ("from", "to"), "embedded": ("column", "other")}.get(str(kind))
    if ends is None:
        raise Invalid(f"{where}: there is no kind {kind!r}.", "Kinds: dependency, embedded, expression")
    given, to = (_known(_text(row, name, where), names, f"{where}.{name}") for name in ends)
    word = "→" if kind == "dependency" else "holds"
    return Rule(str(kind), str(row.get("name") or f"{given} {word} {to}"), severity, tolerance, given, to)


def write(contract: Contract) -> str:
    """YAML that `read` takes back."""
    meta = {"client": contract.client, "system": contract.system}
    top = {
        "apiVersion": API,
        "kind": KIND,
        "metadata": {
            **{name: value for name, value in meta.items() if value},
            "name": contract.name,
            "owner": contract.owner,
            "version": contract.version,
        },
        "spec": spec_of(contract),
    }
    return str(yaml.safe_dump(top, sort_keys=False, allow_unicode=True, width=120))


def spec_of(contract: Contract) -> dict[str, Any]:
    """What stands under `spec`; what is as by default is not named."""
    spec: dict[str, Any] = {"columns": [_told(one) for one in contract.columns]}
    if contract.rules:
        spec["rules"] = [_rule_told(one) for one in contract.rules]
    if contract.volume is not None:
        bounds = {"least": contract.volume[0], "most": contract.volume[1]}
        spec["volume"] = _present(bounds) | {"severity": contract.volume_severity}
    if contract.fresh is not None:
        fresh = {"column": contract.fresh_column, "most": _span_told(contract.fresh)}
        spec["freshness"] = fresh | {"severity": contract.fresh_severity}
    if contract.every is not None:
        late = {"late": _span_told(contract.late)} if contract.late else {}
        spec["delivery"] = {"every": _span_told(contract.every), **late, "severity": contract.delivery_severity}
    if (upstream := contract.upstream) is not None:
        end = upstream.deprecated.isoformat() if upstream.deprecated else None
        told: dict[str, Any] = {"kind": upstream.kind, "provider": upstream.provider}
        told |= {"consumers": list(upstream.consumers)} if upstream.consumers else {}
        spec["upstream"] = _present(told | {"deprecated": end})
    if not contract.more_columns:
        spec["additionalColumns"] = False
    return spec


def _span_told(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds / 3600:g}h" if seconds >= 3600 and seconds % 3600 == 0 else f"{seconds:g}s"


def _present(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}


def _told(column: Column) -> dict[str, Any]:
    out: dict[str, Any] = {"name": column.name, "type": column.type}
    for name in ("required", "unique", "similar"):
        if getattr(column, name):
            out[name] = True
    if column.nulls is not None:
        out["nulls"] = column.nulls
    if column.range is not None:
        out["range"] = _present({"least": column.range[0], "most": column.range[1]})
    if column.values is not None:
        out["values"] = list(column.values)
    if column.pattern is not None:
        out["pattern"] = column.pattern
    if column.length is not None:
        out["length"] = {"least": column.length[0], "most": column.length[1]}
    if column.warn:
        out["warn"] = list(column.warn)
    return out | {name: told for name in ("unit", "meaning") if (told := getattr(column, name))}


def _rule_told(rule: Rule) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": rule.kind}
    if rule.kind == "expression":
        out["expression"] = rule.expression
    else:
        ends = ("from", "to") if rule.kind == "dependency" else ("column", "other")
        out |= {ends[0]: rule.given, ends[1]: rule.to}
    if rule.severity != "error":
        out["severity"] = rule.severity
    if rule.tolerance:
        out["tolerance"] = rule.tolerance
    return out


def _map(told: Any, where: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise Invalid(f"{where} is an object.", f"It has: {', '.join(keys)}")
    if unknown := sorted(str(name) for name in told if name not in keys):
        raise Invalid(f"{where} has no {', '.join(unknown)}.", f"It may have: {', '.join(keys)}")
    return told


def _list(told: Any, where: str) -> list[Any]:
    if told is None:
        return []
    if not isinstance(told, list):
        raise Invalid(f"{where} is a list.")
    return told


def _text(told: Mapping[str, Any], name: str, where: str) -> str:
    value = told.get(name)
    if value is None or isinstance(value, dict | list) or not str(value).strip():
        raise Invalid(f"{where}.{name} is missing: it is a text.")
    return str(value)


def _flag(told: Mapping[str, Any], name: str, default: bool, where: str) -> bool:
    value = told.get(name, default)
    if not isinstance(value, bool):
        raise Invalid(f"{where}.{name} is true or false.")
    return value


def _amount(told: Any, where: str) -> float | None:
    if told is None:
        return None
    if isinstance(told, bool) or not isinstance(told, int | float) or told != told or abs(told) > 1e300:
        raise Invalid(f"{where} is a number.")
    return told


def _share(told: Any, where: str) -> float | None:
    value = _amount(told, where)
    if value is not None and not 0 <= value <= 1:
        raise Invalid(f"{where} lies between 0 and 1.")
    return value


def _severity(told: Mapping[str, Any], where: str) -> str:
    value = told.get("severity", "error")
    if value not in SEVERITIES:
        raise Invalid(f"{where}.severity is error or warn.")
    return str(value)


def _known(name: str, names: set[str], where: str) -> str:
    if name not in names:
        raise Invalid(f"{where}: there is no column {name!r} in spec.columns.")
    return name
