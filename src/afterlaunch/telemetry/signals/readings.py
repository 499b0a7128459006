"""Figures of infrastructure, whoever told them. Pure: `questions.by_minute` fetches, `vocabulary` knows the names.

A reading is one figure of one host (or of the whole system), minute by minute, for each of its parts: each GPU, each
queue, each dependency.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from afterlaunch.telemetry.signals import vocabulary as known

Place = tuple[str, str, str, str]  # client, system, environment, host; host "": the whole system
Points = tuple[tuple[int, float], ...]  # (minute since 1970, value), oldest first
CURRENT = 3  # a metric that told within so many minutes of the newest tells the present too


@dataclass(frozen=True)
class Minute:
    """Of one metric, part and place: over the series that had a value in this minute. Counters as rises per second.
    `calls`, `summed`: of a histogram's rise."""

    client: str
    system: str
    environment: str
    host: str | None
    name: str
    part: str | None
    minute: int
    unit: str | None
    average: float | None
    total: float | None
    lowest: float | None
    highest: float | None
    calls: float | None
    summed: float | None


@dataclass(frozen=True)
class Reading:
    """`source`: the metric that told it. A minute without a value is left out of its part."""

    source: str
    parts: Mapping[str, Points] = field(default_factory=dict)

    @property
    def newest(self) -> int:
        return max((points[-1][0] for points in self.parts.values()), default=0)


Told = Mapping[str, Mapping[str, Mapping[int, Minute]]]  # metric, part, minute


def host_of(told: str | None) -> str:
    """`node-1:9100` and `node-1:9400` are one host; of an address with a path (a probe's) its host."""
    text = (told or "").partition("://")[2] or (told or "")
    text = text.partition("/")[0]
    if text.startswith("["):
        return text[1:].partition("]")[0]
    head, colon, port = text.rpartition(":")
    return head if colon and port.isdigit() and ":" not in head else text


def readings(minutes: Iterable[Minute]) -> dict[Place, dict[str, Reading]]:
    """By place: "cpu", "memory", "gpu", "gpu_memory" (shares), "inference_queue", "queue", "up" of hosts; "database"
    (milliseconds), "requests" and "tokens" (per second) of whole systems."""
    hosts: dict[Place, list[Minute]] = defaultdict(list)
    whole: dict[Place, list[Minute]] = defaultdict(list)
    for one in minutes:
        hosts[one.client, one.system, one.environment, host_of(one.host)].append(one)
        whole[one.client, one.system, one.environment, ""].append(one)
    found: dict[Place, dict[str, Reading]] = defaultdict(dict)
    for place, rows in hosts.items():
        found[place] |= _of_host(_told(rows))
    for place, rows in whole.items():
        found[place] |= _of_system(_told(rows))
    return {place: read for place, read in found.items() if read}


def _told(minutes: Sequence[Minute]) -> Told:
    rows: dict[str, dict[str, dict[int, Minute]]] = defaultdict(lambda: defaultdict(dict))
    for one in minutes:
        there = rows[one.name][one.part or ""]
        there[one.minute] = _together(there[one.minute], one) if one.minute in there else one
    return rows


def _together(one: Minute, other: Minute) -> Minute:
    """Two of one minute: of two ports of a host, or two hosts of a system."""

    def over(combine: Callable[[Sequence[float]], float], *values: float | None) -> float | None:
        given = [value for value in values if value is not None]
        return combine(given) if given else None

    return Minute(
        one.client, one.system, one.environment, one.host, one.name, one.part, one.minute, one.unit or other.unit,
        over(lambda given: sum(given) / len(given), one.average, other.average),
        over(sum, one.total, other.total),
        over(min, one.lowest, other.lowest),
        over(max, one.highest, other.highest),
        over(sum, one.calls, other.calls),
        over(sum, one.summed, other.summed),
    )  # fmt: skip


def _of_host(told: Told) -> dict[str, Reading]:
    gpu_memory = [_each(told, name, lambda row: row.highest, said="KV cache ") for name in known.KV_CACHE]
    gpu_memory += [_each(told, name, lambda row: row.highest) for name in known.GPU_MEMORY]
    gpu_memory += [_share(told, used, all_of) for used, all_of in known.GPU_MEMORY_OF]
    memory = [_each(told, name, lambda row: row.average) for name in known.MEMORY]
    memory += [_turned(_share(told, left, (total,))) for left, total in known.MEMORY_FREE_OF]
    return _those_told(
        cpu=_current([_turned(_each(told, name, lambda row: row.average)) for name in known.CPU_IDLE]),
        memory=_current(memory),
        gpu=_current([_each(told, name, lambda row: row.highest, scale) for name, scale in known.GPU.items()]),
        gpu_memory=_current(gpu_memory),
        inference_queue=_current([_each(told, name, lambda row: row.total) for name in known.INFERENCE_QUEUE]),
        queue=_current([_each(told, name, lambda row: row.total) for name in known.QUEUE]),
        up=_joined([_each(told, name, lambda row: row.lowest, said=said) for name, said in known.UP.items()]),
    )


