"""Two clients with one of everything. Whatever belongs to `north` says so: its names begin with `north`, and every text
of theirs holds the word `hush`. A stranger from `south` who reads either has found a hole."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from django.core import signing
from django.test import Client as Browser
from django.test.client import ClientHandler

from afterlaunch.accounts.actions import create_token, sign_in_link
from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.alerts.inhibit_rules import put_inhibit_rule
from afterlaunch.alerts.maintenance import put_window, turn_windows
from afterlaunch.alerts.matchers import parse
from afterlaunch.alerts.models import Alert, RawEvent
from afterlaunch.alerts.silences import silence
from afterlaunch.anomalies.episodes import Episode
from afterlaunch.anomalies.models import Series
from afterlaunch.anomalies.models import Told as Unusual
from afterlaunch.budgets.actions import Values as Budgeted
from afterlaunch.budgets.actions import put_budget
from afterlaunch.changes.actions import advance, approve, propose
from afterlaunch.datasets.actions import put_contract
from afterlaunch.diagnosis.actions import DIAGNOSIS, freeze
from afterlaunch.estate.actions import Sighting, note_sightings
from afterlaunch.estate.models import System
from afterlaunch.estate.registering import register
from afterlaunch.evidence.checkpoints import sign
from afterlaunch.evidence.models import Entry
from afterlaunch.ground import clock
from afterlaunch.ground.actors import Actor, Held, Role, automation
from afterlaunch.guard import holding
from afterlaunch.guard.actions import grant_bypass, put_policy, put_queue
from afterlaunch.incidents.actions import change_severity, open_incident, resolve
from afterlaunch.incidents.containment.actions import by_hand
from afterlaunch.incidents.files.actions import attach
from afterlaunch.incidents.models import Incident
from afterlaunch.incidents.reviews.actions import put_item, write_draft
from afterlaunch.incidents.reviews.prompts import keep
from afterlaunch.incidents.updates.actions import write
from afterlaunch.labels.models import Place, Source
from afterlaunch.notify import links
from afterlaunch.notify.models import Channel, ContactMethod, Page
from afterlaunch.oncall.actions import add_temporary, edit_schedule, make_schedule, put_team, set_rotation
from afterlaunch.oncall.feeds import add_calendar, make_feed
from afterlaunch.oncall.overrides import add_override, ask_swap
from afterlaunch.oncall.policy_actions import save_policy
from afterlaunch.predictions.models import Task
from afterlaunch.pricing.actions import put_entry
from afterlaunch.probes.actions import Values as ProbeValues
from afterlaunch.probes.actions import put_probe
from afterlaunch.probes.heartbeats import Told, ping, put_heartbeat
from afterlaunch.probes.heartbeats import Values as BeatValues
from afterlaunch.probes.models import Probe
from afterlaunch.probes.outcomes import Outcome, failed
from afterlaunch.probes.settling import settle
from afterlaunch.receivers import doors
from afterlaunch.receivers.integrations import Values as Declared
from afterlaunch.receivers.integrations import put_integration
from afterlaunch.receivers.keys import add_key
from afterlaunch.receivers.wire import Request
from afterlaunch.replies.acting import LINK_SALT
from afterlaunch.replies.models import LinkedAccount
from afterlaunch.reports.models import Seal
from afterlaunch.reports.tokens.sealing import KIND as TOKENS
from afterlaunch.retraining.actions import policies_of
from afterlaunch.retraining.actions import put_policy as put_retraining
from afterlaunch.retraining.deciding import ask_for as ask_for_run
from afterlaunch.routes.actions import ArmValues, create_key, put_route, put_upstream
from afterlaunch.savings.actions import say_terms
from afterlaunch.savings.facts import Terms
from afterlaunch.savings.models import Recommendation
from afterlaunch.scraping.actions import Values, put_target
from afterlaunch.sla.models import Clock, Handover
from afterlaunch.slo import asked
from afterlaunch.slo.actions import put_slo
from afterlaunch.spend.models import Repricing
from afterlaunch.status_pages.actions import Part, plan_work, put_page
from afterlaunch.status_pages.actions import write as write_publication
from afterlaunch.status_pages.models import Subscriber
from afterlaunch.telemetry import store as stores
from afterlaunch.telemetry.columns import SPANS
from afterlaunch.telemetry.conventions import normalise
from afterlaunch.telemetry.keeping.actions import decide
from afterlaunch.telemetry.keeping.content import Pattern
from afterlaunch.telemetry.keeping.erasures import ask
from afterlaunch.telemetry.lander import as_bytes
from afterlaunch.telemetry.signals import points, records, tables
from afterlaunch.verdicts.models import Verdict, VerdictChange

LETTER_NS = 1_700_000_000_000_000_000
ENGINE = automation("engine")
MARKS = ("north", "hush")
ROLES = ("viewer", "responder", "operator", "admin")
ELSEWHERE = "198.51.100.7"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def bury_again() -> None:
    """A dead letter of each client, where it is gone."""
    store = stores.current()
    held = {row["client"] for row in store.query("select client from dead_letter")}
    for slug in {"north", "south"} - held:
        store.bury(LETTER_NS, slug, f"{slug} {word(slug)} poison", as_bytes(SPANS.empty_table()))


class World:
    """`ids[client][thing]` fills placeholders. `people` and `tokens` go by "ROLE of CLIENT"; `house` is all clients,
    and "nobody" is a person without a role."""

    def __init__(self, folder: Path) -> None:
        self._handler = ClientHandler(enforce_csrf_checks=False)  # of all browsers: to make one loads the middleware
        self.people: dict[str, User] = {}
        self.tokens: dict[str, str] = {}
        self.ids: dict[str, dict[str, object]] = {}
        store = stores.open_store(folder / "telemetry.duckdb")
        tables.prepare(store)
        put_upstream(ENGINE, "provider", "https://api.example.org", "openai")
        for slug in ("north", "south"):
            self._client(slug)
        for role in ("ingest", *ROLES):
            self._actor(role, "house", None)
        self.people["nobody"] = User.objects.create_user("nobody@example.org", "Nobody")
        sign(clock.now())
        for slug in ("north", "south"):
            store.commit([normalise(telemetry(slug), "application/json", slug, clock.now_ns()).table])
            self.ids[slug]["letter"] = f"{LETTER_NS}-{slug}"
            for table, take, body in signals(slug):
                tables.Lander(store, table).commit([take(body, "application/json", slug, clock.now_ns()).table])
            mine = Entry.objects.filter(client=slug).order_by("index").first()
            assert mine is not None
            self.ids[slug]["entry"] = mine.index
        bury_again()

    def _actor(self, role: str, slug: str, client: Client | None) -> None:
        name = f"{role} of {slug}"
        _, self.tokens[name] = create_token(ENGINE, f"{slug} {word(slug)} {role}", role, client)
        if role != "ingest":
            person = User.objects.create_user(f"{role}@{slug}.example", f"{slug} {word(slug)} {role}")
            Grant.objects.create(user=person, role=role, client=client)
            self.people[name] = person

    def _client(self, slug: str) -> None:
        now, said = clock.now(), word(slug)
        client = Client.objects.create(slug=slug, name=f"{slug} {said}", created_at=now)
        for role in ("ingest", *ROLES):
            self._actor(role, slug, client)
        note_sightings([Sighting(slug, f"{slug}-desk", "prod", frozenset({("agent", f"{said}-agent", "v1")}))], now)
        system = System.objects.get(client=client)
        things: dict[str, object] = {
            "client": slug,
            "month": f"{now:%Y-%m}",
            "system": system.pk,
            "trace": trace_of(slug),
        }
        person = self.people[f"admin of {slug}"]
        things["person"] = person.pk
        self._ways(client, person, things)
        self._rotas(client, person, things)
        things["token"] = create_token(ENGINE, f"{slug} {said}", "viewer", client)[0].pk
        decide(ENGINE, client, system.key, "masked", [Pattern(f"{said} number", f"{said}-[0-9]+")])
        things["erasure"] = ask(ENGINE, client, "user", "erased-user", "erased-user").pk
        things |= {"kind": "other", "step": 2, "proof": "where", "way": "human", "number": 1, "audience": "customers"}
        things |= {"form": "json", "deed": "comment"}
        self._incidents(system, things)
        self._changes(system, things)
        self._verdicts(system, things)
        declared = Values(f"{slug}-desk", f"https://{said}.example/metrics")
        things["target"] = put_target(ENGINE, client, f"{slug}-{said}", declared).pk
        budgeted = Budgeted("usd", 10**9, "day", {"tenant": f"{said}-tenant"})
        things["budget"] = put_budget(ENGINE, client, f"{slug} {said}", budgeted).pk
        measure = {"kind": "availability", "system": system.key}
        wish = asked.read(
            {"client": slug, "name": f"{slug}-{said}", "objective": "99 %", "period": "30d", "measure": measure}
        )
        things["slo"] = put_slo(ENGINE, client, wish.name, wish.about, wish.definition).pk
        self._probes(system, things)
        things |= self._status_page(client, system)
        self._receiving(system, things)
        things["label_source"] = self._labels(system).pk
        things |= self._prices(client)
        things["sign_in"] = sign_in_link(person)
        self.ids[slug] = things

    def _ways(self, client: Client, person: User, things: dict[str, object]) -> None:
        """How people and channels are reached, and who they are elsewhere."""
        slug, said, now = client.slug, word(client.slug), clock.now()
        address = f"{said}@{slug}.example"
        contact = ContactMethod.objects.create(
            user=person, kind="email", address=address, created_at=now, verified_at=now
        )
        things["contact"] = contact.pk
        things["channel"] = Channel.objects.create(
            client=client, name=f"{slug} {said}", kind="webhook", address="https://192.0.2.9/hook", created_at=now
        ).pk
        things["link"] = signing.dumps(
            {"channel": things["channel"], "kind": "slack", "team": "T1", "external": said, "shown": said},
            salt=LINK_SALT,
        )
        for owner in (self.people[f"viewer of {slug}"], person):
            things["account"] = LinkedAccount.objects.create(
                client=client, kind="slack", team="T1", external=f"{said}-{owner.pk}", user=owner, linked_at=now
            ).pk

    def _rotas(self, client: Client, person: User, things: dict[str, object]) -> None:
        slug, said, now = client.slug, word(client.slug), clock.now()
        schedule = set_rotation(
            ENGINE, client, [person], "UTC", now.date(), now.time().replace(second=0, microsecond=0)
        )
        later, mate = now + timedelta(hours=1), self.people[f"responder of {slug}"]
        things["schedule"] = schedule.pk
        things["override"] = add_override(ENGINE, schedule, "cover", now, later, person).pk
        things["mate"] = mate.pk
        things["swap"] = ask_swap(ENGINE, schedule, person, mate, now, later).pk
        things["temporary"] = add_temporary(ENGINE, schedule, now + timedelta(days=3), now + timedelta(days=4), []).pk
        things["team"] = put_team(ENGINE, client, f"{said} team", [person]).pk
        layers = list(schedule.versions.get().layers)
        edit_schedule(ENGINE, schedule, layers, valid_from=now + timedelta(days=9))
        second = make_schedule(ENGINE, client, f"{said} second", "UTC", [])
        shift = f"BEGIN:VEVENT\nUID:1\nDTSTART:{now:%Y%m%dT%H%M%SZ}\nDURATION:P1D\nSUMMARY:{said}\nEND:VEVENT"
        body = f"BEGIN:VCALENDAR\n{shift}\nEND:VCALENDAR\n".encode()
        things["second"] = second.pk
        things["calendar_in"] = add_calendar(ENGINE, second, f"{said} calendar", body).pk
        theirs = Actor("person", str(mate), (Held(Role.RESPONDER, slug),), user_id=mate.pk)
        things["feed"] = make_feed(theirs, mate, None)[0].pk
        things["calendar"] = make_feed(theirs, mate, schedule)[1]
        step = {"delay": 300, "targets": [{"kind": "schedule"}]}
        things["policy"] = save_policy(ENGINE, client, f"{said} policy", [step]).pk
        things["spare"] = save_policy(ENGINE, client, f"{said} spare", [step]).pk

    def _verdicts(self, system: System, things: dict[str, object]) -> None:
        """One in breach, one that nobody can give any more, its alert, a silence."""
        slug, said, now = system.client.slug, word(system.client.slug), clock.now()
        verdict = Verdict.objects.create(
            judge="errors.rate", client=slug, system=system.key, environment="prod", severity="P2", status="breach",
            reason="above", explanation=f"{said} explanation", since=now, assessed_at=now,
        )  # fmt: skip
        VerdictChange.objects.create(
            verdict=verdict, at=now, before="ok", after="breach", explanation=f"{said} history"
        )
        things["soon"] = (now + timedelta(hours=1)).isoformat()
        things["silence"] = silence(ENGINE, system, now + timedelta(hours=1), f"{said} silence", judge="other").pk
        ended = Verdict.objects.create(
            judge="errors.rate", client=slug, system=system.key, environment="quiet", severity="P2",
            status="not_assessed", reason="no data", explanation=f"{said} quiet", since=now, assessed_at=now,
        )  # fmt: skip
        alert = Alert.objects.create(
            system=system, environment="quiet", verdict=ended, source="judges", fingerprint=slug, name="errors.rate",
            explanation=f"{said} alert", severity="P2", started_at=now, fired_at=now, told_at=now,
        )  # fmt: skip
        things["alert"] = alert.pk

    def _probes(self, system: System, things: dict[str, object]) -> None:
        slug, said = system.client.slug, word(system.client.slug)
        probing = ProbeValues("http", {"url": f"https://{said}.example/health"})
        operator = Actor("person", "Operator", (Held(Role.OPERATOR, slug),))  # the house vouches for nothing
        probe = put_probe(operator, system, f"{slug}-{said}", probing)
        settle_try(probe, failed("status", f"{said} answers 500.", 3.0))
        things["probe"] = probe.pk
        beat = put_heartbeat(ENGINE, system, f"{slug}-{said}", BeatValues(period=3_600))
        ping(beat.secret, Told(body=f"{said} output".encode()))
        things["heartbeat"], things["ping"] = beat.pk, beat.secret

    def _labels(self, system: System) -> Source:
        said, now = word(system.client.slug), clock.now()
        Task.objects.create(
            system=system, environment="prod", kind="classification", positive=f"{said} class",
            segments=[f"{said} column"], noted_at=now, decided_by=f"{said} person",
        )  # fmt: skip
        place = Place.objects.create(system=system, environment="prod")
        return Source.objects.create(place=place, name=f"{said} labels", first_at=now, last_at=now, newest=now)

    def _prices(self, client: Client) -> dict[str, object]:
        said, now = word(client.slug), clock.now()
        discount = {"name": f"{client.slug}-contract", "provider": "openai", "percent": "10"}
        version = put_entry(ENGINE, client, {**discount, "owner": f"{said} owner", "reason": f"{said} reason"})
        run = Repricing.objects.create(
            client=client, version=version, since=now, until=now, reason=f"{said} run", proposed_at=now,
            proposed_by=f"{said} proposer", totals=[],
        )  # fmt: skip
        saving = Recommendation.objects.create(
            client=client, key=f"{said}", kind="batch", place={"client": client.slug, "route": f"{said}-route"},
            title=f"{said} saving", state="projected", low_nano=1, middle_nano=2, high_nano=3,
            found_at=now, seen_at=now, figures={"month_nano": 4},
        )  # fmt: skip
        say_terms(ENGINE, client, f"{said}-desk", f"{said}-route", Terms(f"{said}-metric", 0.5))
        yesterday = (now - timedelta(days=1)).isoformat()
        series = Series.objects.create(
            client=client.slug, system=f"{said}-desk", environment="prod", dimension="agent", value=f"{said}-agent",
            measure="cost", made_at=now, learning=False,
        )  # fmt: skip
        figures = Episode(0, 0, 1.0, 9.0, 8.0, 1).document()
        Unusual.objects.create(series=series, since=now, figures=figures, words=f"{said} drives it")
        report = orjson.dumps({"client": client.slug, "title": f"{said} report"})
        Seal.objects.create(
            client=client, kind=TOKENS, month=f"{now:%Y-%m}", zone="UTC", document=report,
            digest=sha256(report).hexdigest(), entry=0, sealed_at=now, sealed_by=f"{said} sealer",
        )  # fmt: skip
        return {"series": series.pk, "repricing": run.pk, "saving": saving.pk, "yesterday": yesterday}

    def _status_page(self, client: Client, system: System) -> dict[str, object]:
        """One that strangers must not find: what is on it belongs to the client alone."""
        said, now = word(client.slug), clock.now()
        page = put_page(
            ENGINE, client, f"{client.slug}-{said}", f"{said} status", [Part(system.key, f"{said} answers")]
        )
        told = write_publication(ENGINE, page, f"{said} trouble", f"{said} text", [])
        work = plan_work(ENGINE, page, f"{said} work", "", now, now + timedelta(hours=1), [])
        asked = Subscriber.objects.create(page=page, email=f"{said}@example.org", token=f"{said}-token", asked_at=now)
        shown = put_page(ENGINE, client, f"{client.slug}-open", "Open", [], public=True)
        return {
            "status_page": page.pk,
            "publication": told.pk,
            "work": work.pk,
            "status_component": page.components.get().pk,
            "letter_token": asked.token,
            "status_key": shown.slug,
        }

    def _receiving(self, system: System, things: dict[str, object]) -> None:
        """An integration with a body that came, a maintenance window that runs, a rule."""
        slug, now = system.client.slug, clock.now()
        said = word(slug)
        made, _ = put_integration(ENGINE, system.client, f"{slug} {said}", Declared("generic", system.key))
        key, secret = add_key(ENGINE, made)
        body = orjson.dumps({"name": f"{said} told", "severity": "info", "summary": f"{said} body"})
        headers = {"authorization": f"Bearer {secret}"}
        assert doors.answer(Request("POST", "/hooks/generic", headers, body)).status == 200
        things["integration"], things["door_key"] = made.pk, key.pk
        things["raw_event"] = RawEvent.objects.latest("pk").pk
        wanted = parse("alertname=none")
        later = now + timedelta(hours=1)
        row = put_window(ENGINE, system.client, f"{said} window", wanted, now - timedelta(hours=1), later, comment=said)
        turn_windows(clock.now())
        things["window"] = row.pk
        rule = put_inhibit_rule(ENGINE, system.client, f"{said} rule", wanted, parse("alertname=other"), [])
        things["rule"] = rule.pk

    def _incidents(self, system: System, things: dict[str, object]) -> None:
        said, now = word(system.client.slug), clock.now()
        for thing in ("incident", "open", "quiet", "resolved"):
            made = open_incident(
                ENGINE, system=system, environment="prod", title=f"{said} {thing}",
                severity="P3" if thing == "quiet" else "P2",
                summary=f"{said} summary", fingerprint=f"{system.key} {thing}", detected_at=now, occurred_at=None,
            )  # fmt: skip
            things[thing] = made.pk
            if thing == "incident":
                things["measure"] = by_hand(ENGINE, made, "human", f"{said} measure", 100).pk
                change_severity(ENGINE, made, "P1", said)
                write(ENGINE, made, ["customers", "internal"], f"{said} affected", f"{said} doing")
                change_severity(ENGINE, made, "P2", said)
                named = f"{system.client.slug}-{said}.txt"
                things["file"] = attach(ENGINE, made, named, [f"{system.client.slug} {said}".encode()]).pk
            if thing in ("quiet", "resolved"):
                resolve(ENGINE, made, f"{said} text")
        freeze(DIAGNOSIS, Incident.objects.get(pk=things["incident"]), "opened")
        write_draft(ENGINE, made)
        things["item"] = put_item(ENGINE, made, f"{said} item", owner=self.people[f"admin of {system.client.slug}"]).pk
        asked = {"name": f"{said} prompt", "messages": [{"role": "user", "content": said}],
                 "assertions": [{"kind": "contains", "text": said}]}  # fmt: skip
        things["draft"] = keep(ENGINE, made, asked).pk
        page = Page.objects.filter(person__isnull=False, topic=f"incident/{things['incident']}").first()
        assert page is not None, "the incident paged somebody"
        things["ack"] = links.token(page)
        self._promises(system, things)

    def _promises(self, system: System, things: dict[str, object]) -> None:
        """A resolution that may be paused, and three handovers: waiting, done, asked back."""
        now, topic = clock.now(), f"incident/{things['incident']}"
        response = Clock.objects.get(topic=topic, kind="response", superseded_at=None)
        things["clock"] = response.pk
        resolution = Clock.objects.get(pk=response.pk)
        resolution.pk, resolution.kind = None, "resolution"
        resolution.save(force_insert=True)
        things["resolution"] = resolution.pk
        rule = {"handover": {"unless": "resolved"}, "policy": "", "contacts": f"{word(system.client.slug)} desk"}
        for thing, of, state in (
            ("handover", "incident", "waiting"),
            ("given", "open", "done"),
            ("asked", "quiet", "done"),
        ):
            row = Handover.objects.create(
                topic=f"incident/{things[of]}", system=system, started_at=now, due_at=now + timedelta(hours=1),
                rule=rule, state=state, back_asked_at=now if thing == "asked" else None, back_asked_by="somebody",
            )  # fmt: skip
            things[thing] = row.pk

    def _changes(self, system: System, things: dict[str, object]) -> None:
        slug = system.client.slug
        things["route"] = f"{slug}-first"
        for thing, route_name in (("proposed", "first"), ("approved", "second"), ("rolling", "third")):
            route = put_route(ENGINE, f"{slug}-{route_name}", system, ArmValues("provider", "", "v1"))
            change = propose(ENGINE, route, f"{word(slug)} {thing}", ArmValues("provider", "", "v2"), word(slug))
            if thing != "proposed":
                change = approve(ENGINE, change)
            if thing == "rolling":
                change = advance(ENGINE, change)
            things[thing] = change.pk
        contract = {"apiVersion": "afterlaunch/v1", "kind": "DataContract", "spec": {"columns": [{"name": word(slug)}]}}
        contract |= {"metadata": {"name": f"{slug}-{word(slug)}", "owner": word(slug)}}
        things["dataset"] = put_contract(ENGINE, system, orjson.dumps(contract).decode()).dataset.name
        policy_name = f"{slug}-{word(slug)}"
        put_retraining(ENGINE, system, policy_name, {"pipeline": {"kind": "command", "argv": [word(slug)]}})
        things["trained"] = ask_for_run(ENGINE, policies_of(system).get(), word(slug)).number
        register(ENGINE, system, "model", policy_name, word(slug), word(slug), "", {"data": {"from": word(slug)}})
        things["retrained"] = policy_name
        things["key"] = create_key(ENGINE, f"{slug} {word(slug)} key", route)[0].key_id
        queue = put_queue(ENGINE, system.client, f"{slug} {word(slug)}", None)
        approval = {"queue": queue.name, "fallback": "deny"}
        spec = {"where": "request", "action": "hold", "fail": "closed", "approval": approval}
        terms = {"kind": "terms", "terms": [f"{slug} {word(slug)}"]}
        policy = put_policy(ENGINE, route, f"{slug} {word(slug)}", {**spec, "check": terms})
        things |= {"queue": queue.pk, "guard_policy": policy.pk}
        until = clock.now() + timedelta(days=9)
        reason = f"{slug} {word(slug)}"
        things["bypass"] = grant_bypass(ENGINE, policy, "agent", reason, reason, until).pk
        told = holding.Question(str(policy.pk), slug.ljust(64, "0"), "a blocked term", reason, 12, user=reason)
        things["held"] = holding.ask(ENGINE, told).pk

    def fill(self, text: str, slug: str = "north") -> str:
        return text.format_map(self.ids[slug])

    def browser(self, name: str, with_token: bool = False) -> Browser:
        """Somebody's browser: signed in as a person, or sending a token; never from loopback."""
        if with_token or name.startswith("ingest"):
            made = Browser(headers={"authorization": f"Bearer {self.tokens[name]}"}, REMOTE_ADDR=ELSEWHERE)
            made.handler = self._handler
            return made
        made = Browser(REMOTE_ADDR=ELSEWHERE)
        made.handler = self._handler
        made.force_login(self.people[name], backend=BACKEND)
        return made


