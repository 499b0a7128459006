"""The limits of a system's infrastructure: what holds when its owner declares nothing, and what may be declared. Pure.

`None` as a declared value: this is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from afterlaunch.ground.errors import Invalid

Limits = Mapping[str, float | None]


@dataclass(frozen=True)
class Limit:
    """`default` None: nothing is judged until somebody declares one. `unit`: share (0 to 1), ms, requests, … ."""

    name: str
    title: str
    unit: str
    default: float | None
    least: float
    most: float
    whole: bool = False


LIMITS: tuple[Limit, ...] = (
    Limit("cpu_above", "CPU above", "share", 0.80, 0.01, 1.0),
    Limit("gpu_above", "GPU above", "share", 0.95, 0.01, 1.0),
    Limit("gpu_below", "GPU below", "share", 0.30, 0.0, 1.0),
    Limit("gpu_memory_above", "GPU memory above", "share", 0.85, 0.01, 1.0),
    Limit("inference_queue_above", "Waiting at inference servers above", "requests", 20.0, 0.0, 1e9),
    Limit("queue_above", "Other queues above", "entries", None, 0.0, 1e12),
    Limit("database_ms_above", "Database query above", "ms", 200.0, 0.1, 3_600_000.0),
    Limit("calls_per_minute_below", "Calls a minute below", "per minute", None, 0.0, 1e9),
    Limit("tokens_per_second_below", "Output tokens a second below", "per second", None, 0.0, 1e9),
    Limit("sustained_minutes", "For so many minutes", "min", 5.0, 1.0, 20.0, whole=True),
)
BY_NAME = {one.name: one for one in LIMITS}
DEFAULTS: Limits = {one.name: one.default for one in LIMITS}


def in_force(declared: Limits) -> Limits:
    return {**DEFAULTS, **{name: value for name, value in declared.items() if name in BY_NAME}}


def written(row: Limit, value: float | None) -> str:
    """As a person types it: shares in percent."""
    if value is None:
        return "off"
    return f"{value * 100:g} %" if row.unit == "share" else f"{value:g}"


def typed(given: Mapping[str, str]) -> dict[str, float | None]:
    """What a person typed in: empty keeps the default, "off" judges nothing. Raises Invalid."""
    found: dict[str, float | None] = {}
    for row in LIMITS:
        text = given.get(row.name, "").strip().lower()
        if text in ("off", "none"):
            found[row.name] = None
        elif text:
            try:
                number = float(text.rstrip("% ").replace(",", "."))
            except ValueError:
                raise Invalid(f"{row.title}: {text!r} is no number.", "Empty for the default, or off.") from None
            found[row.name] = round(number / 100, 6) if row.unit == "share" else number
    return checked(found)


def checked(declared: Limits) -> dict[str, float | None]:
    """Raises Invalid for what is no limit, or no value of one."""
    found: dict[str, float | None] = {}
    for name, value in declared.items():
        row = BY_NAME.get(name)
        if row is None:
            raise Invalid(f"There is no limit {name!r}.", "Limits: " + ", ".join(BY_NAME))
        if value is None and not row.whole:
            found[name] = None
            continue
        if value is None or not row.least <= value <= row.most or (row.whole and value != int(value)):
            raise Invalid(f"{row.title}: {value!r} is out of range.", f"From {row.least:g} to {row.most:g}.")
        found[name] = float(value)
    if (
        (low := found.get("gpu_below")) is not None
        and (high := in_force(found)["gpu_above"]) is not None
        and low >= high
    ):
        raise Invalid("The lower limit of GPUs must lie below the upper one.")
    return found