def _of_system(told: Told) -> dict[str, Reading]:
    database = [_mean(told, name) for name in known.DATABASE_HISTOGRAM]
    database += [_ratio(told, spent, number) for spent, number in known.DATABASE_OF]
    return _those_told(
        database=_current(database),
        requests=_current([_sum(told, name) for name in known.REQUESTS]),
        tokens=_current([_sum(told, name) for name in known.TOKENS]),
    )


def _those_told(**found: Reading | None) -> dict[str, Reading]:
    return {name: reading for name, reading in found.items() if reading is not None}


def _current(found: Sequence[Reading | None]) -> Reading | None:
    """Several metrics may tell one thing: the first named of those that tell the present."""
    told = [one for one in found if one is not None]
    newest = max((one.newest for one in told), default=0)
    return next((one for one in told if one.newest >= newest - CURRENT), None)


def _joined(found: Sequence[Reading | None]) -> Reading | None:
    told = [one for one in found if one is not None]
    parts = {part: points for one in told for part, points in one.parts.items()}
    return Reading(", ".join(one.source for one in told), parts) if told else None


def _reading(source: str, parts: Mapping[str, Iterable[tuple[int, float | None]]]) -> Reading | None:
    known_of = {
        part: tuple(sorted((minute, value) for minute, value in points if value is not None))
        for part, points in parts.items()
    }
    told = {part: points for part, points in known_of.items() if points}
    return Reading(source, told) if told else None


def _each(
    told: Told, name: str, value: Callable[[Minute], float | None], scale: float = 1.0, said: str = ""
) -> Reading | None:
    def scaled(row: Minute) -> float | None:
        found = value(row)
        return None if found is None else found * scale

    return _reading(
        name,
        {
            (said + part).strip(): [(minute, scaled(row)) for minute, row in rows.items()]
            for part, rows in told.get(name, {}).items()
        },
    )


def _turned(reading: Reading | None) -> Reading | None:
    """What is used, of a share that is left."""
    if reading is None:
        return None
    parts = {part: tuple((minute, 1 - value) for minute, value in rows) for part, rows in reading.parts.items()}
    return Reading(reading.source, parts)


def _share(told: Told, name: str, all_of: Sequence[str]) -> Reading | None:
    """`name` by the sum of those of `all_of` that are told, where all these are told in one minute."""
    summed = [one for one in all_of if one in told]
    if name not in told or not set(summed) - {name}:
        return None

    def share(part: str, minute: int, row: Minute) -> float | None:
        others = [told[one].get(part, {}).get(minute) for one in summed]
        values = [one.total for one in others if one is not None and one.total is not None]
        if row.total is None or len(values) < len(summed) or sum(values) <= 0:
            return None
        return row.total / sum(values)

    return _reading(
        name,
        {
            part: [(minute, share(part, minute, row)) for minute, row in rows.items()]
            for part, rows in told[name].items()
        },
    )


def _mean(told: Told, name: str) -> Reading | None:
    """Of a histogram of time, in milliseconds."""

    def mean(row: Minute) -> float | None:
        if not row.calls or row.summed is None:
            return None
        return row.summed / row.calls * known.SECONDS.get(row.unit or "", 1.0) * 1_000

    return _each(told, name, mean)


def _ratio(told: Told, seconds: str, number: str) -> Reading | None:
    """Milliseconds for each of a number of things, from two counters."""

    def ratio(part: str, minute: int, row: Minute) -> float | None:
        other = told.get(number, {}).get(part, {}).get(minute)
        return row.total / other.total * 1_000 if row.total is not None and other is not None and other.total else None

    rows_of = told.get(seconds, {})
    return _reading(
        seconds,
        {part: [(minute, ratio(part, minute, row)) for minute, row in rows.items()] for part, rows in rows_of.items()},
    )


def _sum(told: Told, name: str) -> Reading | None:
    """Over all parts and series."""
    sums: dict[int, float] = defaultdict(float)
    for rows in told.get(name, {}).values():
        for minute, row in rows.items():
            sums[minute] += row.total or 0.0
    return _reading(name, {"": sums.items()})
