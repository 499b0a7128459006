"""Walks every address of the server as everybody: who may go in does, who may not is told so, and nobody from one
client ever reads a word of another's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from afterlaunch.app.api import api
from tests.permissions.conftest import undone
from tests.permissions.doors import DOORS, GET, NO_DOORS, POST, Door
from tests.permissions.world import ELSEWHERE, MARKS, ROLES, World

pytestmark = pytest.mark.django_db
RANK = {role: number for number, role in enumerate(ROLES, 1)}
ACTORS = (
    *(f"{role} of north" for role in ("ingest", *ROLES)),
    *(f"{role} of house" for role in ("ingest", "viewer", "admin")),
    "admin of south",
    "nobody",
)
IDS = [str(door) for door in DOORS]


def ask(browser: Browser, door: Door, world: World, slug: str = "north", **headers: str) -> Any:
    address, data = world.fill(door.address, slug), {k: filled(world, v, slug) for k, v in door.data.items()}
    if door.method == GET:
        return browser.get(address, headers=headers)
    if door.api:
        return browser.post(address, orjson.dumps(data), "application/json", headers=headers)
    return browser.post(address, data, headers=headers)


def filled(world: World, value: Any, slug: str) -> Any:
    if isinstance(value, list):
        return [filled(world, one, slug) for one in value]
    if isinstance(value, dict):
        return {name: filled(world, one, slug) for name, one in value.items()}
    return world.fill(str(value), slug)


def may(door: Door, actor: str) -> str:
    """What an actor is owed on a thing of `north`: "in", "forbidden" (403) or "unseen" (404; 403 would tell of it)."""
    role, _, place = actor.partition(" of ")
    everywhere = place == "house"
    if door.who in ("anybody", "signed in"):
        return "in" if door.who == "anybody" or role != "ingest" else "forbidden"
    if door.who == "own":
        return "in" if actor in ("admin of north", "admin of house") else "unseen"
    if door.who == "house ingest":
        return "in" if everywhere and role in ("ingest", "admin") else "forbidden"
    if role in ("ingest", "nobody"):
        return "forbidden"
    if door.who == "mine":
        return "in" if actor == "responder of north" else "unseen"
    if door.who == "asked":
        return "unseen" if place == "south" else "in" if actor == "responder of north" else "forbidden"
    wanted = door.who.removeprefix("house ")
    if door.who.startswith("house "):
        return "in" if everywhere and RANK[role] >= RANK[wanted] else "forbidden"
    shared = {"{month}"}  # everybody's, each with their own things in it
    if place == "south" and (set(re.findall(r"{\w+}", door.address)) - shared or door.method == POST):
        return "unseen"
    return "in" if RANK[role] >= RANK[wanted] else "forbidden"


@pytest.mark.parametrize("door", DOORS, ids=IDS)
def test_everybody_gets_in_exactly_where_they_may(door: Door, world: World) -> None:
    for actor in ACTORS:
        owed = may(door, actor)
        with undone():
            answer = ask(world.browser(actor, with_token=door.api and actor != "nobody"), door, world)
        said = f"{actor}: {answer.status_code} {said_by(answer)[:300]!r}"
        if owed == "in":
            assert answer.status_code in door.fine, said
        elif owed == "unseen":
            assert answer.status_code == 404, said
        elif door.who == "signed in":  # a token has no password and no contact methods
            assert answer.status_code in (302, 400, 403), said
        else:
            assert answer.status_code == 403, said


@pytest.mark.parametrize("door", [door for door in DOORS if door.who != "anybody"], ids=str)
def test_without_signing_in_a_page_leads_to_the_door_and_the_api_says_401(door: Door, world: World) -> None:
    with undone():
        answer = ask(Browser(REMOTE_ADDR=ELSEWHERE), door, world)
    if door.api:
        assert answer.status_code == 401 and answer["Content-Type"] == "application/problem+json"
        assert orjson.loads(said_by(answer))["hint"]
    else:
        assert answer.status_code == 302 and answer["Location"].startswith("/accounts/login/?next=")
    with undone():
        wrong = ask(Browser(headers={"authorization": "Bearer alt_unknown"}, REMOTE_ADDR=ELSEWHERE), door, world)
    if not door.address.startswith("/accounts/"):
        assert wrong.status_code == 401


def said_by(answer: Any) -> str:
    """The whole body as text, of files too."""
    if getattr(answer, "streaming", False):
        if not hasattr(answer, "whole"):
            answer.whole = b"".join(answer.streaming_content)
        return str(answer.whole.decode(errors="replace"))
    return str(answer.content.decode(errors="replace"))


CHANCE = re.compile(r"(?<=[\"'])[A-Za-z0-9]{64}(?=[\"'])")
"""Tokens against forged requests: letters of chance, which may spell anything."""


@pytest.mark.parametrize("door", [door for door in DOORS if door.method == GET], ids=str)
@pytest.mark.parametrize("stranger", ["viewer of south", "admin of south"])
def test_a_stranger_never_reads_a_word_of_another_client(door: Door, stranger: str, world: World) -> None:
    """By list and by detail, plain and as a part of a page; and by filters that name the others' things."""
    browser = world.browser(stranger)
    plain = ask(browser, door, world, "south")
    part = ask(browser, door, world, "south", **{"HX-Request": "true"})
    for answer in (plain, part):
        text = CHANCE.sub("", said_by(answer)).lower()
        found = [mark for mark in MARKS if mark in text]
        assert not found, f"{stranger} reads {found}: {around(answer, found[0])}"
    for query in door.filters:
        address = world.fill(door.address, "south").partition("?")[0]
        answer = browser.get(f"{address}?{world.fill(query, 'north')}")
        asked_for = set(re.findall("hush[a-z-]*", query))
        told = re.findall("hush[a-z-]*", said_by(answer))
        assert set(told) <= asked_for, f"{query}: {around(answer, 'hush')}"
        assert answer.status_code in (200, 400, 403, 404)


