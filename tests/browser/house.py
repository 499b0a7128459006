"""A whole server in this process, filled through the real receiver, and a person signed in to it.

`AFTERLAUNCH_DATA` must name an empty folder of its own before this module's `House` starts.
"""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from typing import Any

import orjson

BURIED_NS = (
    (int(time.time()) // 86_400 - 1) * 86_400 * 10**9
)  # yesterday: what is older is forgotten by the night's duty
MODELS = (("openai", "gpt-4o-2024-08-06"), ("anthropic", "claude-sonnet-4-5-20250929"), ("local", "house-model-7b"))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _attribute(key: str, value: object) -> dict[str, Any]:
    kind = "intValue" if isinstance(value, int) else "stringValue"
    return {"key": key, "value": {kind: str(value)}}


def _span(number: int, at: datetime) -> list[dict[str, Any]]:
    """An agent's turn with one model call under it; every eleventh call fails."""
    provider, model = MODELS[number % 3]
    begin = int(at.timestamp() * 1e9)
    took = int((0.6 + number % 17 * 0.11) * 1e9)
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.response.model": model,
        "gen_ai.agent.name": ("triage", "answer")[number % 2],
        "gen_ai.usage.input_tokens": 900 + number % 7 * 120,
        "gen_ai.usage.cache_read.input_tokens": 300,
        "gen_ai.usage.output_tokens": 120 + number % 5 * 40,
        "gen_ai.prompt.version": "v13" if number % 9 == 0 else "v12",
        "tenant.id": ("north", "south")[number % 2],
        "afterlaunch.route": "support-chat",
        "afterlaunch.transaction": f"order-{number // 3 % 900 + 100}",
    }
    if number % 11 == 0:
        call["error.type"] = "timeout"
    trace, parent = f"{number + 1:032x}", f"{number * 2 + 1:016x}"
    outer = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "triage"}
    spans = []
    for span_id, above, name, fields, start, length in (
        (parent, "", "invoke_agent triage", outer, begin, took),
        (f"{number * 2 + 2:016x}", parent, f"chat {model}", call, begin + took // 10, took * 8 // 10),
    ):
        failed = "error.type" in fields
        spans.append(
            {
                "traceId": trace,
                "spanId": span_id,
                "parentSpanId": above,
                "name": name,
                "kind": 3,
                "startTimeUnixNano": str(start),
                "endTimeUnixNano": str(start + length),
                "attributes": [_attribute(key, value) for key, value in fields.items()],
                "status": {"code": 2, "message": "timed out"} if failed else {},
            }
        )
    return spans


def body(now: datetime, system: str, calls: int = 240) -> bytes:
    """OTLP/JSON of `calls` calls over the last 20 hours."""
    salt = sum(system.encode()) * 10_000
    spans = [
        one
        for number in range(calls)
        for one in _span(salt + number, now - timedelta(minutes=number * 1_200 / calls + 1))
    ]
    named = {"service.name": system, "deployment.environment.name": "prod", "service.version": "2.4.1"}
    resource = {"attributes": [_attribute(key, value) for key, value in named.items()]}
    return orjson.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})


def wanted_again(wish: dict[str, Any]) -> Any:
    """The same with another objective: a second version."""
    from afterlaunch.slo import asked

    return asked.read({"client": "house", "name": "again", "period": "30d", **wish, "objective": "96 %"}).definition


