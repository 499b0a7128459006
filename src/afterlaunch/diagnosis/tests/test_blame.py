"""The ranking of components: on systems made up with a known cause, and on real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from tests.real_input import real

from afterlaunch.diagnosis.blame import Case, Measured, blame
from afterlaunch.diagnosis.cases import document, read
from afterlaunch.ground.errors import Invalid


def system(seed: int, size: int = 12, bins: int = 12, onset: int = 8, measure: str = "latency") -> tuple[Case, str]:
    """A random tree of components that wait for their callees; one of them, at random, becomes slow or fails."""
    rng = np.random.default_rng(seed)
    parents = [None, *(int(rng.integers(0, number)) for number in range(1, size))]
    children: dict[int, list[int]] = {number: [] for number in range(size)}
    for number, parent in enumerate(parents):
        if parent is not None:
            children[parent].append(number)
    guilty = int(rng.integers(0, size))
    calls: Any = np.round(rng.uniform(800, 1200, bins))
    own: Any = rng.uniform(0.01, 0.05, size)[:, None] * rng.normal(1, 0.03, (size, bins))
    if measure == "availability":
        own = rng.poisson(2, (size, bins)) / calls
    own[guilty, onset:] += 0.1
    whole: Any = np.zeros((size, bins))
    for number in reversed(range(size)):
        whole[number] = own[number] + sum((whole[one] for one in children[number]), np.zeros(bins))
    components = {f"c{number}": Measured(calls, whole[number] * calls) for number in range(size)}
    graph = {f"c{number}": [f"c{one}" for one in ones] for number, ones in children.items()}
    times: Any = np.arange(bins) * 300.0
    return Case("c0", measure, times, 300.0, times[onset], graph, components), f"c{guilty}"


@pytest.mark.parametrize("measure", ["latency", "availability"])
def test_whatever_component_becomes_worse_is_named_first_with_nearly_all_of_it(measure: str) -> None:
    for seed in range(200):
        case, guilty = system(seed, measure=measure)
        verdict = blame(case)
        assert verdict.rows[0].component == guilty, seed
        assert verdict.rows[0].share > 0.6
        assert sum(row.share for row in verdict.rows) == pytest.approx(1)
        assert verdict.rows[0].path[0] == "c0"
        assert verdict.rows[0].path[-1] == guilty


def test_a_circle_of_calls_ends() -> None:
    case, guilty = system(3)
    graph = {name: [*callees, "c0", guilty] for name, callees in case.calls.items()}
    verdict = blame(Case("c0", "latency", case.times, 300.0, case.onset, graph, case.components))
    assert sum(row.share for row in verdict.rows) == pytest.approx(1)


def test_it_names_why_there_is_nothing_to_compare() -> None:
    case, _ = system(1)
    early = Case("c0", "latency", case.times, 300.0, -1.0, case.calls, case.components)
    assert blame(early).reason == "nothing_before"
    late = Case("c0", "latency", case.times, 300.0, 1e9, case.calls, case.components)
    assert blame(late).reason == "nothing_after"
    healthy = {name: Measured(one.calls[:8], one.amount[:8]) for name, one in case.components.items()}
    usual = Case("c0", "latency", case.times[8:], 300.0, 0.0, case.calls, {
        name: Measured(one.calls[8:], one.amount[8:]) for name, one in case.components.items()
    }, healthy)  # fmt: skip
    assert (blame(usual).reason, blame(usual).against) == ("blamed", "usual")


def test_what_is_not_worse_blames_nobody() -> None:
    case, _ = system(1)
    flat = {name: Measured(one.calls, one.calls * 0.1) for name, one in case.components.items()}
    verdict = blame(Case("c0", "latency", case.times, 300.0, case.onset, case.calls, flat))
    assert verdict.reason == "not_worse"
    assert {row.share for row in verdict.rows} == {0.0}


GOOD = {
    "target": "web",
    "measure": "latency",
    "onset": 600,
    "times": [0, 300, 600],
    "calls": {"web": ["db"]},
    "components": {
        "web": {"calls": [10, 10, 10], "latency_seconds": [0.2, 0.2, 0.5]},
        "db": {"calls": [10, 10, None], "latency_seconds": [0.1, 0.1, 0.1]},
    },
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target": ""}, "target is missing"),
        ({"target": "nobody"}, "not among the components"),
        ({"measure": "colour"}, "measure 'colour' is not known"),
        ({"onset": None}, "onset is missing or no instant"),
        ({"times": [0]}, "at least two instants"),
        ({"times": [3, 2, 1]}, "that increase"),
        ({"times": "soon"}, "times needs"),
        ({"calls": []}, "calls is missing"),
        ({"calls": {"web": "db"}}, "calls.web is no list"),
        ({"components": {}}, "components is missing"),
        ({"components": {"web": 3}}, "components.web is no object"),
        ({"components": {"web": {"calls": [1, 2]}}}, "components.web.calls needs 3 numbers"),
        (
            {"components": {"web": {"calls": [1, 2, {}], "latency_seconds": [1, 2, 3]}}},
            "components.web.calls holds what is no number",
        ),
    ],
)
def test_a_wrong_document_is_told_where_it_is_wrong(wrong: dict[str, object], said: str) -> None:
    document(GOOD)
    with pytest.raises(Invalid, match=said):
        document(GOOD | wrong)


def test_real_faults_in_a_real_application() -> None:
    """CC-BY-4.0, amazon-science/petshop-root-cause-analysis: the cause stands in target.json."""
    first = among_three = cases = 0
    for goal in sorted(real("data/petshop-rca").glob("*/*/*/target.json")):
        case, _ = read(goal.parent)
        assert case is not None
        names = [row.component for row in blame(case).rows]
        cause = orjson.loads(goal.read_bytes())["root_cause"]["node"]
        cases, first, among_three = cases + 1, first + (names[:1] == [cause]), among_three + (cause in names[:3])
    assert cases >= 20
    assert first >= 0.95 * cases
    assert among_three == cases
