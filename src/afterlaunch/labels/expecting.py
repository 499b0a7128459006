"""The model of a baseline's errors: learnt from the predictions that are kept of its hours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from afterlaunch.labels import tallying
from afterlaunch.labels.models import Hour, Place
from afterlaunch.performance import expecting, judging
from afterlaunch.performance.crossing import Coded
from afterlaunch.performance.expecting import Column, Expecting
from afterlaunch.performance.tally import SIZE_STEP, Tally
from afterlaunch.predictions.actions import as_task
from afterlaunch.predictions.models import Task

HOURS = 500  # the newest of a long baseline


def learnt(place: Place, declared: Task, hours: Sequence[Hour], whole: Tally) -> Expecting | str:
    """Why there is none, in a sentence."""
    task, stopped = as_task(declared), tallying.stopped_sources(place)
    parts: list[dict[str, Column]] = []
    sizes = []
    for hour in hours[-HOURS:]:
        read = tallying.read(place, hour, stopped)
        if read is None:
            continue
        columns, outputs, labels = tallying.quantities(task, read)
        judged = np.flatnonzero(np.isfinite(outputs) & np.isfinite(labels))
        parts.append({name: expecting.taken(one, judged) for name, one in columns.items()})
        sizes.append(np.abs(outputs[judged] - labels[judged]))
    if not parts:
        return "Predictions of the baseline are not kept any more, so that their errors can't be learnt."
    names = [name for name in parts[-1] if all(name in one for one in parts)]
    beyond = judging.wrong_of(whole).beyond
    assert beyond is not None
    columns = {name: _joined([one[name] for one in parts]) for name in names}
    return expecting.learn(columns, np.concatenate(sizes), SIZE_STEP ** (beyond + 1))


def _joined(parts: Sequence[Column]) -> Column:
    coded = [one for one in parts if isinstance(one, Coded)]
    if not coded:
        return np.concatenate([one for one in parts if not isinstance(one, Coded)])
    values = sorted({value for one in coded for value in one.values})
    place = {value: at for at, value in enumerate(values)}
    turned = [np.array([*(place[value] for value in one.values), -1])[one.codes] for one in coded]
    return Coded(values, np.concatenate(turned))
