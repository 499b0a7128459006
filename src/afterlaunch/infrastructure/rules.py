"""Judges of infrastructure. Pure.

Each looks at one reading of a host or a system, minute by minute, and at every part of it (each GPU, each queue) on its
own; the worst part is the finding. Hysteresis: a limit is broken when it was crossed in every known minute for so many
minutes, and kept again when the figure stayed as long on the good side of a second line, a little inside the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import erfc, exp, lgamma, log, sqrt

from afterlaunch.telemetry.signals.readings import Points, Reading
from afterlaunch.verdicts.words import CHANCE, Finding, Status, View, with_sample

STALE = 5  # minutes; what told longest ago tells nothing of now
EASE = 0.05  # the second line lies so far inside the limit, as a share of it
IDLE = 3  # times as long as other limits must a GPU be idle
DOWN_MINUTES = 2
CALLS_MINUTES = 5


@dataclass(frozen=True)
class Held:
    """How one part stands. `state`: stale, unknown (too short a time is known), well, rising, broken."""

    state: str
    value: float | None
    minutes: int  # for how long in this state, as far as is known
    part: str = ""


def held(points: Points, now: int, crossed: Callable[[float], bool], eased: Callable[[float], bool], n: int) -> Held:
    """Walk through the minutes. A gap longer than STALE forgets everything before it."""
    if not points or points[-1][0] < now - STALE:
        return Held("stale", points[-1][1] if points else None, now - points[-1][0] if points else 0)
    over: int | None = None  # since when the limit is crossed
    well: int | None = None  # since when it is kept by the second line
    since, broken, before = points[0][0], False, points[0][0]
    for minute, value in points:
        if minute - before > STALE:
            over, well, broken, since = None, None, False, minute
        before = minute
        if crossed(value):
            over, well = minute if over is None else over, None
            broken = broken or minute - over + 1 >= n
        else:
            over = None
            well = (minute if well is None else well) if eased(value) else None
            broken = broken and not (well is not None and minute - well + 1 >= n)
    value, last = points[-1][1], points[-1][0]
    if broken:
        return Held("broken", value, last - (over if over is not None else last) + 1)
    if over is not None:
        return Held("unknown" if over == since else "rising", value, last - over + 1)
    return Held("well", value, last - since + 1)


def above(limit: float) -> tuple[Callable[[float], bool], Callable[[float], bool]]:
    return lambda value: value > limit, lambda value: value <= limit * (1 - EASE)


def below(limit: float) -> tuple[Callable[[float], bool], Callable[[float], bool]]:
    return lambda value: value < limit, lambda value: value >= limit * (1 + EASE)


WORST = ("broken", "rising", "unknown", "well", "stale")


def worst(found: Mapping[str, Held]) -> Held:
    """Of several parts; among those of one state the highest figure."""
    part, one = min(found.items(), key=lambda row: (WORST.index(row[1].state), -(row[1].value or 0.0)))
    return Held(one.state, one.value, one.minutes, part)


def silent(judge: str, reading: Reading | None, now: int) -> Finding:
    lately = reading.newest if reading else 0
    said = f"The last figure is {now - lately} minutes old." if lately else "Nothing was told lately."
    return Finding(judge, Status.NOT_ASSESSED, "no_data_lately", said)


def minute_of(view: View) -> int:
    return int(view.recent.end.timestamp()) // 60


def _written(value: float | None, unit: str) -> str:
    if value is None:
        return "unknown"
    if unit == "share":
        return f"{value * 100:.0f} %" if value < 0.995 or value >= 1 else f"{value * 100:.1f} %"
    return f"{value:,.0f} {unit}" if value >= 10 or value == int(value) else f"{value:,.1f} {unit}"


@dataclass(frozen=True)
class Line:
    """One limit of a reading. `name` is that of `estate.limits`; `broken` what a finding is when it does not hold."""

    name: str
    upper: bool = True
    broken: Status = Status.BREACH
    times: int = 1  # how much longer than other limits it must be crossed


@dataclass(frozen=True)
class Sustained:
    """A figure against limits that the owner may declare; the first line that is broken counts."""

    name: str
    title: str
    explanation: str
    reads: tuple[str, ...]
    lines: tuple[Line, ...]
    thing: str
    unit: str = "share"
    severity: str = "P2"
    per: tuple[str, ...] = ("host",)

    def assess(self, view: View) -> Finding:
        now = minute_of(view)
        reading = next((view.readings[name] for name in self.reads if name in view.readings), None)
        if reading is None or reading.newest < now - STALE:
            return silent(self.name, reading, now)
        limits = view.targets.limits
        declared = [(line, value) for line in self.lines if (value := limits[line.name]) is not None]
        if not declared:
            said = f"{self._said(self._now(reading))}; no limit is declared."
            return Finding(self.name, Status.NOT_ASSESSED, "no_limit", said, self._now(reading).value, unit=self.unit)
        n = int(limits["sustained_minutes"] or 1)
        found = [self._line(reading, now, line, limit, n * line.times) for line, limit in declared]
        return min(found, key=lambda one: SEVEREST.index(one.status))

    def _now(self, reading: Reading) -> Held:
        return worst({part: Held("well", rows[-1][1], 1) for part, rows in reading.parts.items()})

    def _line(self, reading: Reading, now: int, line: Line, limit: float, n: int) -> Finding:
        crossed, eased = above(limit) if line.upper else below(limit)
        parts = {part: held(rows, now, crossed, eased, n) for part, rows in reading.parts.items()}
        one = worst(parts) if line.upper else _lowest(parts)
        side = "above" if line.upper else "below"
        allowed = _written(limit, self.unit)
        said = self._said(one)
        evidence: dict[str, str | int | float | None] = {"source": reading.source, "minutes": one.minutes}
        evidence |= {"part": one.part} if one.part else {}
        broken = sum(row.state == "broken" for row in parts.values())
        if one.state == "broken" and crossed(one.value or 0.0):
            said += f", {side} {allowed} for {_minutes(one.minutes)}"
            said += f"; so are {broken - 1} others." if broken > 2 else "; so is another." if broken > 1 else "."
            return self._finding(line.broken, f"{side}_limit", said, one, limit, evidence)
        if one.state == "broken":
            said += f", not long enough on the right side of {allowed} again."
            return self._finding(line.broken, f"{side}_limit_lately", said, one, limit, evidence)
        if one.state == "unknown":
            said += f", {side} {allowed}, but only {_minutes(one.minutes)} of the {n} that it takes are known."
            return self._finding(Status.NOT_ASSESSED, "too_short_yet", said, one, limit, evidence)
        if one.state == "rising":
            said += f", {side} {allowed} for {_minutes(one.minutes)}; it takes {n}."
            return self._finding(Status.OK, f"{side}_limit_briefly", said, one, limit, evidence)
        return self._finding(Status.OK, "within_limit", f"{said}; the limit is {allowed}.", one, limit, evidence)

    def _said(self, one: Held) -> str:
        which = f" ({one.part})" if one.part else ""
        return f"{self.thing}{which} {'are' if self.thing.endswith('s') else 'is'} at {_written(one.value, self.unit)}"

    def _finding(
        self,
        status: Status,
        reason: str,
        said: str,
        one: Held,
        limit: float,
        evidence: Mapping[str, str | int | float | None],
    ) -> Finding:
        return Finding(self.name, status, reason, said, one.value, limit, self.unit, one.minutes, evidence)


SEVEREST = (Status.BREACH, Status.WARNING, Status.NOT_ASSESSED, Status.OK)


def _lowest(parts: Mapping[str, Held]) -> Held:
    part, one = min(parts.items(), key=lambda row: (WORST.index(row[1].state), row[1].value or 0.0))
    return Held(one.state, one.value, one.minutes, part)


def _minutes(number: int) -> str:
    return f"{number} minute" if number == 1 else f"{number} minutes"


def cpu() -> Sustained:
    return Sustained(
        "infrastructure.cpu", "CPU", "The processors of a host are over 80 % busy, sustained.",
        ("cpu",), (Line("cpu_above"),), "CPU",
    )  # fmt: skip


def gpu() -> Sustained:
    return Sustained(
        "infrastructure.gpu", "GPU utilisation", "A GPU is over 95 % busy, or under 30 %, sustained.",
        ("gpu",), (Line("gpu_above"), Line("gpu_below", False, Status.WARNING, IDLE)), "GPU", severity="P3",
    )  # fmt: skip


def gpu_memory() -> Sustained:
    return Sustained(
        "infrastructure.gpu_memory", "GPU memory", "The memory of a GPU is over 85 % full, sustained.",
        ("gpu_memory",), (Line("gpu_memory_above"),), "GPU memory",
    )  # fmt: skip


def inference_queue() -> Sustained:
    return Sustained(
        "infrastructure.inference_queue", "Waiting at inference servers",
        "More than 20 requests wait at an inference server, sustained.",
        ("inference_queue",), (Line("inference_queue_above"),), "The queue", "requests",
    )  # fmt: skip


def queue() -> Sustained:
    return Sustained(
        "infrastructure.queue", "Queue depth", "A queue is longer than its declared limit, sustained.",
        ("queue",), (Line("queue_above"),), "The queue", "entries",
    )  # fmt: skip


def database() -> Sustained:
    return Sustained(
        "infrastructure.database", "Database query time", "Database queries take over 200 ms on average, sustained.",
        ("database",), (Line("database_ms_above"),), "A database query", "ms",
    )  # fmt: skip


@dataclass(frozen=True)
class Dependency:
    """Scraped targets, probes and what exporters say of the servers behind them."""

    name: str = "infrastructure.dependency"
    title: str = "Dependency health"
    explanation: str = "A target, a probed address or a server behind an exporter is down for two minutes."
    severity: str = "P1"
    reads: tuple[str, ...] = ("up",)
    per: tuple[str, ...] = ("host",)

    def assess(self, view: View) -> Finding:
        now, reading = minute_of(view), view.readings.get("up")
        if reading is None or reading.newest < now - STALE:
            return silent(self.name, reading, now)
        line = (lambda value: value < 1, lambda value: value >= 1)
        found = {part: held(rows, now, *line, DOWN_MINUTES) for part, rows in reading.parts.items()}
        known = {part: one for part, one in found.items() if one.state != "stale"}
        down = sorted(
            part for part, one in known.items() if one.state == "broken" and one.value is not None and one.value < 1
        )
        back = sorted(part for part, one in known.items() if one.state == "broken" and part not in down)
        evidence: dict[str, str | int | float | None] = {"down": ", ".join(down)[:300], "known": len(known)}
        share = 1 - len(down) / len(known)
        if down:
            told = ", ".join(part or "the host" for part in down[:5]) + (" and more" if len(down) > 5 else "")
            longest = max(known[part].minutes for part in down)
            said = f"{len(down)} of {len(known)} do not answer: {told}, for {_minutes(longest)}."
            return Finding(self.name, Status.BREACH, "down", said, share, 1.0, "share", len(known), evidence)
        if back:
            said = f"{', '.join(back[:5])} answers again, but not for {_minutes(DOWN_MINUTES)} yet."
            return Finding(self.name, Status.WARNING, "back_lately", said, share, 1.0, "share", len(known), evidence)
        if unsure := [part for part, one in known.items() if one.state in ("rising", "unknown")]:
            said = f"{unsure[0] or 'The host'} did not answer just now; it takes {_minutes(DOWN_MINUTES)}."
            return Finding(self.name, Status.WARNING, "down_briefly", said, share, 1.0, "share", len(known), evidence)
        said = f"All {len(known)} answer." if len(known) > 1 else "It answers."
        return Finding(self.name, Status.OK, "up", said, 1.0, 1.0, "share", len(known), evidence)


@dataclass(frozen=True)
class Throughput:
    """Against what the owner declared: calls a minute, output tokens a second. From the system's own calls; where it
    sends none, from its inference servers' counters. Calls of sampled traces count as what they stand for: against a
    target the part that was sent would be no throughput."""

    name: str = "infrastructure.throughput"
    title: str = "Throughput"
    explanation: str = "Calls a minute, or output tokens a second, are below the declared target."
    severity: str = "P2"
    reads: tuple[str, ...] = ("calls", "requests", "tokens")
    needs: tuple[str, ...] = ("calls_per_minute_below", "tokens_per_second_below")
    per: tuple[str, ...] = ("host",)

    def assess(self, view: View) -> Finding:
        limits = view.targets.limits
        wanted = [
            self._calls(view, limits["calls_per_minute_below"]),
            self._tokens(view, limits["tokens_per_second_below"]),
        ]
        found = [one for one in wanted if one is not None]
        if not found:
            return Finding(self.name, Status.NOT_ASSESSED, "no_target", "No target is declared for its throughput.")
        finding = min(found, key=lambda one: SEVEREST.index(one.status))
        return with_sample(finding, view.recent) if "calls" in view.readings else finding

    def _calls(self, view: View, target: float | None) -> Finding | None:
        if target is None:
            return None
        if "calls" not in view.readings:
            return self._rate(view, "requests", target, 60.0, "requests a minute")
        minutes = max(1.0, (view.recent.end - view.recent.start).total_seconds() / 60 - 1)
        calls, meant = view.recent.calls, view.recent.calls_extrapolated
        rate, share = meant / minutes, calls / meant if meant else 1.0
        said = f"{rate:,.1f} calls a minute over {minutes:.0f} minutes; the target is {target:,g}."
        chance = poisson_at_most(calls, target * minutes * share) if rate < target else 1.0
        evidence: dict[str, str | int | float | None] = {"chance": round(chance, 6)}
        status, reason = Status.OK, "target_met"
        if rate < target and chance < CHANCE:
            status, reason = Status.BREACH, "below_target"
        elif rate < target:
            status, reason = Status.WARNING, "perhaps_below_target"
            said += " With so few calls it may be chance."
        return Finding(self.name, status, reason, said, rate, target, "per minute", calls, evidence)

    def _tokens(self, view: View, target: float | None) -> Finding | None:
        if target is None:
            return None
        if "calls" not in view.readings:
            return self._rate(view, "tokens", target, 1.0, "output tokens a second")
        seconds = max(60.0, (view.recent.end - view.recent.start).total_seconds() - 60)
        rate = (view.recent.output_tokens + view.recent.output_unsent) / seconds
        said = f"{rate:,.1f} output tokens a second; the target is {target:,g}."
        status, reason = (Status.OK, "target_met") if rate >= target else (Status.BREACH, "below_target")
        return Finding(self.name, status, reason, said, rate, target, "per second", view.recent.calls)

    def _rate(self, view: View, name: str, target: float, scale: float, what: str) -> Finding:
        now, reading = minute_of(view), view.readings.get(name)
        if reading is None or reading.newest < now - STALE:
            return silent(self.name, reading, now)
        rows = reading.parts[""]
        n = int(view.targets.limits["sustained_minutes"] or 1)
        crossed, eased = below(target / scale)
        one = held(rows, now, crossed, eased, n)
        rate = (one.value or 0.0) * scale
        said = f"{rate:,.1f} {what} at the inference servers; the target is {target:,g}."
        evidence: dict[str, str | int | float | None] = {"source": reading.source, "minutes": one.minutes}
        states = {
            "broken": (Status.BREACH, "below_target"),
            "rising": (Status.OK, "below_target_briefly"),
            "unknown": (Status.NOT_ASSESSED, "too_short_yet"),
        }
        status, reason = states.get(one.state, (Status.OK, "target_met"))
        unit = "per minute" if scale == 60 else "per second"
        return Finding(self.name, status, reason, said, rate, target, unit, one.minutes, evidence)


def poisson_at_most(count: int, expected: float) -> float:
    """P(X <= count) of a Poisson variable; beyond a mean of 1,000 by Wilson and Hilferty's normal approximation of
    the chi-square that it is."""
    if expected <= 0:
        return 1.0
    if expected > 1_000:
        k = count + 1
        z = 3 * k**0.5 * ((expected / k) ** (1 / 3) - 1 + 1 / (9 * k))
        return 0.5 * erfc(z / sqrt(2))
    return min(1.0, sum(exp(n * log(expected) - expected - lgamma(n + 1)) for n in range(count + 1)))