def around(answer: Any, mark: str) -> str:
    text = said_by(answer)
    place = text.lower().find(mark)
    return text[max(0, place - 200) : place + 100]


def test_the_walk_would_see_a_hole(world: World) -> None:
    """A viewer of `north` does read the words whose absence proves everything above."""
    browser = world.browser("viewer of north")
    digests = ("/api/v1/evidence/checkpoint", "/api/v1/evidence/proof?index={entry}")
    blind, silent = {*digests}, list[str]()
    blind |= {"/api/v1/erasures"}  # who was erased is told by a digest
    blind |= {
        "/slos/{slo}/budget.csv",
        "/api/v1/slos/{slo}/budget",
        "/api/v1/slos/burns",
    }  # days and figures, no names; nothing burns here
    blind |= {"/api/v1/sla/calendars", "/api/v1/systems/{system}/support"}  # hours and durations
    blind |= {"/api/v1/incident-kinds"}  # the same for everybody
    blind |= {"/spend/prices"}  # leads on to the only client's
    for door in DOORS:
        if door.method == GET and door.who == "viewer" and door.address not in blind:
            answers = [ask(browser, door, world)]
            answers += [
                browser.get(f"{world.fill(door.address).partition('?')[0]}?{world.fill(query)}")
                for query in door.filters
            ]
            text = " ".join(said_by(answer).lower() for answer in answers)
            if not any(mark in text for mark in MARKS):
                silent.append(str(door))
    assert silent == []


