"""The verdict on rankings: nDCG of the newest queries whose labels are mature, against the baseline's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from afterlaunch.drift.chances import normal_quantile
from afterlaunch.performance import rankings
from afterlaunch.performance.following import FALSE_ALARMS, HOURS, Losses, follow
from afterlaunch.performance.judging import BREACH, LEAST, OK, SURE, UPPER, WARNING, Judged, not_assessed
from afterlaunch.performance.scores import Z
from afterlaunch.performance.tally import Tally


def judge(baseline: Tally, hours: Sequence[Tally], current: Tally, tolerance: float, coverage: float | None) -> Judged:
    """`hours`: mature ones since the baseline, in their order; `current`: the newest of them together."""
    count, name = current.judged, f"nDCG@{current.cutoff}"
    if count < LEAST:
        return not_assessed("too_few_labels", f"Only {count} rankings with mature labels; {LEAST} are needed.", count)
    before, spread = rankings.mean_loss(baseline)
    now, now_spread = rankings.mean_loss(current)
    room = sqrt(now_spread / count)
    line = min(before + normal_quantile((1 + UPPER) / 2) * sqrt(spread / baseline.judged) + tolerance, 1.0)
    followed = follow([Losses(*rankings.losses(hour)) for hour in hours], line)
    low = now - before - normal_quantile((1 + SURE) / 2) * sqrt(room**2 + spread / baseline.judged)
    covered = f", {coverage:.0%} of the items labelled" if coverage is not None else ""
    said = (
        f"{name} is {1 - now:.3f} over {count:,} rankings with mature labels"
        f" ({max(1 - now - Z * room, 0):.3f} to {min(1 - now + Z * room, 1):.3f}{covered});"
        f" {1 - before:.3f} over {baseline.judged:,} in the baseline."
    )
    evidence: dict[str, str | int | float | None] = {
        "method": f"e-detector on 1 - {name}; two means (Welch)",
        "log_e": round(max(followed.log_e, -1e9), 3),
        "arl_hours": HOURS,
        "tolerance": tolerance,
        "n_baseline": baseline.judged,
        "alarms": len(followed.alarms),
    }
    interval = max(1 - now - Z * room, 0.0), min(1 - now + Z * room, 1.0)
    figures = (1 - now, 1 - before, *interval, 1 - line, count)
    if followed.held:
        said += f" It lies below {1 - line:.3f} {followed.over}; by chance that is found once in {HOURS:,} hours."
        return Judged(BREACH, "worse", said, *figures, evidence, FALSE_ALARMS)
    if low > tolerance:
        said += f" The fall is more than {tolerance:.3f}, which chance gives once in {HOURS:,} looks."
        return Judged(WARNING, "perhaps_worse", said, *figures, evidence, FALSE_ALARMS)
    return Judged(OK, "no_drop_found", said, *figures, evidence, FALSE_ALARMS)
