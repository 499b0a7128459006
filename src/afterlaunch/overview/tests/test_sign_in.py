"""Signing in wears the look of the house."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from afterlaunch.accounts.models import User


@pytest.mark.django_db
def test_the_sign_in_page_is_ours_and_a_password_opens_the_door() -> None:
    User.objects.create_user("ada@example.org", "Ada", password="a long enough one")
    browser = Browser()
    said = browser.get("/accounts/login/?next=/systems").content.decode()
    assert "Sign in to Afterlaunch" in said and "look/look.css" in said
    given = {"login": "ada@example.org", "password": "a long enough one", "next": "/systems"}
    answer = browser.post("/accounts/login/", given)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/systems")
