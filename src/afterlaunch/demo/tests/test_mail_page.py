"""The mail catcher and its page."""

import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest

from afterlaunch.demo.mail import MailCatcher
from afterlaunch.demo.mail_page import MailPage, opening_links_in_tabs

ACKNOWLEDGE = "http://127.0.0.1:8700/ack/MXxh.c2ln_-"


@pytest.fixture
def catcher() -> Iterator[MailCatcher]:
    made = MailCatcher()
    yield made
    made.stop()


@pytest.fixture
def page(catcher: MailCatcher) -> Iterator[MailPage]:
    made = MailPage(catcher.all)
    yield made
    made.stop()


def _send(catcher: MailCatcher, subject: str, text: str, html: str = "") -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = subject, "afterlaunch@localhost", "ada@acme.example"
    mail["Message-ID"] = "<1@localhost>"
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    with smtplib.SMTP("127.0.0.1", catcher.port, timeout=5) as server:
        server.send_message(mail)


def _get(url: str, host: str | None = None) -> tuple[str, str]:
    """Body and content policy."""
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode(), answer.headers["Content-Security-Policy"]


def test_without_mail_it_says_so(page: MailPage) -> None:
    assert "No mail yet" in _get(page.url)[0]


def test_the_newest_mail_stands_on_top(catcher: MailCatcher, page: MailPage) -> None:
    for subject in ("first", "second"):
        _send(catcher, subject, "x")
    body = _get(f"{page.url}/list")[0]
    assert body.index("second") < body.index("first")


def test_the_acknowledge_link_of_the_text_can_be_followed(catcher: MailCatcher, page: MailPage) -> None:
    _send(catcher, "page", f"Acknowledge (opens a page with a button):\n{ACKNOWLEDGE}\n")
    assert f'<a href="{ACKNOWLEDGE}"' in _get(f"{page.url}/mails/1")[0]


def test_text_is_never_markup(catcher: MailCatcher, page: MailPage) -> None:
    _send(catcher, "<script>alert(1)</script>", "<img src=x onerror=alert(1)>")
    body, policy = _get(f"{page.url}/mails/1")
    assert "<script>alert" not in body and "<img src=x" not in body
    assert "script-src 'self'" in policy and "unsafe" not in policy


def test_html_is_shown_in_a_sandbox_without_scripts(catcher: MailCatcher, page: MailPage) -> None:
    _send(catcher, "page", "plain", f'<html><head><title>x</title></head><body><a href="{ACKNOWLEDGE}">Ack</a></body>')
    body, _ = _get(f"{page.url}/mails/1")
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in body and "plain" not in body
    html, policy = _get(f"{page.url}/mails/1/html")
    assert ACKNOWLEDGE in html and '<head><base target="_blank">' in html
    assert (
        policy.startswith("sandbox allow-popups") and "default-src 'none'" in policy and "allow-scripts" not in policy
    )
    assert "plain" in _get(f"{page.url}/mails/1?part=text")[0]


def test_html_without_a_head_opens_its_links_in_a_tab_too() -> None:
    assert '<base target="_blank"><p>x' in opening_links_in_tabs("<p>x</p>")


@pytest.mark.parametrize("path", ["/mails/7", "/mails/1/html/x", "/../mail.py", "/nothing"])
def test_what_is_not_there_is_not_found(page: MailPage, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _get(page.url + path)
    assert caught.value.code == 404


def test_it_answers_only_under_its_own_name(page: MailPage) -> None:
    assert _get(page.url, f"localhost:{urlsplit(page.url).port}")
    with pytest.raises(urllib.error.HTTPError) as caught:
        _get(page.url, "attacker.example:80")
    assert caught.value.code == 421
