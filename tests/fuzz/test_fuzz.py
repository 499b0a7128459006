"""A short version of `python -m tests.fuzz`, with the same bodies and the same checks, shrunk by hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterlaunch.ground import settings as ours
from tests.fuzz.bodies import KINDS
from tests.fuzz.door import Open
from tests.fuzz.reading import Reader

KIND = {kind.name: kind for kind in KINDS}


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Iterator[Open]:
    monkeypatch.setenv("AFTERLAUNCH_DATA", str(tmp_path))
    ours.reload()
    made = Open()
    yield made
    made.close()
    monkeypatch.undo()
    ours.reload()


def test_no_body_breaks_the_receivers_or_the_pages(door: Open) -> None:
    @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        kinds=st.lists(st.sampled_from(sorted(KIND)), min_size=2, max_size=6),
        draw=st.randoms(use_true_random=False),
    )
    def holds(kinds: list[str], draw: Random) -> None:
        door.check([KIND[name].make(draw) for name in kinds])

    holds()
    Reader().read()
    door.nothing_buried()


def test_bodies_of_every_kind_are_made_and_taken(door: Open) -> None:
    draw = Random(7)
    for kind in KINDS:
        door.check([kind.make(draw) for _ in range(8)])
    door.nothing_buried()
    assert {200, 204, 400} <= set(door.told.answers) and door.told.spans > 30