SMUGGLED = (
    ("POST", "/settings/tokens", {"name": "x", "role": "viewer", "client": "north"}, 404),
    ("POST", "/settings/tokens", {"name": "x", "role": "viewer", "client": ""}, 403),
    ("POST", "/settings/people", {"email": "n@example.org", "role": "viewer", "client": "north"}, 404),
    ("POST", "/settings/people", {"email": "n@example.org", "role": "admin", "client": ""}, 403),
    ("POST", "/systems/{system}", {"name": "x", "owner": "{their_person}", "tier": "standard", "posture": "pilot",
                                   "time_zone": "UTC"}, 400),
    ("POST", "/oncall/south/schedules/{schedule}/overrides", {"kind": "cover", "person": "{their_person}",
                                                              "starts_at": "2035-01-01T00:00",
                                                              "ends_at": "2035-01-02T00:00"}, 400),
    ("POST", "/oncall/south/schedules/{their_schedule}/overrides", {"kind": "cover"}, 404),
    ("POST", "/oncall/south/schedules/{schedule}/overrides/{their_override}/cancel", {}, 404),
    ("POST", "/oncall/south/schedules/{schedule}/edit", {"do": "save", "name": "x", "zone": "UTC",
                                                         "layer-0-name": "a", "layer-0-start": "2035-01-01T09:00",
                                                         "layer-0-turn-0": "p{their_person}"}, 400),
    ("POST", "/oncall/south/schedules/{schedule}/edit", {"do": "save", "name": "x", "zone": "UTC",
                                                         "layer-0-name": "a", "layer-0-start": "2035-01-01T09:00",
                                                         "layer-0-turn-0": "t{their_team}"}, 400),
    ("POST", "/oncall/south/policies/{policy}", {"do": "save", "name": "x", "step-0-target": "person:{their_person}",
                                                 "catch-all": "owner:"}, 400),
    ("POST", "/oncall/south/policies/{policy}", {"do": "save", "name": "x", "catch-all": "owner:",
                                                 "step-0-target": "schedule:{their_schedule}"}, 400),
    ("POST", "/oncall/south/teams", {"name": "x", "member": "{their_person}"}, 400),
    ("POST", "/oncall/south/teams", {"name": "x", "team": "{their_team}", "member": "{person}"}, 404),
    ("POST", "/settings/gateway/routes/north-first/shadow/end", {}, 404),
    ("POST", "/settings/gateway/keys", {"name": "x", "route": "north-first"}, 404),
    ("POST", "/settings/gateway/keys/{their_key}/revoke", {}, 404),
    ("POST", "/settings/gateway/routes", {"name": "x", "system": "{their_system}", "upstream": "provider"}, 404),
    ("API", "/api/v1/changes", {"route": "north-first", "title": "x", "prompt_version": "v7"}, 404),
    ("GET", "/changes?incident={their_incident}", {}, 404),
    ("GET", "/api/v1/evidence/proof?index={their_entry}", {}, 404),
)  # fmt: skip


@pytest.mark.parametrize(("method", "address", "data", "status"), SMUGGLED, ids=[f"{m} {a}" for m, a, _, _ in SMUGGLED])
def test_nothing_of_another_client_can_be_named_in_a_form(
    method: str, address: str, data: dict[str, str], status: int, world: World
) -> None:
    known = {**world.ids["south"], **{f"their_{name}": value for name, value in world.ids["north"].items()}}
    filled = {key: value.format_map(known) for key, value in data.items()}
    browser = world.browser("admin of south", with_token=method == "API")
    with undone():
        if method == "GET":
            answer = browser.get(address.format_map(known))
        elif method == "API":
            answer = browser.post(address, orjson.dumps(filled), "application/json")
        else:
            answer = browser.post(address.format_map(known), filled)
    assert answer.status_code == status, said_by(answer)[:500]


def test_other_methods_are_refused(world: World) -> None:
    """A method without a row of its own is answered 405 even to whoever may do everything."""
    browser = world.browser("admin of house")
    for address in {door.address for door in DOORS if "/accounts/" not in door.address} - {"/api/v1/openapi.json"}:
        known = {door.method for door in DOORS if door.address == address}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
            with undone():
                answer = browser.generic(method, world.fill(address))
            assert answer.status_code in (404, 405), f"{method} {address}: {answer.status_code}"


def patterns(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in resolver.url_patterns:
        address = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, address)
        else:
            yield address, one


def test_every_address_has_its_row(world: World) -> None:
    """New routes must say who may go through them: add them to `doors.py`."""
    kept = {resolve(world.fill(door.address).partition("?")[0]).route for door in DOORS}
    named = {door.address for door in DOORS}
    for address, _ in patterns(get_resolver()):
        assert address in kept or address in NO_DOORS, f"{address} has no row in tests/permissions/doors.py"
        for choice in re.findall(r"\((?:\?P<\w+>)?([a-z-]+(?:\|[a-z-]+)+)\)", address):
            for one in choice.split("|"):
                assert any(name.endswith("/" + one) for name in named), f"{address}: {one} has no row in doors.py"


def test_every_operation_of_the_api_has_its_row() -> None:
    def shape(address: str) -> str:
        return re.sub(r"\{.*?\}", "{}", address.partition("?")[0])

    rows = {(door.method.lower(), shape(door.address)) for door in DOORS}
    for path, operations in api.get_openapi_schema()["paths"].items():
        for method in operations:
            assert (method, shape(path)) in rows, f"{method.upper()} {path} has no row in tests/permissions/doors.py"
