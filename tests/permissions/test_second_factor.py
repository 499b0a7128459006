"""A second factor from setting it up to losing it, through the pages that people use."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.test import Client as Browser

from afterlaunch.accounts.actions import sign_in_link
from afterlaunch.accounts.models import Grant, User

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough one"


class Phone:
    """An authenticator app: RFC 6238 with SHA-1, six digits, thirty seconds; its clock is moved by hand."""

    def __init__(self) -> None:
        self.secret, self.step = "", 50_000_000

    def code(self) -> str:
        digest = hmac.new(base64.b32decode(self.secret), struct.pack(">Q", self.step), hashlib.sha1).digest()
        place = digest[-1] & 15
        return f"{(int.from_bytes(digest[place : place + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Phone:
    made = Phone()
    monkeypatch.setattr(totp, "yield_hotp_counters_from_time", lambda: iter([made.step]))
    cache.clear()
    return made


@pytest.fixture
def ada() -> User:
    user = User.objects.create_user("ada@example.org", "Ada", password=PASSWORD)
    Grant.objects.create(user=user, role="viewer", client=None)
    return user


def password(browser: Browser) -> Any:
    return browser.post("/accounts/login/", {"login": "ada@example.org", "password": PASSWORD})


def inside(browser: Browser) -> bool:
    return browser.get("/incidents").status_code == 200


def set_up(phone: Phone) -> tuple[Browser, list[str]]:
    """Signed in, with a second factor, and the recovery codes that the page shows."""
    browser = Browser()
    password(browser)
    again = browser.get("/accounts/2fa/totp/activate/")["Location"]
    assert again.startswith("/accounts/reauthenticate/"), "a browser left open sets up nothing"
    assert browser.post(again, {"password": PASSWORD})["Location"] == "/accounts/2fa/totp/activate/"
    page = browser.get("/accounts/2fa/totp/activate/")
    assert b"<svg" in page.content or b"data:image" in page.content, "a picture to scan"
    phone.secret = page.context["form"].secret
    assert phone.secret.encode() in page.content
    assert browser.post("/accounts/2fa/totp/activate/", {"code": "000000"}).status_code == 200, "a wrong code"
    assert not Authenticator.objects.exists()
    assert browser.post("/accounts/2fa/totp/activate/", {"code": phone.code()}).status_code == 302
    codes = browser.get("/accounts/2fa/recovery-codes/").context["unused_codes"]
    return browser, list(codes)


def test_after_setting_it_up_signing_in_takes_password_and_code(ada: User, phone: Phone) -> None:
    set_up(phone)
    phone.step += 1
    browser = Browser()
    answer = password(browser)
    assert answer["Location"].startswith("/accounts/2fa/authenticate/")
    assert not inside(browser), "the password alone opens nothing"
    assert browser.post("/accounts/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert not inside(browser)
    assert browser.post("/accounts/2fa/authenticate/", {"code": phone.code()})["Location"] == "/"
    assert inside(browser)


def test_a_code_works_once_and_old_ones_not_at_all(ada: User, phone: Phone) -> None:
    set_up(phone)
    old = phone.code()
    phone.step += 1
    first, second = Browser(), Browser()
    password(first)
    first.post("/accounts/2fa/authenticate/", {"code": phone.code()})
    password(second)
    for code in (phone.code(), old):
        second.post("/accounts/2fa/authenticate/", {"code": code})
    assert inside(first) and not inside(second)


def test_a_recovery_code_opens_the_door_once(ada: User, phone: Phone) -> None:
    _, codes = set_up(phone)
    assert len(codes) == 10
    for expected in (True, False):
        browser = Browser()
        password(browser)
        browser.post("/accounts/2fa/authenticate/", {"code": codes[0]})
        assert inside(browser) == expected


def test_guessing_codes_is_slowed_down(ada: User, phone: Phone) -> None:
    set_up(phone)
    phone.step += 1
    browser = Browser(REMOTE_ADDR="198.51.100.44")
    password(browser)
    for number in range(6):
        browser.post("/accounts/2fa/authenticate/", {"code": f"{number:06d}"})
    browser.post("/accounts/2fa/authenticate/", {"code": phone.code()})
    assert not inside(browser), "even the right one waits"


def test_the_secret_is_sealed_in_the_database(ada: User, phone: Phone, settings: Any) -> None:
    _, codes = set_up(phone)
    kept = " ".join(str(row) for row in Authenticator.objects.values_list("data", flat=True))
    assert phone.secret not in kept and not any(code in kept for code in codes)
    phone.step += 1
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another key that is long enough for this test"
    browser = Browser()
    password(browser)
    refused = browser.post("/accounts/2fa/authenticate/", {"code": phone.code()})
    assert refused.status_code == 403 and b"AFTERLAUNCH_SECRET_KEY" in refused.content and not inside(browser)
    settings.SECRET_KEY_FALLBACKS = [before]
    browser = Browser()
    password(browser)
    browser.post("/accounts/2fa/authenticate/", {"code": phone.code()})
    assert inside(browser), "a secret that was changed with care locks nobody out"


def test_a_link_from_the_machine_helps_who_lost_everything(ada: User, phone: Phone) -> None:
    set_up(phone)
    browser = Browser()
    assert browser.post(f"/sign-in/{sign_in_link(ada)}")["Location"] == "/"
    assert inside(browser)


def test_taking_it_off_asks_for_the_password_or_a_code_again(ada: User, phone: Phone) -> None:
    set_up(phone)
    browser = Browser()
    browser.post(f"/sign-in/{sign_in_link(ada)}")
    answer = browser.post("/accounts/2fa/totp/deactivate/")
    assert "reauthenticate" in answer["Location"] and Authenticator.objects.exists()
