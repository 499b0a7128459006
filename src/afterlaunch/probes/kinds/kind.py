"""What a kind of probe is, and what its configuration is read with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from afterlaunch.ground.errors import AfterlaunchError, Invalid
from afterlaunch.ground.outbound import Refused, Unreachable
from afterlaunch.ground.references import REFERENCE, dereferenced
from afterlaunch.probes.outcomes import Outcome, failed, not_run

Config = Mapping[str, Any]
LONGEST_ANSWER = 256 * 1024
SHOWN = 4_000


@dataclass(frozen=True)
class Through:
    """A route of the gateway: where its base URL is, the key that opens it, and whose price its answers have."""

    base_url: str
    token: str
    provider: str


@dataclass(frozen=True)
class Context:
    """One try. `trusted`: an administrator of the house vouched for the address; `seconds` is the time limit; `at` the
    instant, for prices and certificates; `through` is set for golden prompts over a route."""

    seconds: float
    trusted: bool
    at: datetime
    through: Through | None = None


class Kind(Protocol):
    """`secrets`: fields that hold references; `reaches`: fields that say where it goes, or with what. `check` returns
    the configuration as it will be kept, or raises Invalid; `run` may raise what `tried` understands."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def reaches(self) -> tuple[str, ...]: ...
    @property
    def secrets(self) -> tuple[str, ...]: ...

    def check(self, config: Config) -> dict[str, Any]: ...

    def subject(self, config: Config) -> str: ...

    def run(self, config: Config, context: Context) -> Outcome: ...


class NoCredential(Exception):
    """A reference leads to nothing."""


def tried(kind: Kind, config: Config, context: Context) -> Outcome:
    """One try. What goes wrong on the way is a failure of what is probed; what goes wrong here is not."""
    began = time.monotonic()
    try:
        return kind.run(config, context)
    except NoCredential as problem:
        return not_run("credential", str(problem))
    except Refused as problem:
        return not_run("address_refused", f"{problem.message} {problem.hint}".strip())
    except Unreachable as problem:
        spent = (time.monotonic() - began) * 1_000
        late = "no answer within" in str(problem)
        return failed("timed_out" if late else "unreachable", f"{problem}.", spent)


def secret(reference: str) -> str:
    """Raises NoCredential."""
    try:
        return dereferenced(reference, "the server")
    except AfterlaunchError as problem:
        raise NoCredential(f"{problem.message} {problem.hint}".strip()) from None


@dataclass(frozen=True)
class Field:
    """`take` returns the value as it will be kept, or raises ValueError."""

    wants: str
    take: Callable[[Any], Any]
    default: Any = None
    needed: bool = False


def read(config: Config, fields: Mapping[str, Field]) -> dict[str, Any]:
    """Every field, with its default where it is absent. Raises Invalid."""
    if not isinstance(config, Mapping):
        raise Invalid("The configuration of a probe is a mapping.")
    if extra := sorted(map(str, set(config) - set(fields))):
        raise Invalid(f"The probe has no field {extra[0]!r}.", "Fields: " + ", ".join(fields))
    out: dict[str, Any] = {}
    for name, field in fields.items():
        if config.get(name) is None or config[name] == "":
            if field.needed:
                raise Invalid(f"The probe needs {name}: {field.wants}.")
            out[name] = field.default
            continue
        try:
            out[name] = field.take(config[name])
        except (ValueError, TypeError):
            raise Invalid(f"{name} must be {field.wants}.") from None
    return out


def text(longest: int = 2_000, wants: str = "text", needed: bool = False, default: str = "") -> Field:
    def take(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest or "\x00" in value:
            raise ValueError(value)
        return value

    return Field(wants, take, default, needed)


def one_of(*allowed: str, default: str) -> Field:
    def take(value: Any) -> str:
        if value not in allowed:
            raise ValueError(value)
        return str(value)

    return Field("one of " + ", ".join(allowed), take, default)


def whole(least: int, most: int, default: int | None = None, needed: bool = False) -> Field:
    def take(value: Any) -> int:
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(value)
        return value

    return Field(f"a whole number from {least} to {most}", take, default, needed)


def flag(default: bool) -> Field:
    def take(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(value)
        return value

    return Field("true or false", take, default)


def reference() -> Field:
    def take(value: Any) -> str:
        if not isinstance(value, str) or not REFERENCE.fullmatch(value):
            raise ValueError(value)
        return value

    return Field("env:NAME or file:/path, never the secret itself", take, "")


def texts(most: int = 20) -> Field:
    """A list of text, also written with commas."""

    def take(value: Any) -> list[str]:
        given = value.split(",") if isinstance(value, str) else value
        if not isinstance(given, list) or len(given) > most:
            raise ValueError(value)
        if not all(isinstance(one, str) and len(one) <= 2_000 for one in given):
            raise ValueError(value)
        return [one.strip() for one in given if one.strip()]

    return Field("a list of text", take, ())


def host() -> Field:
    def take(value: Any) -> str:
        plain = value.strip() if isinstance(value, str) else ""
        if not plain or len(plain) > 253 or any(sign in plain for sign in "/@?# \t\n\x00"):
            raise ValueError(value)
        return plain

    return Field("a host name or an address", take, needed=True)
