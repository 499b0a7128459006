"""What a page tells the browser to refuse, and what another site can't make a signed-in browser do."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client as Browser

from afterlaunch.accounts.models import User
from afterlaunch.incidents.models import Incident
from tests.permissions.conftest import undone
from tests.permissions.doors import DOORS, GET, POST
from tests.permissions.test_doors import ask
from tests.permissions.world import BACKEND, World

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough one"


def strict(world: World, name: str = "admin of house") -> Browser:
    """A signed-in browser whose server checks where a form comes from."""
    made = Browser(enforce_csrf_checks=True)
    made.force_login(world.people[name], backend=BACKEND)
    return made


def test_no_other_site_can_send_a_form_or_a_request(world: World) -> None:
    """The acknowledge link has a token of its own, hooks and pings have keys; their refusals without are rows in
    `doors.py`. A public status page's forms use no sign-in: its copy on another site sends them too, and a mail must
    confirm."""
    for door in DOORS:
        if door.method == POST and not door.address.startswith(("/ack/", "/hooks/", "/ping/", "/status/")):
            with undone():
                answer = ask(strict(world), door, world)
            assert answer.status_code == 403, f"{door}: {answer.status_code}"


def test_a_page_of_ours_may_use_the_api_with_its_token(world: World) -> None:
    browser, incident = strict(world), world.ids["north"]["incident"]
    browser.get("/incidents")
    token = browser.cookies["csrftoken"].value
    with undone():
        address = f"/api/v1/incidents/{incident}/acknowledge"
        elsewhere = {"x-csrftoken": token, "origin": "https://evil.example"}
        assert browser.post(address, headers=elsewhere).status_code == 403
        assert browser.post(address, headers={"x-csrftoken": token}).status_code == 200
        assert Incident.objects.get(pk=incident).acknowledged_at is not None


def test_every_answer_says_what_a_browser_may_do_with_it(world: World) -> None:
    for door in DOORS:
        if door.method == GET:
            with undone():
                check_headers(ask(world.browser("admin of house"), door, world), str(door))
    for path in ("/systems", "/api/v1/systems", "/nowhere", "/systems/999999", "/api/v1/systems/999999"):
        for browser in (Browser(), world.browser("viewer of north")):
            check_headers(browser.get(path), path)


def check_headers(answer: Any, where: str) -> None:
    policy = answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy and answer["X-Frame-Options"] == "DENY", where
    assert answer["X-Content-Type-Options"] == "nosniff", where
    assert answer["Referrer-Policy"] in ("same-origin", "no-referrer"), where
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin", where
    parts = {part.split()[0]: part for part in policy.split(";") if part.strip()}
    assert parts["default-src"] in ("default-src 'self'", "default-src 'none'"), where
    told = ["default-src", "script-src"]
    if "'none'" not in parts["default-src"]:  # a report is one file with its styles inside, and loads nothing
        told.append("style-src")
    for name in told:
        assert "unsafe" not in parts.get(name, "") and "http" not in parts.get(name, ""), where


def test_pages_with_secrets_are_not_kept_by_the_browser(world: World) -> None:
    with undone():
        for address in ("/sign-in/{sign_in}", "/ack/{ack}", "/settings"):
            assert "no-store" in world.browser("admin of house").get(world.fill(address))["Cache-Control"]


@pytest.fixture
def ada(db: None) -> User:
    cache.clear()
    return User.objects.create_user("ada@example.org", "Ada", password=PASSWORD)


def sign_in(browser: Browser, password: str = PASSWORD, following: str = "") -> Any:
    form = {"login": "ada@example.org", "password": password, "next": following}
    return browser.post("/accounts/login/", form)


@pytest.mark.parametrize(
    "evil", ["https://evil.example/", "//evil.example/", r"/\evil.example", "javascript:alert(1)", "///evil.example"]
)
def test_signing_in_leads_nowhere_but_here(ada: User, evil: str) -> None:
    answer = sign_in(Browser(), following=evil)
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_an_address_with_two_slashes_is_no_way_out(ada: User) -> None:
    answer = Browser().get("/", PATH_INFO="//evil.example/x")
    following = parse_qs(urlsplit(answer["Location"]).query)["next"][0]
    assert following == "/"


def test_cookies_are_closed_to_scripts_and_to_other_sites(ada: User) -> None:
    browser = Browser()
    sign_in(browser)
    session = browser.cookies["sessionid"]
    assert session["httponly"] and session["samesite"] == "Lax"
    assert settings.CSRF_COOKIE_HTTPONLY
    assert settings.SESSION_COOKIE_SECURE == settings.CSRF_COOKIE_SECURE == settings.PUBLIC_IS_HTTPS


def test_a_new_session_begins_when_somebody_signs_in(ada: User) -> None:
    browser = Browser()
    browser.cookies["sessionid"] = "chosen-by-somebody-else"
    sign_in(browser)
    assert browser.cookies["sessionid"].value != "chosen-by-somebody-else"


def test_guessing_passwords_is_slowed_down_for_the_person_and_the_address(ada: User) -> None:
    browser = Browser(REMOTE_ADDR="198.51.100.1")
    said = [sign_in(browser, "wrong one") for _ in range(6)]
    assert b"Too many failed" in said[-1].content
    assert sign_in(browser).status_code == 200, "even the right one waits"
    many = Browser(REMOTE_ADDR="198.51.100.2")
    forms = [{"login": f"p{number}@example.org", "password": "x"} for number in range(31)]
    assert 429 in {many.post("/accounts/login/", form).status_code for form in forms}
    cache.clear()


def test_a_guess_tells_nothing_of_who_exists(ada: User) -> None:
    known = sign_in(Browser(), "wrong one").content
    unknown = Browser().post("/accounts/login/", {"login": "b@example.org", "password": "wrong one"}).content
    told = b"The email address and/or password you specified are not correct."
    assert told in known and told in unknown


def test_somebody_who_was_switched_off_is_out_at_once(world: World) -> None:
    browser, person = world.browser("viewer of north"), world.people["viewer of north"]
    assert browser.get("/systems").status_code == 200
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert browser.get("/systems").status_code == 302
    User.objects.filter(pk=world.people["admin of north"].pk).update(is_active=False)
    link = world.fill("/ack/{ack}")
    confirm = Browser().get(link).context["confirm"]
    assert Browser().post(link, {"confirm": confirm}).status_code == 403


def test_a_broken_body_is_a_clear_refusal(world: World) -> None:
    browser = world.browser("operator of north", with_token=True)
    answer = browser.post("/api/v1/changes", b"{", "application/json")
    assert answer.status_code == 400 and orjson.loads(answer.content)["status"] == 400
