"""Plays a day in front of the real product: a quiet evening, a bad prompt at 02:00, and what follows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from afterlaunch.demo.mail import Caught, MailCatcher
from afterlaunch.demo.mail_page import MailPage
from afterlaunch.demo.provider import Provider
from afterlaunch.demo.surroundings import free_port, settle
from afterlaunch.ground import clock
from afterlaunch.ground.settings import reload

START = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
BAD_CHANGE = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
END = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
FACTOR = 400.0  # ten hours in 90 seconds
USUAL_START = 2.5  # real seconds that the configuration takes where FACTOR is right
SLOWEST = 3.0
CONFIGURATION = Path(__file__).with_name("site.yaml")
AFTERNOON = START - timedelta(hours=4)
LEAD = 5.0  # real seconds, at least
NIGHT = timedelta(hours=5)  # how long the story waits for the incident and its end
QUIET = timedelta(hours=2)  # between two lines about nothing
Say = Callable[[str], None]


@dataclass
class Facts:
    """What the play saw, for the checks at its end."""

    incident: dict[str, Any] = field(default_factory=dict)
    change: dict[str, Any] = field(default_factory=dict)
    rollback: dict[str, Any] = field(default_factory=dict)
    mails: list[Caught] = field(default_factory=list)
    spend: list[dict[str, Any]] = field(default_factory=list)
    billed: Decimal = Decimal(0)
    billed_calls: int = 0
    verify_code: int = -1
    reports: dict[str, str] = field(default_factory=dict)  # by format
    acknowledged: bool = False


class Play:
    """One play on a data folder of its own. `say` tells the story as it happens."""

    def __init__(
        self, say: Say, port: int | None = None, gateway_port: int | None = None, mail_port: int | None = None
    ) -> None:
        """A port that is taken is replaced by the next free one; None takes any."""
        self._say = say
        self._port = free_port(port)
        self._gateway_port = free_port(gateway_port)
        self.url, self.gateway = f"http://127.0.0.1:{self._port}", f"http://127.0.0.1:{self._gateway_port}"
        self._folder = tempfile.TemporaryDirectory(prefix="afterlaunch-demo-", ignore_cleanup_errors=True)
        self.data = Path(self._folder.name)
        self._mail, self._provider = MailCatcher(), Provider(seed=7)
        self._mail_page = MailPage(self._mail.all, free_port(mail_port))
        self.mail_url = self._mail_page.url
        self._server: subprocess.Popen[bytes] | None = None
        self._desk: Any = None
        self._tokens: dict[str, str] = {}
        self._told_at = START
        self.facts = Facts()
        self.link = ""

    # -- set-up -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Everything runs and is configured when this returns."""
        self._say("Starting the server, the gateway, a simulated provider and a mail catcher (about 10 seconds)")
        began = time.monotonic()
        self._settle()
        keys = self._configure()
        took = time.monotonic() - began
        slower = min(max(1.0, took / USUAL_START), SLOWEST)
        if slower > 1.5:
            self._say(f"This machine is slow or busy: the night takes about {90 * slower / 60:.0f} minutes")
        self._run_server(FACTOR / slower, lead=max(LEAD, took))
        from afterlaunch.accounts.actions import first_administrator, sign_in_link
        from afterlaunch.demo.application import SupportDesk

        self.link = f"{self.url}/sign-in/{sign_in_link(first_administrator())}"
        self._desk = SupportDesk(self.url, self.gateway, keys, seed=11, rate=30.0, threads=10)
        self._desk.start()

    def _settle(self) -> None:
        settle(
            {
                "AFTERLAUNCH_DATA": str(self.data),
                "AFTERLAUNCH_HOST": "127.0.0.1",
                "AFTERLAUNCH_PORT": str(self._port),
                "AFTERLAUNCH_GATEWAY_PORT": str(self._gateway_port),
                "AFTERLAUNCH_SMTP_URL": f"smtp://127.0.0.1:{self._mail.port}",
                "AFTERLAUNCH_DEMO_PROVIDER_KEY": "sk-demo",
                "AFTERLAUNCH_LOG_LEVEL": "ERROR",
            }
        )
        reload()

    def _run_server(self, factor: float, lead: float) -> None:
        """Virtual time begins to run with the server, `lead` real seconds before the evening: what that start will
        about take on this machine."""
        scaled = clock.ScaledClock(clock.real(), START - timedelta(seconds=lead * factor), factor, until=END)
        os.environ["AFTERLAUNCH_CLOCK"] = scaled.setting()
        reload()
        clock.use(scaled)
        log = (self.data / "server.log").open("wb")
        ports = ["--port", str(self._port), "--gateway-port", str(self._gateway_port)]
        command = [sys.executable, "-m", "afterlaunch", "up", *ports]
        # In a session of its own: Ctrl-C reaches us alone, and we end it in order.
        self._server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - ours
        self._wait(lambda: self._answers(f"{self.url}/readyz"), 90, "the server")
        self._wait(lambda: self._answers(f"{self.gateway}/readyz"), 30, "the gateway")

    def _configure(self) -> dict[str, str]:
        """In the afternoon before the story, while time stands still. Returns the caller keys."""
        from afterlaunch.app.server import prepare

        prepare(lambda _: None)
        clock.use(clock.FixedClock(AFTERNOON))
        from afterlaunch.accounts.actions import create_token
        from afterlaunch.accounts.models import Client, User
        from afterlaunch.app.configuration.apply import apply, parse
        from afterlaunch.ground.actors import automation
        from afterlaunch.notify.actions import add_contact
        from afterlaunch.oncall.actions import set_rotation
        from afterlaunch.routes.actions import create_key, route_by_name

        local = automation("local administrator")
        site = CONFIGURATION.read_text().replace("URL-OF-THE-PROVIDER", self._provider.url)
        apply(local, parse(site, CONFIGURATION.name))
        acme = Client.objects.get(slug="acme")
        people = [User.objects.get(email=f"{name}@acme.example") for name in ("ada", "ben")]
        for person in people:
            add_contact(local, person, "email", person.email, verified=True)
        set_rotation(local, acme, people, "Europe/Berlin", date(2026, 2, 23), wall(9, 0))
        for name in ("author", "approver"):
            self._tokens[name] = create_token(local, f"demo {name}", "operator", acme)[1]
        self._tokens["reader"] = create_token(local, "demo reader", "viewer", None)[1]
        keys = {"telemetry": create_token(local, "support desk", "ingest", acme)[1]}
        for provider, route in (("openai", "answers"), ("anthropic", "triage")):
            keys[provider] = create_key(local, f"support desk, {route}", route_by_name(local, route))[1]
        return keys

    # -- the story ----------------------------------------------------------------------------------------------

    def play(self) -> Facts:
        """From the evening to the morning. Returns what was seen."""
        self._tell(
            "A quiet evening. A support desk answers customers through the gateway; Afterlaunch learns its usual"
        )
        self._until(BAD_CHANGE)
        self._change()
        self._watch()
        self._until(END)
        self._tell("Morning. The books are compared with what the provider billed")
        self._close()
        return self.facts

    def go_on(self) -> None:
        """After the story: the same system, in real time, so that its pages stay alive while somebody looks round."""
        self._desk.start()

    def _change(self) -> None:
        proposal = {"route": "answers", "title": "A more thorough prompt", "prompt_version": "v2"}
        change = self._post("/api/v1/changes", "author", proposal)
        self._post(f"/api/v1/changes/{change['id']}/approve", "approver")
        for _ in range(2):
            change = self._post(f"/api/v1/changes/{change['id']}/advance", "author")
        self.facts.change = change
        self._tell(
            f"Somebody ships {change['title']!r} to {change['share'] // 100} % of the users. Nothing crashes; "
            "the answers get long, slow and often refused",
            f"{self.url}/changes/{change['id']}",
        )

    def _watch(self) -> None:
        """Until an incident was opened and its change rolled back and verified, for at most `NIGHT`."""
        until = BAD_CHANGE + NIGHT
        while clock.now() < until:
            self._see_incident()
            self._see_mail()
            self._see_rollback()
            if self.facts.rollback.get("verified_at") and self.facts.acknowledged:
                return
            self._pause()

    def _see_incident(self) -> None:
        found = self._get("/api/v1/incidents")["incidents"]
        if found and not self.facts.incident:
            self.facts.incident = found[0]
            text = f"Afterlaunch has noticed and opened an incident, {found[0]['severity']}: {found[0]['title']}"
            self._tell(text, f"{self.url}/incidents/{found[0]['id']}")

    def _see_mail(self) -> None:
        for mail in self._mail.all()[len(self.facts.mails) :]:
            self.facts.mails.append(mail)
            self._tell(f"Mail to {mail.to}, who is on call: {mail.subject}", f"{self.mail_url}/mails/{mail.number}")
            link = re.search(r"http://\S+/ack/\S+", mail.text)
            if link and not self.facts.acknowledged:
                self._acknowledge(link.group())

    def _acknowledge(self, link: str) -> None:
        """As a person would: open the page, press the button."""
        page = self._fetch(link).decode()
        confirm = re.search(r'name="confirm" value="([^"]+)"', page)
        if confirm:
            self._fetch(link, urllib.parse.urlencode({"confirm": confirm.group(1)}).encode())
            self.facts.acknowledged = True
            self._tell("Acknowledged: the link in the mail was opened and its button pressed")

    def _see_rollback(self) -> None:
        rollbacks = [c for c in self._get("/api/v1/changes")["changes"] if c["kind"] == "rollback"]
        if not rollbacks:
            return
        if not self.facts.rollback:
            text = (
                f"Every user gets the old prompt again, by the {rollbacks[0]['author']}. {rollbacks[0]['description']}"
            )
            self._tell(text, f"{self.url}/changes/{rollbacks[0]['id']}")
        elif rollbacks[0]["verified_at"] and not self.facts.rollback.get("verified_at"):
            self._tell(rollbacks[0]["verification"])
        self.facts.rollback = rollbacks[0]

    def _close(self) -> None:
        """The application ends; then the books are compared."""
        self._desk.stop()
        self._wait_for_the_books()
        self._see_mail()
        self.facts.spend = self._get(self._spend_path())["rows"]
        self.facts.billed, self.facts.billed_calls = self._provider.billed, self._provider.calls
        if self.facts.incident:
            self.facts.incident = self._get(f"/api/v1/incidents/{self.facts.incident['id']}")
        checked = subprocess.run([sys.executable, "-m", "afterlaunch", "verify"], capture_output=True)
        self.facts.verify_code = checked.returncode
        for form in ("html", "md"):
            self._report(form)

    def _report(self, form: str) -> None:
        """The month's report, as a person writes it from the command line while the server runs."""
        file = self.data / f"report-{START:%Y-%m}.{form}"
        asked = ["--month", f"{START:%Y-%m}", "--client", "acme", "--format", form, "--output", str(file)]
        command = [sys.executable, "-m", "afterlaunch", "report", "monthly", *asked]
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - our own command
        if done.returncode == 0:
            self.facts.reports[form] = file.read_text()
        self._tell(f"Report written: {file}" if done.returncode == 0 else f"No report: {done.stderr.strip()}")

    def _spend_path(self) -> str:
        start, end = START - timedelta(days=1), clock.now() + timedelta(hours=1)
        query = {"group_by": "model", "from": start.isoformat(), "to": end.isoformat()}
        return "/api/v1/spend?" + urllib.parse.urlencode(query)

    def _wait_for_the_books(self) -> None:
        """Until every billed call is known and nothing moves any more; for 20 seconds at most, then the checks tell."""
        until, rows = time.monotonic() + 20, self._get(self._spend_path())["rows"]
        while time.monotonic() < until:
            time.sleep(1.0)
            before, rows = rows, self._get(self._spend_path())["rows"]
            known = sum(row["calls"] - row["calls_with_unknown_cost"] for row in rows)
            if before == rows and known >= self._provider.calls:
                return

    def stop(self) -> None:
        """End every process and thread that the play started."""
        if self._desk is not None:
            self._desk.stop()
        if self._server is not None and self._server.poll() is None:
            self._server.terminate()
            try:
                self._server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._server.kill()
        self._provider.stop()
        self._mail_page.stop()
        self._mail.stop()
        self._folder.cleanup()

    # -- helpers ------------------------------------------------------------------------------------------------

    def _tell(self, text: str, link: str = "") -> None:
        self._told_at = clock.now()
        self._say(f"{self._told_at:%H:%M}  {text}" + (f"\n       {link}" if link else ""))

    def standing(self) -> str:
        """One line about now, for who waits."""
        desk, billed = self._desk, self._provider.billed
        return f"{desk.calls} calls so far, {desk.failed} failed; the provider billed ${billed:.2f}"

    def _until(self, instant: datetime) -> None:
        """Wait, and say now and then that it is quiet."""
        while clock.now() < instant:
            if clock.now() - self._told_at >= QUIET:
                self._tell(self.standing())
            self._pause()

    def _pause(self) -> None:
        if self._server is not None and self._server.poll() is not None:
            raise RuntimeError(f"the server ended with code {self._server.returncode}: {self._log()}")
        time.sleep(0.1)

    def _log(self) -> str:
        return (self.data / "server.log").read_text(errors="replace")[-2000:]

    def _wait(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        until = time.monotonic() + seconds
        while not done():
            if time.monotonic() > until:
                raise RuntimeError(f"{what} is not ready after {seconds:.0f} s: {self._log()}")
            time.sleep(0.1)

    def _answers(self, url: str) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=3) as response:  # noqa: S310 - our own address
                return bool(response.status == 200)
        except OSError:
            return False

    def _fetch(self, url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        request = urllib.request.Request(url, data, headers or {})  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
            return bytes(response.read())

    def _get(self, path: str) -> Any:
        return orjson.loads(self._fetch(self.url + path, None, {"Authorization": f"Bearer {self._tokens['reader']}"}))

    def _post(self, path: str, who: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._tokens[who]}", "Content-Type": "application/json"}
        return orjson.loads(self._fetch(self.url + path, orjson.dumps(body or {}), headers))