class House:
    """`address` and `session` (the cookie of a signed-in administrator). `fill` sends telemetry of two systems."""

    def __init__(self, port: int = 0) -> None:
        from afterlaunch.app.server import Server, prepare

        prepare(lambda _: None)
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._server = Server("127.0.0.1", self.port)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the server did not start")
            time.sleep(0.05)

    def fill(self) -> None:
        from afterlaunch.estate.models import System
        from afterlaunch.ground import clock
        from afterlaunch.telemetry.duties import notice_systems

        for system in ("support-assistant", "contract-reader"):
            headers = {"content-type": "application/json"}
            request = urllib.request.Request(f"{self.address}/v1/traces", body(clock.now(), system), headers)
            urllib.request.urlopen(request, timeout=20).read()
        notice_systems(clock.now())  # the engine does so every 15 seconds
        assert System.objects.count() == 2

    def story(self) -> None:
        """A change that rolls out, the incident it makes, the page for it, and the containment of an older one."""
        from afterlaunch.accounts.actions import first_administrator
        from afterlaunch.changes.actions import advance, approve, contain, propose
        from afterlaunch.estate.models import System
        from afterlaunch.ground import clock
        from afterlaunch.ground.actors import automation
        from afterlaunch.incidents.actions import add_note, open_incident
        from afterlaunch.notify.actions import add_contact
        from afterlaunch.routes.actions import ArmValues, create_key, put_route, put_upstream

        someone, system = automation("Ada Nguyen"), System.objects.get(key="support-assistant")
        person = first_administrator()
        add_contact(someone, person, "email", "ada@acme.example", verified=True)
        put_upstream(someone, "openai", "https://api.openai.com", "openai")
        route = put_route(someone, "support-chat", system, ArmValues("openai", "", "v12"))
        create_key(someone, "support assistant", route)
        for number in (1, 2):
            values = ArmValues("openai", "", f"v{12 + number}")
            change = approve(
                someone, propose(someone, route, f"Friendlier greeting, take {number}", values, "Asked for")
            )
            advance(someone, advance(someone, change))
            now = clock.now()
            incident = open_incident(
                automation("judges"),
                system=system,
                environment=route.environment,
                title="Refused answers in breach: support-assistant, prod, candidate arm",
                severity="P2",
                summary="Refused answers (candidate): 9 of 21 calls (42.9%) were refused; the limit is 5.0%.",
                fingerprint=f"support {number}",
                detected_at=now,
                occurred_at=now - timedelta(minutes=12),
                route=route.name,
                arm="candidate",
            )
            add_note(someone, incident, "The new greeting makes the model refuse refunds.")
            if number == 1:
                contain(someone, incident, "The greeting is to blame.")
                self._reviewed(incident)

    def _reviewed(self, incident: Any) -> None:
        """Everything that an incident's page and its review can show."""
        from afterlaunch.accounts.actions import actor_of_user, first_administrator
        from afterlaunch.incidents import moves
        from afterlaunch.incidents.actions import acknowledge, resolve
        from afterlaunch.incidents.files.actions import attach
        from afterlaunch.incidents.reviews import actions as reviews
        from afterlaunch.incidents.runbooks.actions import tick_evidence, tick_step
        from afterlaunch.incidents.updates.actions import write

        person = first_administrator()
        me = actor_of_user(person)
        acknowledge(me, incident)
        write(me, incident, ["responders", "internal", "customers"], "One in three users", "Rolling back")
        tick_step(me, incident, 2, "Refusals only on the candidate")
        tick_evidence(me, incident, "where", "candidate arm")
        attach(me, incident, "refused.log", [b"09:12 refused\n"])
        moves.write_story(
            me, incident, "prompt greeting", impact="One in three users got a refusal.", cause="The prompt."
        )
        resolve(me, incident, "Rolled back to v12.")
        reviews.write_draft(me, incident)
        reviews.put_item(me, incident, "Ask the golden prompts before a prompt rolls out", "prevent", "high", person)

    def signals(self) -> None:
        """Two hours of two hosts' metrics, one of them busy, and log records, one of them of a trace."""
        from afterlaunch.ground import clock
        from tests.browser.signals import log_body, metric_bodies

        now = clock.now()
        for path, data in [*(("/v1/metrics", body) for body in metric_bodies(now)), ("/v1/logs", log_body(now))]:
            request = urllib.request.Request(self.address + path, data, {"content-type": "application/json"})
            urllib.request.urlopen(request, timeout=30).read()

    def budgets(self) -> None:
        """One that gateways count, near its limit for one tenant, and one that telemetry feeds."""
        from afterlaunch.accounts.models import Client
        from afterlaunch.budgets.actions import Values, put_budget
        from afterlaunch.budgets.counting import Telling, begin_of, store
        from afterlaunch.budgets.duties import judge, observe
        from afterlaunch.ground import clock
        from afterlaunch.ground.actors import automation

        someone, client, now = automation("Ada Nguyen"), Client.objects.get(slug="house"), clock.now()
        values = Values("usd", 250 * 10**9, "month", {"tenant": "*"}, "Europe/Berlin", system="support-assistant")
        hard = put_budget(someone, client, "Every tenant", values)
        seen = Values("tokens", 2_000_000, "week", {"tenant": "*"}, mode="soft", fed="telemetry", system=values.system)
        put_budget(someone, client, "Around the gateway", seen)
        used = [(f"tenant=customer-{number:02d}", 240 * 10**9 // number) for number in range(1, 31)]
        start, at = begin_of(hard, now), clock.real()
        tellings = [Telling(hard.pk, name, start, at, sum_, reserved=10**9) for name, sum_ in used]
        store("gw-1", tellings, {hard.pk: hard})
        observe(now)
        judge(now)

    def guard(self) -> None:
        """Two policies of a route, one of which holds; what gateways counted of them, and what waits."""
        from afterlaunch.accounts.models import Client
        from afterlaunch.contracts.guard_counts import SLOT
        from afterlaunch.ground import clock
        from afterlaunch.ground.actors import automation
        from afterlaunch.guard import holding
        from afterlaunch.guard.actions import put_policy, put_queue
        from afterlaunch.guard.models import Count
        from afterlaunch.routes.models import Route

        someone, client = automation("Ada Nguyen"), Client.objects.get(slug="house")
        route = Route.objects.select_related("system__client").get(name="support-chat")
        put_queue(someone, client, "Refunds desk", None, 600)
        approval = {"queue": "Refunds desk", "fallback": "deny"}
        asked = {"where": "request", "fail": "closed"}
        terms = {"kind": "terms", "terms": ["refund", "chargeback"]}
        hold = put_policy(someone, route, "Refunds", {**asked, "check": terms, "action": "hold", "approval": approval})
        mails = put_policy(
            someone, route, "Nothing personal leaves", {**asked, "check": {"kind": "pii"}, "action": "redact"}
        )
        slot = int(clock.now().timestamp()) // SLOT * SLOT
        for row, back in ((row, back) for row in (hold, mails) for back in range(0, 280, 4)):
            amounts = {"evaluated": 40, "matched": back % 7, "micros": 9_000, "exceptions": back % 40 == 0}
            Count.objects.create(policy=row, gateway="gw-1", slot=slot - back * SLOT, **amounts)
        for number in range(12):
            content = f'{{"messages": [{{"role": "user", "content": "refund order {number}"}}]}}'
            holding.ask(
                someone,
                holding.Question(
                    str(hold.pk), f"{number:064d}", "a blocked term", content, len(content),
                    path="/v1/chat/completions", tenant=f"customer-{number:02d}", agent="desk", key="k1",
                ),
            )  # fmt: skip

    def targets(self) -> None:
        """One that answers (the server's own metrics), two that do not, one that is paused."""
        from afterlaunch.accounts.models import Client
        from afterlaunch.ground.actors import automation
        from afterlaunch.scraping.actions import Values, put_target

        someone, client = automation("Ada Nguyen"), Client.objects.get(slug="house")
        for name, url, more in (
            ("afterlaunch", f"{self.address}/metrics", {"interval": 5}),
            ("gpu-1", "http://127.0.0.1:9/metrics", {"labels": {"rack": "r1"}}),
            ("vllm", f"{self.address}/nothing", {}),
            ("node-2", "https://node-2.example.org:9100/metrics", {"paused": True}),
        ):
            put_target(someone, client, name, Values("support-assistant", url, **more))  # type: ignore[arg-type]

    def slos(self) -> None:
        """One that is kept, one that burns, one that is overspent, one of labels that nobody gave, one paused."""
        from afterlaunch.accounts.models import Client
        from afterlaunch.ground.actors import automation
        from afterlaunch.slo import asked
        from afterlaunch.slo.actions import pause, put_slo

        someone, client = automation("Ada Nguyen"), Client.objects.get(slug="house")
        here = {"system": "support-assistant"}
        wishes: dict[str, dict[str, Any]] = {
            "answers": {"objective": "95 %", "measure": {"kind": "availability", **here}, "critical": True},
            "answers-in-time": {
                "objective": "80 %", "measure": {"kind": "latency", "value": 2100, **here}, "pairs": "usable",
                "title": "Answers in time", "description": "People wait for them.",
            },
            "grounded": {
                "objective": "90 %", "pairs": "usable",
                "measure": {"kind": "quality", "evaluation": "groundedness", "value": 0.7, **here},
            },
            "contracts": {"objective": "90 %", "measure": {"kind": "availability", "system": "contract-reader"},
                          "pairs": "usable"},
            "night": {"objective": "99 %", "measure": {"kind": "availability", **here, "route": "night"}},
        }  # fmt: skip
        for name, wish in wishes.items():
            wanted = asked.read({"client": "house", "name": name, "period": "30d", **wish})
            made = put_slo(someone, client, name, wanted.about, wanted.definition)
        put_slo(someone, client, "answers", asked.About(critical=True), wanted_again(wishes["answers"]))
        pause(someone, made, True)

    def settled(self) -> None:
        """Wait until the engine has scraped every target and judged every SLO."""
        from afterlaunch.scraping.models import Target
        from afterlaunch.slo.models import Slo, Standing

        deadline = time.monotonic() + 60
        while Target.objects.filter(last_at=None, paused=False).exists() or (
            Standing.objects.count() < Slo.objects.filter(paused=False).count()
        ):
            if time.monotonic() > deadline:
                raise TimeoutError("a target was not scraped, or an SLO was not judged")
            time.sleep(0.2)

    def channels(self) -> None:
        """Channels of every kind, one that is gone, messages in every state, rules and a linked account."""
        from django.db import transaction

        from afterlaunch.accounts.actions import first_administrator, house_client
        from afterlaunch.calendars.windows import Window
        from afterlaunch.ground import clock
        from afterlaunch.ground.actors import automation
        from afterlaunch.notify.actions import add_contact
        from afterlaunch.notify.channel_actions import Wanted, put_channel
        from afterlaunch.notify.models import Channel, Page
        from afterlaunch.notify.outbox import Notice, enqueue
        from afterlaunch.notify.personal import set_rules
        from afterlaunch.notify.preferences import Rules, Step
        from afterlaunch.replies.models import LinkedAccount

        someone, person, client = automation("Ada Nguyen"), first_administrator(), house_client()
        secrets = {"token": "xoxb-1-2", "signing_secret": "0" * 32}
        api = {"api": f"{self.address}/slack"}
        put_channel(someone, client, "#incidents", Wanted("slack_bot", "C0123456789", {**secrets, **api}))
        put_channel(
            someone, client, "Mail to the team", Wanted("email", "team@acme.example", {}, ["incident."], ["P1"])
        )
        gone = put_channel(someone, client, "Old ticketing", Wanted("email", "tickets@acme.example"))
        Channel.objects.filter(pk=gone.pk).update(disabled_at=clock.now(), disabled_why="answered 410: Gone")
        first = add_contact(someone, person, "email", "ada@acme.example", verified=True)
        second = add_contact(someone, person, "apprise", "pover://" + "u" * 30 + "@" + "t" * 30, verified=True)
        steps = (Step(first.pk, 0), Step(second.pk, 300))
        set_rules(someone, person, Rules(urgent=steps, quiet=(Window("22:00", "07:00", (1, 2, 3, 4, 5)),), collect=600))
        LinkedAccount.objects.create(
            client=client, kind="slack", team="T0123", external="U0456", shown="ada.nguyen", user=person,
            linked_at=clock.now(),
        )  # fmt: skip
        states = ("read", "accepted", "delivered", "failed", "withdrawn", "pending")
        with transaction.atomic():
            for number, state in enumerate(states * 3, 700):
                facts = {
                    "type": "incident.opened",
                    "title": "Error rate of support-assistant is above 5 %",
                    "lines": [],
                    "severity": ("P1", "P2", "P3")[number % 3],
                    "path": "/incidents/1",
                    "system": "Support",
                }
                page = enqueue(person, Notice(f"incident/{number}", "s0", "house", facts), clock.now())
                assert page is not None
                error = "answered 503: upstream connect error" if state == "failed" else ""
                held = "quiet hours" if state == "pending" else ""
                due = clock.now() + timedelta(hours=3)
                Page.objects.filter(topic=page.topic).update(
                    state=state, error=error, held=held, due_at=due, attempts=1 + 4 * (state == "failed")
                )

    def alerts(self) -> None:
        """What other tools told: firing, silenced, in maintenance, ended, and a body that could not be read."""
        from datetime import timedelta

        from afterlaunch.alerts.inhibit_rules import put_inhibit_rule
        from afterlaunch.alerts.maintenance import put_window
        from afterlaunch.alerts.matchers import parse
        from afterlaunch.alerts.silences import silence_matching
        from afterlaunch.estate.models import System
        from afterlaunch.ground import clock
        from afterlaunch.ground.actors import automation
        from afterlaunch.receivers.integrations import Values, put_integration
        from afterlaunch.receivers.keys import add_key

        someone, system = automation("Ada Nguyen"), System.objects.get(key="support-assistant")
        client, now = system.client, clock.now()
        made, _ = put_integration(someone, client, "production prometheus", Values("prometheus", system.key))
        put_integration(someone, client, "desk", Values("generic", system.key, "staging", severities={"loud": "P1"}))
        _, key = add_key(someone, made)
        silence_matching(someone, client.slug, parse('alertname="DiskFills"'), now + timedelta(hours=4), "ticket 4711")
        put_window(
            someone, client, "Database upgrade", parse('instance=~"db-.*"'), now - timedelta(minutes=5),
            now + timedelta(hours=1), comment="CHG-12",
        )  # fmt: skip
        nightly = {"times": [{"start_time": "22:00", "end_time": "24:00"}], "weekdays": ["sunday", "wednesday"]}
        put_window(someone, client, "Index rebuild", parse("job=indexer"), recurrence=nightly)
        source, target = parse("alertname=ClusterDown"), parse('priority=~"P2|P3"')
        put_inhibit_rule(someone, client, "cluster down", source, target, ["cluster", "environment"])
        told = [
            {"labels": {"alertname": name, "severity": word, "job": job, "instance": f"{job}-1"},
             "annotations": {"summary": said, "runbook_url": "https://wiki.acme.example/" + name}}
            for name, word, job, said in (
                ("QueueGrows", "critical", "queue", "9 214 jobs wait; the oldest for 14 minutes."),
                ("DiskFills", "warning", "node", "/var is 91 % full and fills in six hours."),
                ("ReplicaLags", "error", "db", "The replica is 48 s behind."),
                ("Watchdog", "none", "meta", "Always fires, to show that the path works."),
                ("Odd", "strange", "api", "A severity that nobody mapped."),
            )
        ]  # fmt: skip
        body = orjson.dumps([*told, {"labels": {}}])
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        try:
            urllib.request.urlopen(urllib.request.Request(f"{self.address}/api/v2/alerts", body, headers), timeout=20)
        except urllib.error.HTTPError as refused:
            if refused.code != 400:  # the good ones are taken, the one without a label is named
                raise

    def keeping(self) -> None:
        """Own patterns and days of a client, a dead letter, an erasure."""
        from afterlaunch.accounts.models import Client
        from afterlaunch.ground.actors import automation
        from afterlaunch.telemetry.columns import SPANS
        from afterlaunch.telemetry.keeping.actions import decide
        from afterlaunch.telemetry.keeping.content import Pattern
        from afterlaunch.telemetry.keeping.erasures import ask
        from afterlaunch.telemetry.lander import as_bytes
        from afterlaunch.telemetry.store import current

        house, me = Client.objects.get(slug="house"), automation("setting up")
        decide(me, house, patterns=[Pattern("order number", r"\bORD-[0-9]{6}\b")], days={"content": 14})
        store = current()
        rows = store.engine.arrow(
            f"select {', '.join(f'{chr(34)}{name}{chr(34)}' for name in SPANS.names)} from spans limit 2"
        )
        why = "Conversion Error: a value of the column duration_ns is out of range"
        store.bury(BURIED_NS, "house", why, as_bytes(rows))
        ask(me, house, "user", "somebody", "somebody")

    def session(self) -> str:
        from django.conf import settings
        from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
        from django.contrib.sessions.backends.db import SessionStore

        from afterlaunch.accounts.actions import first_administrator

        user = first_administrator()
        store = SessionStore()
        store[SESSION_KEY] = str(user.pk)
        store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        store[HASH_SESSION_KEY] = user.get_session_auth_hash()
        store.save()
        return str(store.session_key)

    def close(self) -> None:
        self._server.stop()
        self._thread.join(timeout=20)


PAGES = {
    "overview": "/",
    "incidents": "/incidents",
    "incident": "/incidents/2",
    "incident-contained": "/incidents/1",
    "incident-dry-run": "/incidents/2/containment/rollback",
    "incident-update": "/incidents/2/update",
    "review": "/incidents/1/review",
    "review-none": "/incidents/2/review",
    "reviews": "/incidents/reviews",
    "action-items": "/incidents/actions",
    "runbooks": "/incidents/runbooks",
    "runbook": "/incidents/runbooks/house/quality_burn",
    "prompt": "/incidents/1/prompt",
    "alerts": "/alerts",
    "alerts-all": "/alerts?state=all&q=job",
    "alert": "/alerts/1",
    "silences": "/silences",
    "maintenance": "/maintenance",
    "inhibition": "/inhibition",
    "integrations": "/integrations",
    "integration": "/integrations/1",
    "integration-event": "/integrations/events/1",
    "oncall": "/oncall",
    "schedule": "/oncall/house/schedules/1",
    "schedule-gaps": "/oncall/house/schedules/2",
    "schedule-new": "/oncall/house/schedules/new",
    "policy": "/oncall/house/policies/1",
    "teams": "/oncall/house/teams",
    "load": "/oncall/house/load",
    "sla": "/sla",
    "sla-matrix": "/sla/house",
    "sla-clock": "/sla/clocks/1",
    "support": "/systems/1/support",
    "systems": "/systems",
    "system": "/systems/1",
    "changes": "/changes",
    "change": "/changes/1",
    "evidence": "/evidence",
    "contacts": "/settings/contacts",
    "linked-accounts": "/settings/accounts",
    "channels": "/settings/channels",
    "channel-form": "/settings/channels?kind=slack_bot",
    "deliveries": "/settings/deliveries",
    "calls": "/calls",
    "trace": None,  # filled in: the newest call's
    "infrastructure": "/infrastructure",
    "infrastructure-host": "/infrastructure?client=house&system=support-assistant&environment=prod&host=gpu-1",
    "explorer": "/explorer",
    "explorer-metric": "/explorer?name=DCGM_FI_DEV_GPU_UTIL&by=gpu,host&range=1h",
    "explorer-nothing": "/explorer?name=nothing_is_called_so",
    "logs": "/logs?range=6h",
    "logs-errors": "/logs?severity=17&text=tool&range=6h&live=1",
    "logs-nothing": "/logs?text=nobody-wrote-this",
    "targets": "/targets",
    "probes": "/probes?kind=golden",
    "probe": "/probes/2",
    "probe-golden": "/probes/5",
    "uptime": "/probes/uptime",
    "heartbeats": "/probes/heartbeats?template=backup",
    "heartbeat": "/probes/heartbeats/1",
    "status-pages": "/status-pages",
    "status-page": "/status-pages/1",
    "status": "/status/house",
    "slos": "/slos",
    "slo": "/slos/1",
    "slo-labels": "/slos/3",
    "slo-paused": "/slos/5",
    "slo-new": "/slos/new?system=house/support-assistant&objective=90&pairs=standard",
    "slo-edit": "/slos/2/edit",
    "slo-import": "/slos/import",
    **{
        name: f"/calls/{name}"
        for name in ("usage", "latency", "errors", "agents", "retrieval", "transactions", "sessions", "users")
    },
    "compare": "/calls/compare",
    "session": "/calls/session?id=none",
    "spend": "/spend",
    "guard": "/guard",
    "guard-policy": "/guard/policies/1",
    "approvals": "/guard/approvals",
    "approval": "/guard/approvals/1",
    "budgets": "/budgets?limit=0.05&unit=usd&window=day&scope=tenant%3D*&client=house",
    "budget": "/budgets/1",
    "budget-observed": "/budgets/2",
    "reports": "/reports",
    "report": f"/reports/monthly/{time.strftime('%Y-%m', time.gmtime())}",
    "settings": "/settings",
    "second-factor": "/accounts/2fa/",
    "password": "/accounts/password/set/",
    "settings-server": "/settings/server",
    "settings-gateway": "/settings/gateway",
    "settings-keeping": "/settings/keeping",
    "dead-letters": "/settings/dead-letters",
    "dead-letter": f"/settings/dead-letters/{BURIED_NS}-house",
    "erasures": "/settings/erasures",
}
