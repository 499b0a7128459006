"""What could never be stored is looked at, replayed after a mend, or discarded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from django.test import Client as Browser
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from afterlaunch.accounts.actions import first_administrator
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.ground.errors import Conflict, NotAllowed, NotFound
from afterlaunch.telemetry.buffer import Buffer
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.decoding import Body
from afterlaunch.telemetry.engines import Changes
from afterlaunch.telemetry.intake import PROTOBUF, TRACES, Door, Intake
from afterlaunch.telemetry.keeping import dead_letters, erasing
from afterlaunch.telemetry.keeping.actions import rules
from afterlaunch.telemetry.keeping.content import SPAN_SHAPE
from afterlaunch.telemetry.keeping.rules import Decision, Rules
from afterlaunch.telemetry.keeping.scrubbing import scrubbed
from afterlaunch.telemetry.keeping.tests.spans import body
from afterlaunch.telemetry.keeping.watch import Watched, guarded
from afterlaunch.telemetry.lander import as_bytes
from afterlaunch.telemetry.store import Store
from afterlaunch.telemetry.tables import DEAD_LETTERS

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


def test_letters_of_one_nanosecond_are_paged_each_once(store: Store) -> None:
    for number, client in enumerate(("north", "south", "north", "east", "north", "south")):
        store.bury(9, client, f"poison {number}", b"no stream")
    everything = dead_letters.letters(ENGINE)
    assert {one.why for one in everything} == {f"poison {number}" for number in range(6)}
    assert len({one.id for one in everything}) == 6
    for size in range(1, 7):
        paged: list[str] = []
        while page := dead_letters.letters(ENGINE, size, paged[-1] if paged else None):
            paged += [one.id for one in page]
        assert paged == [one.id for one in everything]
    dead_letters.discard(ENGINE, everything[0].id)
    assert [one.id for one in dead_letters.letters(ENGINE)] == [one.id for one in everything[1:]]


def test_a_letter_that_cannot_be_read_is_shown_all_the_same(store: Store) -> None:
    store.bury(9, "north", "torn", b"no stream")
    assert dead_letters.letter(ENGINE, "9-north").table is None


def poison(data: bytes, *rest: Any) -> Any:
    """A fault of ours: bodies with the third span cannot be read."""
    if (3).to_bytes(16, "big") in data:
        raise IndexError("hush")
    return TRACES.decode(data, *rest)


@pytest.fixture
def sent(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of four spans of north one could not be read; it named an address."""
    request = ExportTraceServiceRequest.FromString(body(0, 4))
    request.resource_spans[0].scope_spans[0].spans[2].attributes.add(key="input.value").value.string_value = SECRET
    monkeypatch.setitem(dead_letters.SIGNALS, "spans", replace(TRACES, decode=poison))
    buffer = Buffer(store, 1_000_000)
    signal = guarded(dead_letters.SIGNALS["spans"], SPAN_SHAPE, Watched(rules))
    intake = Intake(buffer, 100_000, Door(True), signal)
    made = intake._made(Body(request.SerializeToString(), "application/x-protobuf", "north", clock.now_ns()))
    assert (made.table.num_rows, made.rejected) == (3, 1)
    buffer.close()
    (one,) = dead_letters.letters(ENGINE)
    return one.id


SECRET = "write to erika.mustermann@example.org"