def settle_try(probe: Probe, outcome: Outcome) -> None:
    """As the runner would, without asking anybody."""
    now = clock.now()
    probe.places.update(held_until=now + timedelta(minutes=1))
    for place in probe.places.select_related("probe"):
        settle(place, outcome, now, now)


def word(slug: str) -> str:
    return "hush" if slug == "north" else "loud"


def trace_of(slug: str) -> str:
    return ("a" if slug == "north" else "b") * 32


def telemetry(slug: str, claims: str | None = None) -> bytes:
    """One call of the client's. `claims`: the client that the resource pretends to be."""
    said, now = word(slug), clock.now_ns()
    fields: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.agent.name": f"{said}-agent",
        "tenant.id": f"{said}-tenant",
        "afterlaunch.route": f"{slug}-first",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
    }
    span = {
        "traceId": trace_of(slug), "spanId": trace_of(slug)[:16], "name": f"{said} chat", "kind": 3,
        "startTimeUnixNano": str(now - 2_000_000_000), "endTimeUnixNano": str(now - 1_000_000_000),
        "attributes": [_attribute(key, value) for key, value in fields.items()],
    }  # fmt: skip
    named = {
        "service.name": f"{slug}-desk",
        "afterlaunch.client": claims or slug,
        "deployment.environment.name": "prod",
    }
    resource = {"attributes": [_attribute(key, value) for key, value in named.items()]}
    return orjson.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})


def _attribute(key: str, value: object) -> dict[str, Any]:
    return {"key": key, "value": {"intValue" if isinstance(value, int) else "stringValue": str(value)}}


def signals(slug: str) -> tuple[tuple[tables.Table, Any, bytes], ...]:
    """A metric and a log record of the client's, each with the table it belongs to and what decodes it."""
    said, at = word(slug), str(clock.now_ns() - 1_000_000_000)
    resource = {"attributes": [_attribute("service.name", f"{slug}-desk")]}
    label = [_attribute("queue", f"{said}-queue")]
    point = {"timeUnixNano": at, "asDouble": 3.0, "attributes": label}
    # both clients have `queue_depth`; only one has its other metric
    metrics = [{"name": name, "gauge": {"dataPoints": [point]}} for name in ("queue_depth", f"{said}_depth")]
    record = {
        "timeUnixNano": at,
        "severityNumber": 9,
        "body": {"stringValue": f"{said} line"},
        "traceId": trace_of(slug),
    }
    metric_body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
    log_body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    return (
        (tables.METRICS, points.from_otlp, orjson.dumps(metric_body)),
        (tables.LOGS, records.from_otlp, orjson.dumps(log_body)),
    )
