"""What people and clocks say of a model in use: how often operators put something else in its place, and how often it
answers too late. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, lgamma, log, sqrt

import numpy as np

from afterlaunch.drift.false_alarms import FalseAlarms, together
from afterlaunch.ground.shares import newcombe, wilson
from afterlaunch.performance.following import FALSE_ALARMS, HOURS, follow, of_counts
from afterlaunch.performance.judging import BREACH, LEAST, OK, SURE, WARNING, Judged, line_of, not_assessed
from afterlaunch.performance.tally import LATENCY_STEP, LATEST, Tally

OPERATOR = "operator:"  # what the name of a source begins with that tells what was done in the end
OVERRIDDEN = together([FALSE_ALARMS, FalseAlarms(0.0, FALSE_ALARMS.warnings)])  # that one of them is apart is asked too
OVERRIDES = 0.05  # more of the outputs than in the baseline
TAIL = 0.01  # of the predictions may be later than the target
P99_ROWS = 299  # 0.99^299 < 0.05: with fewer rows p99 has no upper bound


def decided(tally: Tally) -> tuple[int, int]:
    """(overridden, decided by operators)."""
    told = [row for name, row in tally.sources.items() if name.startswith(OPERATOR)]
    count = sum(row[0] for row in told)
    return count - sum(row[1] for row in told), count


def overrides(baseline: Tally, hours: Sequence[Tally], current: Tally) -> Judged:
    """`hours`: mature ones since the baseline, in their order; `current`: the newest of them together."""
    (hits, count), (before_hits, before) = decided(current), decided(baseline)
    if not count and not before:
        return not_assessed("no_operators", f"No source of labels is called {OPERATOR}NAME.")
    if before < LEAST:
        said = f"The baseline has {before} decisions of operators; {LEAST} are needed. Choose a newer one."
        return not_assessed("no_baseline", said, count)
    if count < LEAST:
        return not_assessed("too_few", f"Only {count} decisions of operators; {LEAST} are needed.", count)
    line = line_of(before_hits, before, OVERRIDES)
    followed = follow([of_counts(*decided(hour)) for hour in hours], line)
    low, _ = newcombe(hits, count, before_hits, before, SURE)
    inner = wilson(hits, count, 0.95)
    apart = _apart(current)
    said = (
        f"Operators put something else in the place of {hits / count:.1%} of {count:,} outputs"
        f" ({inner[0]:.1%} to {inner[1]:.1%}); of {before_hits / before:.1%} of {before:,} in the baseline.{apart}"
    )
    evidence: dict[str, str | int | float | None] = {"arl_hours": HOURS, "tolerance": OVERRIDES, "n_baseline": before}
    figures = (hits / count, before_hits / before, *inner, line, count)
    if followed.held:
        said += f" It lies above {line:.1%} {followed.over}; by chance that is found once in {HOURS:,} hours."
        return Judged(BREACH, "overridden", said, *figures, evidence, OVERRIDDEN)
    if low > OVERRIDES or apart:
        reason = "perhaps_overridden" if low > OVERRIDES else "one_apart"
        return Judged(WARNING, reason, said, *figures, evidence, OVERRIDDEN)
    return Judged(OK, "as_ever", said, *figures, evidence, OVERRIDDEN)


def _apart(current: Tally) -> str:
    """An operator who overrides more than the others do, beyond chance shared by all of them."""
    told = {name: row for name, row in current.sources.items() if name.startswith(OPERATOR) and row[0] >= LEAST}
    level = 1 - 2 / (HOURS * max(len(told), 1))
    found = []
    for name, (count, same) in sorted(told.items()):
        others = [sum(row[at] for other, row in told.items() if other != name) for at in (0, 1)]
        if others[0] >= LEAST:
            low, _ = newcombe(count - same, count, others[0] - others[1], others[0], level)
            if low > OVERRIDES:
                found.append(f"{name.removeprefix(OPERATOR)} ({(count - same) / count:.0%})")
    return f" More than the others: {', '.join(found)}." if found else ""


def latency(hours: Sequence[Tally], current: Tally, target: float | None) -> Judged:
    """`target`: milliseconds within which 99 of 100 predictions must be made; `hours`: closed ones, in their order."""
    count = sum(current.latency.values())
    if not count:
        return not_assessed("no_latency", "Predictions come without a column latency_ms.")
    if count < P99_ROWS:
        said = f"Only {count} predictions with a latency; p99 has an upper bound from {P99_ROWS} on."
        return not_assessed("too_few", said, count)
    ends = p99(current)
    late = "{1} ({0} to {2})".format(*map(_ms, ends))
    low, value, high = (None if one == float("inf") else one for one in ends)
    if target is None:
        said = f"p99 is {late} of {count:,} predictions; no target is declared."
        return Judged("not_assessed", "no_target", said, value, None, low, high, None, count)
    hits = later(current, target)[0]
    followed = follow([of_counts(*later(hour, target)) for hour in hours if hour.latency], TAIL)
    said = f"p99 is {late} of {count:,} predictions; {hits:,} took longer than {target:,g} ms or timed out."
    evidence: dict[str, str | int | float | None] = {
        "method": "e-detector on late predictions; exact binomial",
        "late": hits,
        "arl_hours": HOURS,
    }
    figures = (value, None, low, high, target, count)
    if followed.held:
        said += f" More than 1 in 100 did {followed.over}; by chance that is found once in {HOURS:,} hours."
        return Judged(BREACH, "late", said, *figures, evidence, FALSE_ALARMS)
    if hits and binomial_tail(hits, count, TAIL) < 1 / HOURS:
        return Judged(WARNING, "perhaps_late", f"{said} That is more than 1 in 100.", *figures, evidence, FALSE_ALARMS)
    return Judged(OK, "in_time", said, *figures, evidence, FALSE_ALARMS)


def _ms(value: float) -> str:
    return "a time-out" if value == float("inf") else f"{value:,.4g} ms"


def later(tally: Tally, target: float) -> tuple[int, int]:
    """(later than the target, all); the cell in which the target lies counts as in time: it is 1 % wide."""
    cell = latency_cell(target)
    return sum(n for at, n in tally.latency.items() if at > cell), sum(tally.latency.values())


def latency_cell(milliseconds: float) -> int:
    return floor(log(max(milliseconds, 1e-3)) / log(LATENCY_STEP))


def p99(tally: Tally) -> tuple[float, float, float]:
    """With its 95 % interval by order statistics; infinite where it is a time-out."""
    cells = sorted(tally.latency)
    reached = np.cumsum([tally.latency[cell] for cell in cells])
    n = int(reached[-1])
    room = 1.96 * sqrt(n * TAIL * (1 - TAIL))
    ranks = (n * (1 - TAIL) - room, n * (1 - TAIL), min(n * (1 - TAIL) + room + 1, n))
    ends = [cells[int(np.searchsorted(reached, rank))] for rank in ranks]
    low, value, high = (float("inf") if cell >= LATEST else float(LATENCY_STEP ** (cell + 1)) for cell in ends)
    return low, value, high


def binomial_tail(hits: int, count: int, share: float) -> float:
    """P(X >= hits)."""
    k = np.arange(hits, min(count, hits + 20_000) + 1)
    logs = [lgamma(count + 1) - lgamma(one + 1) - lgamma(count - one + 1) for one in k.tolist()]
    return min(float(np.exp(np.array(logs) + k * log(share) + (count - k) * log(1 - share)).sum()), 1.0)