def test_what_no_rule_could_read_is_kept_masked_as_it_was_sent_and_is_read_after_a_mend(
    store: Store, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = dead_letters.letter(ENGINE, sent)
    assert (one.client, one.items, one.what, one.table) == ("north", 1, "spans", None)
    shown = dead_letters.as_json(one)
    assert (3).to_bytes(16, "big").hex() in shown
    assert (
        "gen_ai.operation.name" in shown
        and "[masked: e-mail]" in shown
        and "erika" not in shown
        and "hush" not in one.why
    )
    assert vars(dead_letters.replay(ENGINE, sent)) == {"stored": 0, "duplicates": 0, "left": 1}
    (again,) = dead_letters.letters(ENGINE)
    monkeypatch.undo()
    assert vars(dead_letters.replay(ENGINE, again.id)) == {"stored": 1, "duplicates": 0, "left": 0}
    assert dead_letters.count() == 0
    assert store.query("select client, input_text from spans")[0]["client"] == "north"


@pytest.mark.parametrize(("client", "goes"), [("north", True), ("south", False)])
def test_whom_a_request_names_that_was_never_read_is_erased(store: Store, sent: str, client: str, goes: bool) -> None:
    erasing.erase_rest(store, erasing.Subject(client, "user", "[masked: e-mail]"))
    assert dead_letters.count() == (0 if goes else 1)


def test_without_content_none_of_it_is_kept(store: Store) -> None:
    request = ExportTraceServiceRequest.FromString(body(0, 1))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.events.add(name="exception").attributes.add(key="exception.message").value.string_value = SECRET
    span.status.message = SECRET
    rule = Rules([((None, ""), Decision(capture="on")), (("north", "desk"), Decision(capture="off"))]).strictest(None)
    scrubbed(request, rule)
    assert rule.capture == "off" and b"erika" not in request.SerializeToString() and not span.events
    assert [one.key for one in span.attributes if one.key == "input.value"] == []
    assert Rules([((None, ""), Decision(capture="on"))]).strictest("north").capture == "on"


MANY, NORTH = 500, 12


@pytest.fixture
def browser(store: Store) -> Browser:
    made = Browser()
    made.force_login(first_administrator(), backend="django.contrib.auth.backends.ModelBackend")
    return made


def test_the_page_with_none_and_with_one(store: Store, browser: Browser, request: pytest.FixtureRequest) -> None:
    page = browser.get("/settings/dead-letters").content.decode()
    assert "No dead letters" in page and "Replay all" not in page
    letter = request.getfixturevalue("letter")
    page = browser.get("/settings/dead-letters").content.decode()
    assert "<p>1 letter." in page and "poison" in page and f"/settings/dead-letters/{letter}" in page
    one = browser.get(f"/settings/dead-letters/{letter}").content.decode()
    assert "4 rows for the table <code>spans</code>" in one and ">Replay<" in one and "Row 4" in one
    assert browser.post(f"/settings/dead-letters/{letter}/replay").status_code == 302
    assert "4 rows stored, 0 were stored already." in browser.get("/settings/dead-letters").content.decode()
    assert store.query("select count(*) as n from calls")[0]["n"] == 4


def test_of_five_hundred_a_clients_are_replayed_at_once_and_the_good_neighbours_kept(
    store: Store, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each letter's two spans one can be stored by now; in one of four letters the other cannot yet."""
    rows = normalise(body(0, 2 * NORTH), PROTOBUF, "north", clock.now_ns()).table
    told = [(7 + n, "north", f"poison {n}", as_bytes(rows.slice(2 * n, 2))) for n in range(NORTH)]
    told += [(7 + n, "south", f"poison {n}", b"no stream") for n in range(NORTH, MANY)]
    columns = [list(one) for one in zip(*told, strict=True)]
    store.engine.write(Changes("many", {"dead_letter": pa.table(columns, schema=DEAD_LETTERS)}))
    store.commit([rows.slice(0, 2)])  # the first letter's were sent again meanwhile
    page = browser.get("/settings/dead-letters").content.decode()
    assert f"<p>{MANY} letters." in page and f"poison {MANY - 1}" in page and "poison 3<" not in page
    assert page.count('<td class="wide">poison') == 50
    older = browser.get("/settings/dead-letters", {"before": f"{7 + MANY - 50}-south"}).content.decode()
    assert f"poison {MANY - 51}<" in older and f"poison {MANY - 50}<" not in older

    bad = {rows["span_id"][2 * number + 1].as_py() for number in range(0, NORTH, 4)}
    commit = store.commit

    def picky(tables: list[Any]) -> tuple[int, int]:
        if any(bad & set(table["span_id"].to_pylist()) for table in tables):
            raise pa.ArrowInvalid("poison")
        return commit(tables)

    with monkeypatch.context() as broken:
        broken.setattr(store, "commit", picky)
        done = dead_letters.replay_all(ENGINE, "north", seconds=300)
    assert (done.letters, done.duplicates, done.left, done.unreadable) == (NORTH, 1, 3, 0) and not done.more
    assert done.stored == 2 * NORTH - 4
    left = dead_letters.letters(ENGINE, MANY, client="north")
    assert len(left) == 3 and sum(one.items or 0 for one in map(reread, left)) == 3
    again = dead_letters.replay_all(ENGINE, "north", seconds=300)
    assert (again.letters, again.stored, again.duplicates, again.left) == (3, 2, 1, 0)
    assert store.query("select count(*) as n from spans")[0]["n"] == 2 * NORTH
    (sums,) = store.query("select sum(calls)::bigint as calls from sums_minute")
    assert sums["calls"] == 2 * NORTH and dead_letters.count() == MANY - NORTH
    (torn,) = dead_letters.letters(ENGINE, 1)
    with pytest.raises(Conflict):
        dead_letters.replay(ENGINE, torn.id)


def reread(one: dead_letters.Letter) -> dead_letters.Letter:
    return dead_letters.letter(ENGINE, one.id)


def test_all_of_them_are_those_that_one_may_replay(store: Store) -> None:
    rows = normalise(body(0, 2), PROTOBUF, "north", clock.now_ns()).table
    for number, client in enumerate(("north", "south")):
        store.bury(7 + number, client, "poison", as_bytes(rows.slice(number, 1)))
    with pytest.raises(NotAllowed):
        dead_letters.replay_all(held(Role.VIEWER, "north"))
    with pytest.raises(NotAllowed):
        dead_letters.replay_all(held(Role.OPERATOR, "north"), "south")
    assert dead_letters.replay_all(held(Role.OPERATOR, "north")).letters == 1
    assert [one.client for one in dead_letters.letters(ENGINE)] == ["south"]
    assert dead_letters.replay_all(ENGINE, seconds=-1) == dead_letters.AllReplayed(more=True)


def test_the_button_and_the_api_replay_all(store: Store, letter: str, browser: Browser) -> None:
    assert browser.post("/settings/dead-letters/replay").status_code == 302
    page = browser.get("/settings/dead-letters").content.decode()
    assert "1 letters replayed: 4 rows stored, 0 were stored already." in page and "No dead letters" in page
    told = browser.post("/api/v1/dead-letters/replay", content_type="application/json").json()
    assert told == {"letters": 0, "stored": 0, "duplicates": 0, "left": 0, "unreadable": 0, "more": False}
