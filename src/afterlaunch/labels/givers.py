"""Who gave labels: of each source, the accounts and addresses that gave most of an hour's, as digests keyed by the
installation's secret. The open hour keeps 64 of them, those before their three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.utils.crypto import salted_hmac

from afterlaunch.labels.models import Source
from afterlaunch.performance.givers import TOP, WORDS, Given
from afterlaunch.predictions.bodies import Rows
from afterlaunch.predictions.columns import Texts
from afterlaunch.predictions.keeping import texts
from afterlaunch.profiles.hashing import Array

KINDS = tuple(WORDS)
KEPT = 64
Hours = dict[str, tuple[int, dict[str, int]]]  # hour: labels that told it, and how many the most frequent gave
HOUR = timedelta(hours=1)


def read(rows: Rows) -> dict[str, Texts]:
    """Of a body, the columns that tell it."""
    return {kind: texts(rows.columns[kind]) for kind in KINDS if kind in rows.columns}


def noted(known: Mapping[str, Any], told: Mapping[str, Texts], mine: Array, hour: str, since: str) -> dict[str, Any]:
    """`known`: of a source, by kind; `mine`: which rows of the body are its; hours before `since` are forgotten."""
    found = {kind: {at: one for at, one in hours.items() if at >= since} for kind, hours in known.items()}
    for kind, column in told.items():
        codes = column.codes[mine & (column.codes >= 0)]
        if not len(codes):
            continue
        hours = {at: (n, by if at == hour else _most(by, TOP)) for at, (n, by) in found.get(kind, {}).items()}
        n, by = hours.get(hour, (0, {}))
        counts = np.bincount(codes, minlength=len(column.values))
        for code in np.argsort(-counts, kind="stable")[:KEPT].tolist():
            if counts[code]:
                name = salted_hmac(f"labels.{kind}", column.values[code]).hexdigest()[:12]
                by = by | {name: by.get(name, 0) + int(counts[code])}
        hours[hour] = n + len(codes), _most(by, KEPT)
        found[kind] = hours
    return found


def _most(by: Mapping[str, int], count: int) -> dict[str, int]:
    return dict(sorted(by.items(), key=lambda one: (-one[1], one[0]))[:count])


def given(known: Sequence[Source], now: datetime) -> dict[tuple[str, str], list[Given]]:
    """Of sources that count, until the last hour that is over."""
    last = (now.replace(minute=0, second=0, microsecond=0) - HOUR).strftime("%Y-%m-%dT%H")
    found = {}
    for one in known:
        for kind, hours in one.givers.items() if one.stopped_at is None else ():
            told = [Given(n, sum(sorted(by.values())[-TOP:])) for at, (n, by) in sorted(hours.items()) if at < last]
            n, by = hours.get(last, (0, {}))
            found[one.name, kind] = [*told, Given(n, sum(sorted(by.values())[-TOP:]))]
    return found
