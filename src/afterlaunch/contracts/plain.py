"""Dataclasses from what JSON made of them."""

from __future__ import annotations

import types
from collections.abc import Hashable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


@cache
def _hints(cls: Hashable) -> dict[str, tuple[Any, Field[Any]]]:
    told = get_type_hints(cls)
    return {one.name: (told[one.name], one) for one in fields(cls)}  # type: ignore[arg-type]


def made(cls: type[T], raw: Any) -> T:
    """Raises ValueError: a member that is missing, unknown, or of another type than the field says. Integers are
    numbers; true is no integer."""
    if not isinstance(raw, dict):
        raise ValueError(f"{cls.__name__} is an object, not {type(raw).__name__}")
    known = _hints(cls)  # type: ignore[arg-type]
    if unknown := sorted(set(raw) - set(known)):
        raise ValueError(f"{cls.__name__} has no {unknown[0]!r}; it has {', '.join(known)}")
    values: dict[str, Any] = {}
    for name, (hint, one) in known.items():
        if name in raw:
            values[name] = _value(hint, raw[name], name)
        elif one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"{cls.__name__} needs {name!r}")
    return cls(**values)


def _value(hint: Any, raw: Any, name: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if raw is None:
            return None
        hint = next(one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is tuple:
        if not isinstance(raw, list | tuple):
            raise ValueError(f"{name!r} is a list, not {type(raw).__name__}")
        return tuple(_value(get_args(hint)[0], one, name) for one in raw)
    if get_origin(hint) is dict:
        if not isinstance(raw, dict):
            raise ValueError(f"{name!r} is an object, not {type(raw).__name__}")
        return {str(key): _value(get_args(hint)[1], one, name) for key, one in raw.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return made(hint, raw)
    return _plain(hint, raw, name)


def _plain(hint: Any, raw: Any, name: str) -> Any:
    if hint is Any:
        return raw
    if hint is float and type(raw) in (int, float):
        return float(raw)
    if type(raw) is not hint:
        raise ValueError(f"{name!r} is a {hint.__name__}, not {raw!r}")
    return raw


def sparse(value: Any) -> dict[str, Any]:
    """The members of a dataclass that are not what they are by default, as JSON would hold them."""
    found: dict[str, Any] = {}
    for one in fields(value):
        now = getattr(value, one.name)
        usual = one.default if one.default_factory is MISSING else one.default_factory()
        if now != usual:
            found[one.name] = _thin(now)
    return found


def _thin(value: Any) -> Any:
    if is_dataclass(value):
        return sparse(value)
    return [_thin(one) for one in value] if isinstance(value, tuple) else value
