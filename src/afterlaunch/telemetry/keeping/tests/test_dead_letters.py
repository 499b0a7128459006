"""What could never be stored is looked at, replayed after a mend, or discarded."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import NotAllowed, NotFound
from afterlaunch.telemetry.buffer import as_bytes
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.keeping import dead_letters
from afterlaunch.telemetry.keeping.tests.spans import body
from afterlaunch.telemetry.store import Store

pytestmark = pytest.mark.django_db
ENGINE = automation("engine")


def held(role: Role, client: str) -> Actor:
    return Actor("person", "p", (Held(role, client),))


@pytest.fixture
def letter(store: Store) -> str:
    """Four spans of north that were never stored."""
    rows = normalise(body(0, 4), "application/x-protobuf", "north", clock.now_ns()).table
    store.bury(7, "north", "poison", as_bytes(rows))
    return "7-north"


def test_a_replay_stores_what_was_poison(store: Store, letter: str) -> None:
    one = dead_letters.letter(ENGINE, letter)
    assert (one.why, one.rows.num_rows, one.table and one.table.name) == ("poison", 4, "spans")
    assert vars(dead_letters.replay(ENGINE, letter)) == {"stored": 4, "duplicates": 0, "left": 0}
    assert store.query("select count(*) as n from calls")[0]["n"] == 4
    assert dead_letters.count() == 0
    assert Entry.objects.filter(deed="dead_letter.replayed", client="north").exists()


def test_a_replay_keeps_the_good_and_the_bad_stays(store: Store, letter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = store.commit

    def picky(tables: list[Any]) -> tuple[int, int]:
        (table,) = tables
        if table["span_id"].to_pylist().count(poison):
            raise pa.ArrowInvalid("poison")
        return commit(tables)

    poison = dead_letters.letter(ENGINE, letter).rows["span_id"][2].as_py()
    monkeypatch.setattr(store, "commit", picky)
    assert vars(dead_letters.replay(ENGINE, letter)) == {"stored": 3, "duplicates": 0, "left": 1}
    (left,) = dead_letters.letters(ENGINE)
    assert dead_letters.letter(ENGINE, left.id).rows["span_id"].to_pylist() == [poison]


def test_who_may_do_what(store: Store, letter: str) -> None:
    assert dead_letters.letters(held(Role.VIEWER, "north")) and not dead_letters.letters(held(Role.ADMIN, "south"))
    for forbidden in (dead_letters.replay, dead_letters.discard):
        with pytest.raises(NotFound):
            forbidden(held(Role.ADMIN, "south"), letter)
        with pytest.raises(NotAllowed):
            forbidden(held(Role.VIEWER, "north"), letter)
    with pytest.raises(NotAllowed):
        dead_letters.discard(held(Role.OPERATOR, "north"), letter)
    dead_letters.discard(held(Role.ADMIN, "north"), letter)
    assert dead_letters.count() == 0


def test_a_letter_that_cannot_be_read_is_shown_all_the_same(store: Store) -> None:
    store.bury(9, "north", "torn", b"no stream")
    assert dead_letters.letter(ENGINE, "9-north").table is None
