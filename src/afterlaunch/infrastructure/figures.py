"""The figures of infrastructure as they are shown: what each is called, its unit, its limits and its judge. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afterlaunch.estate.limits import Limits
from afterlaunch.look import formats
from afterlaunch.telemetry.signals.readings import Points, Reading


@dataclass(frozen=True)
class Figure:
    """`reading` by its name; `lowest`: of several parts the lowest tells most. `scale`: what limits are multiplied by
    to be drawn beside the values."""

    reading: str
    title: str
    unit: str
    judge: str = ""
    limits: tuple[str, ...] = ()
    lowest: bool = False

    @property
    def top(self) -> float | None:
        return 1.0 if self.unit == "share" else None

    def written(self, value: float | None) -> str:
        if value is None:
            return formats.UNKNOWN
        if self.unit == "up":
            return "yes" if value >= 1 else "no"
        if self.unit == "share":
            return f"{value * 100:.0f} %"
        return formats.duration_ms(value) if self.unit == "ms" else formats.figure(value)


HOSTS: tuple[Figure, ...] = (
    Figure("cpu", "CPU", "share", "infrastructure.cpu", ("cpu_above",)),
    Figure("memory", "Memory", "share"),
    Figure("gpu", "GPU", "share", "infrastructure.gpu", ("gpu_above", "gpu_below")),
    Figure("gpu_memory", "GPU memory", "share", "infrastructure.gpu_memory", ("gpu_memory_above",)),
    Figure("inference_queue", "Waiting", "requests", "infrastructure.inference_queue", ("inference_queue_above",)),
    Figure("queue", "Queue", "entries", "infrastructure.queue", ("queue_above",)),
    Figure("up", "Answers", "up", "infrastructure.dependency", lowest=True),
)
SYSTEMS: tuple[Figure, ...] = (
    Figure("database", "Database query", "ms", "infrastructure.database", ("database_ms_above",)),
    Figure("requests", "Requests a second", "per second", "infrastructure.throughput"),
    Figure("tokens", "Output tokens a second", "per second", "infrastructure.throughput"),
)
BY_READING = {one.reading: one for one in (*HOSTS, *SYSTEMS)}


def declared(figure: Figure, limits: Limits) -> list[float]:
    """The limits to draw."""
    found = [limits.get(name) for name in figure.limits]
    if figure.reading == "requests" and (least := limits.get("calls_per_minute_below")) is not None:
        found.append(least / 60)
    if figure.reading == "tokens":
        found.append(limits.get("tokens_per_second_below"))
    return [one for one in found if one is not None]


def course(reading: Reading, minutes: Sequence[int], lowest: bool = False) -> list[float | None]:
    """Over all parts: the highest (or lowest) value of each minute; None where nothing is known."""
    combine = min if lowest else max
    told: dict[int, list[float]] = {}
    for points in reading.parts.values():
        for minute, value in points:
            told.setdefault(minute, []).append(value)
    return [combine(told[minute]) if minute in told else None for minute in minutes]


def newest(values: Sequence[float | None], stale: int) -> float | None:
    """The last known value, unless it is older than so many steps."""
    for back, value in enumerate(reversed(values)):
        if back > stale:
            return None
        if value is not None:
            return value
    return None


def by_part(parts: Mapping[str, Points], minutes: Sequence[int], most: int) -> dict[str, list[float | None]]:
    """The parts with the highest values, for a chart; an empty part is named for what it is."""
    highest = sorted(parts, key=lambda part: -max(value for _, value in parts[part]))
    out = {}
    for part in highest[:most]:
        told = dict(parts[part])
        out[part or "all"] = [told.get(minute) for minute in minutes]
    return out
