"""One version of a contract against the one before: what of the change breaks who reads the table."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from afterlaunch.data_contracts.contract import Column, Contract


@dataclass(frozen=True)
class Difference:
    kind: str
    column: str
    breaking: bool
    message: str

    def as_document(self) -> dict[str, Any]:
        return {"kind": self.kind, "column": self.column, "breaking": self.breaking, "message": self.message}


def differences(before: Contract, after: Contract) -> list[Difference]:
    """Breaking: a column goes, changes its type or unit, may be missing where it could not, or may hold what it could
    not; a consumer or the owner loses a promise. Not breaking: more columns, narrower promises."""
    was, now = ({one.name: one for one in of.columns} for of in (before, after))
    found = [_gone(name) for name in was if name not in now]
    for name in now:
        if name in was:
            found += _column(was[name], now[name])
        else:
            found.append(Difference("column_added", name, False, f"{name} is added."))
    return found + _whole(before, after)


def _gone(name: str) -> Difference:
    return Difference("column_removed", name, True, f"{name} is removed.")


def _column(was: Column, now: Column) -> list[Difference]:
    name, found = was.name, list[Difference]()

    def tell(kind: str, breaking: bool, message: str) -> None:
        found.append(Difference(kind, name, breaking, f"{name}: {message}"))

    if was.type != now.type:
        tell("type_changed", now.type != "text" or was.type != "text", f"{was.type} becomes {now.type}.")
    if was.unit != now.unit:
        tell("unit_changed", bool(was.unit), f"the unit {was.unit or '(none)'} becomes {now.unit or '(none)'}.")
    if was.meaning != now.meaning:
        tell("meaning_changed", False, "its meaning is told differently.")
    if was.required != now.required:
        word = "must be there" if now.required else "may be missing"
        tell("required_changed", was.required, f"it {word} now.")
    if was.unique != now.unique:
        tell("unique_changed", was.unique, "it may repeat now." if was.unique else "it may not repeat any more.")
    if was.values != now.values:
        _values(was, now, tell)
    if was.range != now.range:
        tell("range_changed", not _within(now.range, was.range), "its range changes.")
    if was.nulls != now.nulls:
        more = (1.0 if now.nulls is None else now.nulls) > (1.0 if was.nulls is None else was.nulls)
        tell("nulls_changed", more, "more of it may be missing." if more else "less of it may be missing.")
    for rule in ("pattern", "length", "similar"):
        if getattr(was, rule) != getattr(now, rule):
            tell(f"{rule}_changed", rule != "similar" and bool(getattr(was, rule)), f"its {rule} changes.")
    if was.warn != now.warn:
        tell("severity_changed", bool(set(now.warn) - set(was.warn)), "other rules of it only warn.")
    return found


def _values(was: Column, now: Column, tell: Any) -> None:
    """Both ways break somebody: a reader meets a value it does not know, or waits for one that never comes."""
    before, after = set(was.values or ()), set(now.values or ())
    if was.values is None or now.values is None:
        tell("values_changed", now.values is None, "a set of values is asked." if now.values else "any value may come.")
        return
    for word, names in (("gone", before - after), ("new", after - before)):
        if names:
            some = ", ".join(sorted(names)[:5]) + (" …" if len(names) > 5 else "")
            tell(
                "values_changed",
                True,
                f"{len(names)} of its values {'is' if len(names) == 1 else 'are'} {word}: {some}",
            )


Bounds = tuple[float | None, float | None] | None


def _within(inner: Bounds, outer: Bounds) -> bool:
    (low, high), (least, most) = (_open(inner), _open(outer))
    return least <= low and high <= most


def _open(bounds: Bounds) -> tuple[float, float]:
    least, most = bounds or (None, None)
    return (-inf if least is None else least), (inf if most is None else most)


def _whole(before: Contract, after: Contract) -> list[Difference]:
    found = []
    for kind, was, now, breaking in (
        ("owner_changed", before.owner, after.owner, False),
        ("rules_changed", before.rules, after.rules, any(rule not in after.rules for rule in before.rules)),
        ("volume_changed", before.volume, after.volume, False),
        ("freshness_changed", before.fresh, after.fresh, _later(before.fresh, after.fresh)),
        ("delivery_changed", before.patience, after.patience, _later(before.patience, after.patience)),
        ("upstream_changed", before.upstream, after.upstream, _deprecated(before, after)),
        ("more_columns_changed", before.more_columns, after.more_columns, False),
    ):
        if was != now:
            found.append(
                Difference(kind, "", breaking, f"The {kind.removesuffix('_changed').replace('_', ' ')} changes.")
            )
    return found


def _later(was: Any, now: Any) -> bool:
    return was is not None and (now is None or now > was)


def _deprecated(before: Contract, after: Contract) -> bool:
    was, now = before.upstream, after.upstream
    if was is None or now is None:
        return was is not None
    sooner = now.deprecated is not None and (was.deprecated is None or now.deprecated < was.deprecated)
    return (was.kind, was.provider) != (now.kind, now.provider) or sooner
