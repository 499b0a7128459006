"""Answers a page as somebody just woken does: `python tests/browser/phone.py FOLDER`.

The mail is rendered as the product wrote it; the browser is 390 pixels wide, has no session, and taps.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def main(folder: Path) -> int:
    os.environ["AFTERLAUNCH_DATA"] = tempfile.mkdtemp(prefix="phone-")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # playwright's loop runs in this thread; nothing here is async
    from tests.browser.house import House, free_port

    port = free_port()
    os.environ["AFTERLAUNCH_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    house = House(port)
    try:
        mail = page_somebody()
        return tap(house.address, mail, folder)
    finally:
        house.close()


def page_somebody() -> Any:
    """An incident, and the message that its page becomes."""
    from afterlaunch.accounts.actions import first_administrator, house_client
    from afterlaunch.estate.models import System
    from afterlaunch.ground import clock
    from afterlaunch.ground.actors import automation
    from afterlaunch.incidents.actions import open_incident
    from afterlaunch.notify.actions import add_contact
    from afterlaunch.notify.duties import message_of
    from afterlaunch.notify.models import Page

    someone = automation("setting up")
    add_contact(someone, first_administrator(), "email", "ada@acme.example", verified=True)
    system = System.objects.create(client=house_client(), key="support-assistant", name="Support assistant")
    incident = open_incident(
        someone,
        system=system,
        environment="prod",
        title="Refused answers in breach: support-assistant, prod",
        severity="P1",
        summary="Refused answers: 9 of 21 calls (42.9%) were refused; the limit is 5.0%.",
        fingerprint="phone",
        detected_at=clock.now(),
        occurred_at=clock.now() - timedelta(minutes=12),
        kind="quality_burn",
    )
    return message_of(Page.objects.filter(topic=incident.topic).latest("pk"))


def tap(address: str, mail: Any, folder: Path) -> int:
    from playwright.sync_api import sync_playwright

    from afterlaunch.incidents.models import Incident
    from tests.browser.eyes import ARGUMENTS, chromium

    links = [link for link in (mail.acknowledge_url, mail.url) if link]
    body = "".join(f'<p><a href="{link}">{link}</a></p>' for link in links)
    wrong: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
        page = phone.new_page()
        inbox = (
            f"<meta name=viewport content='width=device-width'><details><summary>{mail.title}</summary>{body}</details>"
        )
        page.set_content(inbox)
        page.tap("summary")  # 1: open the mail
        page.tap(f'a[href="{mail.acknowledge_url}"]')  # 2: its link
        page.wait_for_load_state("networkidle")
        wrong += too_wide(page, "the link's page")
        if Incident.objects.get().acknowledged_at is not None:
            wrong.append("opening the link acknowledged already")
        button = page.locator("button", has_text="Acknowledge")
        box = button.bounding_box()
        if box is None or box["y"] + box["height"] > 844 or box["height"] < 44:
            wrong.append(f"the button is too small or below the fold: {box}")
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(folder / "phone-before.png"))
        button.tap()  # 3: the button
        page.wait_for_load_state("networkidle")
        page.screenshot(path=str(folder / "phone-after.png"))
        if "You have acknowledged it" not in page.inner_text("main"):
            wrong.append("the page does not say that it is done")
        if Incident.objects.get().acknowledged_at is None:
            wrong.append("nothing was acknowledged")
        wrong += too_wide(page, "the answer")
        browser.close()
    print("\n".join(wrong) or "acknowledged in three taps")
    return 1 if wrong else 0


def too_wide(page: Any, what: str) -> list[str]:
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{what} is {over} px wider than the phone"] if over > 0 else []


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
