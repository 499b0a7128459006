"""Every door of the server, and who may go through it. The docs' table is made from this one.

A new address without a row here fails `test_doors.py`. Placeholders name things of the client `north` (see `world.py`):
`{incident}` is the id of an incident of theirs. `who` is one of

- `anybody`: no sign-in needed;
- `signed in`: a person, whatever their role;
- `own`: only the person whose thing it is, and administrators of the house;
- `asked`: only the responder who was asked; `mine`: only the one who made it, nobody else even sees it;
- `viewer`, `responder`, `operator`, `admin`: that role, or a higher one, for the thing's client;
- `house viewer`, …: that role for all clients; `house ingest`: the gateway's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GET, POST = "GET", "POST"


@dataclass(frozen=True)
class Door:
    """`good`: the statuses of somebody who may. `filters`: queries that ask for things of `north` by name or id."""

    method: str
    address: str
    who: str
    what: str
    data: Mapping[str, Any] = field(default_factory=dict)
    good: tuple[int, ...] = ()
    filters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.address}"

    @property
    def api(self) -> bool:
        return self.address.startswith("/api/")

    @property
    def fine(self) -> tuple[int, ...]:
        return self.good or ((302,) if self.method == POST and not self.api else (200,))


def look(address: str, who: str, what: str, /, *filters: str, good: tuple[int, ...] = ()) -> Door:
    return Door(GET, address, who, what, filters=filters, good=good)


def do(address: str, who: str, what: str, good: tuple[int, ...] = (), /, **data: Any) -> Door:
    return Door(POST, address, who, what, data, good)


API = "/api/v1"
GONE = {"client": "{client}", "kind": "user", "value": "gone", "confirm": "gone"}
POLICY = {"step-0-target": "schedule:", "step-0-minutes": "5", "catch-all": "owner:"}
SCHEDULE = "/oncall/{client}/schedules/{schedule}"
PRICE = {"name": "more", "provider": "openai", "percent": "5", "owner": "Finance", "reason": "x", "model": "gpt-4o"}
TABLE = {"table": "vendor", "text": "name,provider,percent\nmore,x-ai,5\n", "owner": "Finance", "reason": "x"}
BILL = {"provider": "openai", "form": "csv", "text": "day,amount,model\n2026-10-01,1,hush\n"}
PAST = {"since": "{yesterday}", "until": "{soon}", "reason": "x"}
SPAN = {"starts_at": "2035-01-01T00:00", "ends_at": "2035-01-02T00:00"}
LAYER = {"layer-0-name": "weekly", "layer-0-start": "2035-01-01T09:00", "layer-0-turn-0": "p{person}"}
PING = ("", "/start", "/fail", "/log", "/0")
MATRIX = {
    f"response-{name}-{field}": value
    for name in ("P1", "P2", "P3")
    for field, value in (("kind", "duration"), ("in_hours", "1h"), ("off_hours", "1h"), ("counting", "elapsed"))
}
SEEN = (200, 302)  # allauth may ask for the password again first
MANY = "client,system,environment,service,agent,route,tenant,provider,model,version,arm"

CONTRACT = """
apiVersion: afterlaunch/v1
kind: DataContract
metadata: {{name: another, owner: team}}
spec: {{columns: [{{name: id}}]}}
"""
TRAINED = {"name": "another", "spec": "pipeline: {{kind: command, argv: [x]}}"}
TRAINED_API: dict[str, Any] = {"name": "another", "spec": {"pipeline": {"kind": "command", "argv": ["x"]}}}
BUDGETED = {"client": "{client}", "name": "another", "unit": "usd", "limit": "5", "window": "day"}
GUARDED: dict[str, Any] = {
    "route": "{route}",
    "name": "another",
    "policy": {"where": "request", "check": {"kind": "terms", "terms": ["x"]}, "action": "deny", "fail": "closed"},
}
GUARD_FORM = {"where": "request", "kind": "terms", "what": "x", "action": "deny", "fail": "closed"}
PROMISED: dict[str, Any] = {
    "client": "{client}",
    "name": "promised",
    "objective": "99 %",
    "measure": {"kind": "availability", "system": "{client}-desk"},
}
WISHED = {"system": "{client}/{client}-desk", "name": "promised", "kind": "availability", "objective": "99"}
OPENSLO = "{{apiVersion: openslo/v1, kind: Service, metadata: {{name: desk}}, spec: {{}}}}"

SIGN_IN = (
    look("/accounts/login/", "anybody", "Sign in", good=SEEN),
    do("/accounts/login/", "anybody", "Sign in", (200, 302), login="x@example.org", password="no"),
    look("/accounts/logout/", "anybody", "Sign out", good=SEEN),
    do("/accounts/logout/", "anybody", "Sign out"),
    look("/accounts/inactive/", "anybody", "Told that one is switched off"),
    look("/accounts/2fa/authenticate/", "anybody", "Second factor while signing in", good=SEEN),
    do("/accounts/2fa/authenticate/", "anybody", "Second factor while signing in", SEEN, code="000000"),
    *(
        look(f"/accounts/{name}", "anybody", "Closed", good=(404,))
        for name in ("signup/", "email/", "confirm-email/", "password/reset/", "login/code/confirm/")
    ),
    look("/accounts/reauthenticate/", "signed in", "Own password again", good=(*SEEN, 403)),
    look("/accounts/password/change/", "signed in", "Change one's password", good=SEEN),
    look("/accounts/password/set/", "signed in", "Set one's first password", good=SEEN),
    look("/accounts/2fa/", "signed in", "One's second factor", good=SEEN),
    look("/accounts/2fa/reauthenticate/", "signed in", "Own code again", good=(*SEEN, 403)),
    look("/accounts/2fa/totp/activate/", "signed in", "Set up a second factor", good=SEEN),
    look("/accounts/2fa/totp/deactivate/", "signed in", "Take the second factor off", good=(*SEEN, 404)),
    look("/accounts/2fa/recovery-codes/", "signed in", "One's recovery codes", good=(*SEEN, 404)),
    look("/accounts/2fa/recovery-codes/generate/", "signed in", "New recovery codes", good=(*SEEN, 404)),
    look("/accounts/2fa/recovery-codes/download/", "signed in", "Recovery codes as a file", good=(*SEEN, 404)),
    look("/sign-in/{sign_in}", "anybody", "A one-time sign-in link, shown"),
    do("/sign-in/{sign_in}", "anybody", "A one-time sign-in link, used"),
)

PAGES = (
    look("/", "viewer", "Overview"),
    look("/systems", "viewer", "Systems"),
    do("/systems/add", "operator", "Add a system", client="{client}", key="new-desk"),
    look("/systems/{system}", "viewer", "A system"),
    look("/systems/{system}/drift", "viewer", "Drift of a system's inputs"),
    look("/systems/{system}/answers", "viewer", "What a system answers, against a reference"),
    do(
        "/systems/{system}/answers/reference", "operator", "Choose the period of reference of answers", (400,),
        start="2026-03-01T00:00", end="2026-03-02T00:00",
    ),
    look("/systems/{system}/performance", "viewer", "Performance of a system's model", "environment=prod"),
    do("/systems/{system}/performance/task", "operator", "Declare what predictions are", kind="classification"),
    do(
        "/systems/{system}/performance/baseline", "operator", "Choose a baseline's period", (400,),
        start="2026-03-01T00:00", end="2026-03-02T00:00",
    ),
    do("/systems/{system}/performance/sources/{label_source}/stop", "operator", "Set labels aside", reason="x"),
    do("/systems/{system}/performance/sources/{label_source}/resume", "operator", "Count labels again"),
    look("/systems/{system}/retraining", "viewer", "Retraining of a system's models", "at=2026-01-01T00:00"),
    do("/systems/{system}/retraining", "operator", "Put a retraining policy", (302, 403), **TRAINED),
    do("/systems/{system}/retraining/{retrained}/end", "operator", "End a retraining policy", (302, 404)),
    do("/systems/{system}/retraining/{retrained}/runs", "operator", "Ask for a retraining run", (302, 404)),
    do("/systems/{system}/retraining/{retrained}/runs/{trained}/approve", "operator", "Approve a run", (302, 404, 409)),
    do("/hooks/retraining/{system}", "anybody", "What a pipeline tells of its run; the address is the right", (404,)),
    look("/systems/{system}/data", "viewer", "A system's datasets and their contracts", "dataset={dataset}"),
    do("/systems/{system}/data", "operator", "Put a data contract", contract=CONTRACT),
    do("/systems/{system}/data/{dataset}/end", "operator", "Judge a dataset no more", (302, 409)),
    do(
        "/systems/{system}", "operator", "Adopt or edit a system",
        name="Desk", tier="standard", posture="pilot", time_zone="UTC",
    ),
    look("/calls", "viewer", "Calls", "client=north", "system=north-desk&range=30d", "tenant=hush-tenant"),
    *(
        look(f"/calls/{name}", "viewer", what, "q=tenant:hush-tenant", "client=north&range=30d")
        for name, what in (
            ("usage?group_by=tenant", "Tokens, cache and cost"), ("latency?group_by=agent", "Latency"),
            ("errors", "Errors and throttling"), ("agents", "Agents and tools"), ("retrieval", "Retrieval"),
            ("transactions", "Transactions"), ("sessions", "Sessions"), ("users", "Users"),
            ("compare", "Two periods or versions"),
        )
    ),
    look("/calls/quality", "viewer", "Data quality", "q=client:north", "client=north&range=30d"),
    look("/calls/transaction?id=one", "viewer", "A transaction", "id=hush-order", "id=hush-order&of_client=north"),
    look("/calls/session?id=one", "viewer", "A session", "id=hush-session", "id=hush-session&of_client=north"),
    look("/calls/user?id=one", "viewer", "A user", "id=hush-user", "id=hush-user&of_client=north"),
    look("/traces/{trace}", "viewer", "A trace"),
    look("/spend", "viewer", "Spend", "group_by=client,system", "group_by=purpose", "group_by=agent&range=30d"),
    look(
        "/infrastructure", "viewer", "Infrastructure",
        "client=north", "system=north-desk&range=24h", "host=hush-host", "client=north&host=",
    ),
    look("/explorer", "viewer", "Metrics", "name=hush_depth", "name=queue_depth&by=queue", "client=north&part=list"),
    look("/logs", "viewer", "Logs", "client=north", "text=line", "trace=" + "a" * 32, "part=rows&system=north-desk"),
    look("/budgets", "viewer", "Budgets"),
    do("/budgets", "operator", "Make a budget", **BUDGETED | {"name": "third"}),
    look("/budgets/{budget}", "viewer", "A budget"),
    do("/budgets/{budget}", "operator", "Alter a budget", (302, 409), limit="7"),
    do("/budgets/{budget}/end", "operator", "End a budget", (302, 409)),
    look("/guard", "viewer", "Guard policies and what they did"),
    do("/guard", "operator", "Make a guard policy", **GUARD_FORM | {"route": "{route}", "name": "third"}),
    look("/guard/policies/{guard_policy}", "viewer", "A guard policy"),
    do("/guard/policies/{guard_policy}", "operator", "Alter a guard policy", (302, 409), **GUARD_FORM),
    do("/guard/policies/{guard_policy}/end", "operator", "End a guard policy", (302, 409)),
    do(
        "/guard/policies/{guard_policy}/bypasses", "admin", "Let somebody past a guard policy", (302, 409),
        who="agent", value="a", reason="x", until="2035-01-01T00:00",
    ),
    do("/guard/policies/{guard_policy}/bypasses/{bypass}/end", "operator", "End a guard's bypass", (302, 409)),
    look("/guard/approvals", "viewer", "Approval queues and what waits"),
    do("/guard/approvals", "operator", "Make or alter an approval queue", client="{client}", name="another"),
    look("/guard/approvals/{held}", "viewer", "A held request (its content: responder)"),
    do(
        "/guard/approvals/{held}", "responder", "Approve or deny a held request", (302, 403, 409),
        decision="deny", reason="x",
    ),
    look("/targets", "viewer", "Targets that are scraped", "edit={target}"),
    do(
        "/targets", "operator", "Declare or alter a target",
        client="{client}", name="another", system="{client}-desk", url="https://example.org/metrics",
    ),
    do("/targets/{target}/remove", "operator", "Remove a target"),
    look("/slos", "viewer", "SLOs"),
    look("/slos.csv", "viewer", "SLOs as CSV"),
    look("/slos.yaml", "viewer", "SLOs as OpenSLO"),
    look("/slos/new", "viewer", "The form for an SLO", "system=north/north-desk"),
    look("/slos/preview", "viewer", "What an SLO would mean", "system=north/north-desk&objective=99"),
    do("/slos/new", "operator", "Make an SLO", **WISHED),
    look("/slos/import", "viewer", "The form for OpenSLO files"),
    do("/slos/import", "operator", "Import OpenSLO", client="{client}", text=OPENSLO),
    look("/slos/{slo}", "viewer", "An SLO"),
    look("/slos/{slo}/budget.csv", "viewer", "An SLO's budget as CSV"),
    look("/slos/{slo}/edit", "operator", "The form of an SLO"),
    do("/slos/{slo}/edit", "operator", "Alter an SLO", **WISHED),
    do("/slos/{slo}/pause", "operator", "Pause or resume an SLO", paused="1"),
    do("/slos/{slo}/remove", "operator", "Remove an SLO"),
    look("/status-pages", "viewer", "Status pages"),
    do("/status-pages", "operator", "Add or alter a status page", client="{client}", slug="{client}-two", title="Two"),
    look("/status-pages/{status_page}", "viewer", "A status page from inside"),
    do("/status-pages/{status_page}", "operator", "Add or alter a status page", title="Other"),
    *(
        do(f"/status-pages/{{status_page}}/{deed}", who, what, **data)
        for deed, who, what, data in (
            ("publish", "responder", "Publish on a status page", {"publication": "{publication}"}),
            ("withhold", "responder", "Publish on a status page", {"publication": "{publication}"}),
            (
                "post", "responder", "Publish on a status page",
                {"publication": "{publication}", "text": "x", "phase": "identified"},
            ),
            ("write", "responder", "Publish on a status page", {"title": "x", "text": "y"}),
            ("state", "responder", "Say what a component's state is", {"component": "{status_component}"}),
            (
                "plan", "operator", "Plan maintenance on a status page",
                {"title": "x", "starts_at": "2035-01-01T00:00", "ends_at": "2035-01-01T02:00"},
            ),
            ("end", "operator", "Plan maintenance on a status page", {"work": "{work}"}),
            ("address", "operator", "Give a status page a new secret address", {}),
            ("remove", "operator", "Remove a status page", {}),
        )
    ),
    *(look(f"/status/{{status_key}}{rest}", "anybody", "A status page") for rest in ("", "/status.json", "/feed.rss")),
    do("/status/{status_key}/subscribe", "anybody", "Ask for news by mail", (200,), email="x@example.org"),
    *(look(f"/status/{deed}/{{letter_token}}", "anybody", "News by mail") for deed in ("confirm", "unsubscribe")),
    *(do(f"/status/{deed}/{{letter_token}}", "anybody", "News by mail", (200,)) for deed in ("confirm", "unsubscribe")),
    look("/probes", "viewer", "Probes", "kind=golden"),
    do(
        "/probes", "operator", "Add or alter a probe",
        **{"system": "{system}", "name": "another", "kind": "http", "c-url": "https://example.org/"},
    ),
    do(
        "/probes/from-prompt/{draft}", "operator", "Make a probe of a golden prompt of a review",
        name="taken", url="https://example.org", model="m",
    ),
    look("/probes/{probe}", "viewer", "A probe"),
    do("/probes/{probe}", "operator", "Add or alter a probe", **{"c-url": "https://example.org/"}),
    do("/probes/{probe}/run", "responder", "Try a probe now"),
    *(
        do(f"/probes/{{probe}}/{deed}", "operator", what)
        for deed, what in (
            ("pause", "Pause or resume a probe"), ("resume", "Pause or resume a probe"), ("remove", "Remove a probe"),
        )
    ),
    look("/probes/uptime", "viewer", "Uptime of systems"),
    look("/probes/heartbeats", "viewer", "Heartbeats", "template=backup"),
    do(
        "/probes/heartbeats", "operator", "Add or alter a heartbeat",
        system="{system}", name="another", period_minutes="60", grace_minutes="5",
    ),
    look("/probes/heartbeats/{heartbeat}", "viewer", "A heartbeat"),
    do("/probes/heartbeats/{heartbeat}", "operator", "Add or alter a heartbeat", period_minutes="60"),
    *(
        do(f"/probes/heartbeats/{{heartbeat}}/{deed}", "operator", what)
        for deed, what in (
            ("pause", "Pause or resume a heartbeat"), ("resume", "Pause or resume a heartbeat"),
            ("address", "Give a heartbeat a new ping address"), ("remove", "Remove a heartbeat"),
        )
    ),
    *(look(f"/ping/{{ping}}{rest}", "anybody", "A job's ping") for rest in PING),
    *(do(f"/ping/{{ping}}{rest}", "anybody", "A job's ping", (200,)) for rest in PING),
    look("/incidents", "viewer", "Incidents", "system={system}", "status=open", "severity=P1"),
    look("/incidents/{incident}", "viewer", "An incident"),
    do("/incidents/{incident}/acknowledge", "responder", "Acknowledge an incident"),
    do("/incidents/{incident}/resolve", "responder", "Resolve an incident", text="done"),
    do("/incidents/{resolved}/reopen", "responder", "Reopen an incident", text="again"),
    do("/incidents/{open}/false-alarm", "responder", "Call an incident a false alarm", text="nothing"),
    do("/incidents/{incident}/note", "responder", "Note something on an incident", text="looking"),
    do("/incidents/{incident}/severity", "responder", "Change an incident's severity", severity="P2", text="smaller"),
    do("/incidents/{incident}/diagnosis", "responder", "Freeze another diagnosis of an incident"),
    look("/incidents/{incident}/diagnosis/1.json", "viewer", "A frozen diagnosis, the bytes that were hashed"),
    do("/incidents/{incident}/kind", "responder", "Change an incident's kind", kind="drift"),
    do("/incidents/{incident}/move", "responder", "Move an incident to a phase", to="resolution"),
    do("/incidents/{quiet}/close", "responder", "Close an incident"),
    do("/incidents/{open}/duplicate", "responder", "Merge an incident into the one it repeats", survivor="{incident}"),
    do(
        "/incidents/{incident}/roles", "responder", "Take, give or end a role in an incident",
        role="scribe", person="{person}",
    ),
    do("/incidents/{incident}/story", "responder", "Write down impact, cause and fix", impact="All users"),
    do("/incidents/{incident}/runbook/{step}", "responder", "Tick or run a step of a runbook", deed="tick"),
    do("/incidents/{incident}/evidence/{proof}", "responder", "Tick a line of the evidence", note="seen"),
    look("/incidents/{incident}/containment/{way}", "viewer", "The dry run of a way to stop the harm"),
    do(
        "/incidents/{incident}/containment/{way}", "responder", "Stop the harm, by a line of the menu",
        text="x", reach="5",
    ),
    do("/incidents/{incident}/measures/{measure}/undo", "responder", "Undo a measure", reason="over"),
    look("/incidents/{incident}/update", "responder", "Write an update, with the texts for each audience"),
    do("/incidents/{incident}/update", "responder", "Send an update to stakeholders", audience="internal", doing="x"),
    do(
        "/incidents/{incident}/updates/{number}/{audience}", "operator",
        "Approve or withhold a text for customers",
    ),
    do("/incidents/{incident}/files", "responder", "Attach a file to an incident", (400,)),
    look("/incidents/{incident}/files/{file}", "viewer", "A file of an incident"),
    do("/incidents/{incident}/files/{file}/remove", "operator", "Remove a file of an incident", reason="x"),
    look("/incidents/{incident}/timeline.{form}", "viewer", "An incident's timeline as a file"),
    look("/incidents/{resolved}/review", "viewer", "An incident's review"),
    do("/incidents/{resolved}/review", "responder", "Write an incident's review", summary="x"),
    do("/incidents/{resolved}/review/{deed}", "responder", "A deed on a review", text="x"),
    do("/incidents/{resolved}/action-items", "responder", "Put an action item", title="x"),
    look("/incidents/{resolved}/prompt", "responder", "Make a golden prompt of a failing trace"),
    do("/incidents/{resolved}/prompt", "responder", "Keep a golden prompt", (400,), document="x"),
    look("/incidents/reviews", "viewer", "Reviews", "state=draft"),
    look("/incidents/actions", "viewer", "Action items", "mine=1", "state=done"),
    do("/incidents/actions/{item}/end", "responder", "End an action item", evidence="x"),
    look("/incidents/runbooks", "viewer", "Runbooks and policy", "client=north"),
    look("/incidents/runbooks/{client}/{kind}", "viewer", "A runbook and its versions"),
    do("/incidents/runbooks/{client}/{kind}", "operator", "Save a version of a runbook", text="- Look."),
    do("/incidents/policy/{client}", "admin", "Set what responders may do alone", cap="40", minutes="20"),
    do(
        "/incidents/stakeholders/{client}", "operator", "Put somebody into an audience of updates",
        audience="internal", person="{person}",
    ),
    look("/alerts", "viewer", "Alerts", "state=all", "q=hush", "system={system}&state=all", "q={{system=north-desk}}"),
    look("/alerts/{alert}", "viewer", "An alert"),
    look("/silences/preview", "viewer", "What a silence would match", "system={system}", "system=client:north"),
    look("/maintenance", "viewer", "Maintenance windows"),
    do(
        "/maintenance", "responder", "Plan a maintenance window",
        system="{system}", name="{client} work", starts_at="2035-01-01T00:00", ends_at="2035-01-01T02:00", zone="UTC",
    ),
    do("/maintenance/{window}/extend", "responder", "Make a window that runs longer", minutes="5"),
    do("/maintenance/{window}/end", "responder", "End a window that runs"),
    do("/maintenance/{window}/remove", "responder", "Remove a window"),
    look("/inhibition", "viewer", "Inhibition rules"),
    do(
        "/inhibition", "operator", "Declare an inhibition rule",
        client="{client}", name="another", source="a=b", target="c=d",
    ),
    do("/inhibition/{rule}/remove", "operator", "Remove an inhibition rule"),
    look("/integrations", "viewer", "Integrations"),
    do(
        "/integrations", "operator", "Make an integration",
        (200,), client="{client}", kind="generic", name="another", system="{client}-desk",
    ),
    look("/integrations/{integration}", "viewer", "An integration", "state=unparsed"),
    do(
        "/integrations/{integration}", "operator", "Alter an integration",
        kind="generic", system="{client}-desk", environment="staging",
    ),
    do("/integrations/{integration}/keys", "operator", "Make a key of an integration", (200,)),
    do("/integrations/{integration}/keys/{door_key}/revoke", "operator", "Revoke a key of an integration"),
    do("/integrations/{integration}/test", "operator", "Send a test alert"),
    do("/integrations/{integration}/remove", "operator", "Remove an integration"),
    look("/integrations/events/{raw_event}", "responder", "A body as it came"),
    look("/silences", "viewer", "Silences", "system={system}"),
    do("/silences", "responder", "Silence a system", system="{system}", hours="1", reason="a test"),
    do("/silences/{silence}/end", "responder", "End a silence"),
    do("/alerts/{alert}/end", "responder", "End an alert that tells nothing any more", reason="over"),
    look("/ack/{ack}", "anybody", "An acknowledge link, shown"),
    do("/ack/{ack}", "anybody", "An acknowledge link without its confirmation", (400,)),
    look("/changes", "viewer", "Changes", "state=proposed", "state=rolling_out"),
    do("/changes/propose", "operator", "Propose a change", route="north-first", title="x", model="other"),
    look("/changes/{proposed}", "viewer", "A change"),
    do("/changes/{proposed}/approve", "operator", "Approve a change"),
    do("/changes/{approved}/advance", "operator", "Advance a change"),
    do("/changes/{rolling}/rollback", "responder", "Roll a change back", reason="bad answers"),
    look("/oncall", "viewer", "On-call", "q=hush", "page=2"),
    do("/oncall/calendars", "viewer", "Make the address of a calendar of one's own", (200,), schedule="{schedule}"),
    do("/oncall/calendars/{feed}/revoke", "mine", "Revoke the address of one's calendar"),
    look("/calendars/{calendar}.ics", "anybody", "A calendar's feed, by its secret"),
    look("/oncall/{client}/load", "viewer", "On-call load", "schedule={schedule}"),
    do(f"{SCHEDULE}/calendars", "operator", "Read a calendar in", (400,), name="x"),
    do("/oncall/{client}/schedules/{second}/calendars/{calendar_in}/remove", "operator", "Remove a calendar read in"),
    look("/oncall/{client}/teams", "viewer", "Teams"),
    do("/oncall/{client}/teams", "operator", "Make or change a team", name="another", member="{person}"),
    do("/oncall/{client}/teams/{team}/remove", "operator", "Remove a team"),
    look("/oncall/{client}/schedules/new", "operator", "A new schedule's form"),
    do("/oncall/{client}/schedules/new", "operator", "Make a schedule", do="save", name="second", zone="UTC", **LAYER),
    look(SCHEDULE, "viewer", "A schedule", "from=2026-03-02&weeks=4"),
    look(f"{SCHEDULE}/edit", "operator", "A schedule's form"),
    do(f"{SCHEDULE}/edit", "operator", "Change a schedule", do="save", name="primary", zone="UTC", **LAYER),
    do(f"{SCHEDULE}/remove", "operator", "Remove a schedule"),
    do(f"{SCHEDULE}/overrides", "responder", "Stand in for somebody on call", kind="cover", person="{person}", **SPAN),
    do(f"{SCHEDULE}/overrides/{{override}}/cancel", "responder", "Cancel a stand-in"),
    do(f"{SCHEDULE}/swaps", "operator", "Ask for a swap for somebody; for oneself a responder may",
       asker="{person}", other="{mate}", **SPAN),
    do(f"{SCHEDULE}/swaps/{{swap}}/accept", "asked", "Accept a swap that one was asked for"),
    do(f"{SCHEDULE}/swaps/{{swap}}/decline", "asked", "Decline a swap that one was asked for"),
    do(f"{SCHEDULE}/swaps/{{swap}}/withdraw", "operator", "Withdraw a swap of somebody; one's own a responder may"),
    do(f"{SCHEDULE}/temporary", "operator", "Put a temporary schedule in the place of the layers",
       person="{person}", **SPAN),
    do(f"{SCHEDULE}/temporary/{{temporary}}/cancel", "operator", "Cancel a temporary schedule"),
    do(f"{SCHEDULE}/versions/2/drop", "operator", "Take back a version that is still to come"),
    look("/oncall/{client}/policies/new", "operator", "A new escalation policy's form"),
    do("/oncall/{client}/policies/new", "operator", "Make an escalation policy", do="save", name="another", **POLICY),
    look("/oncall/{client}/policies/{policy}", "viewer", "An escalation policy"),
    do("/oncall/{client}/policies/{policy}", "operator", "Change an escalation policy", do="save", name="x", **POLICY),
    do("/oncall/{client}/policies/{spare}/remove", "operator", "Remove an escalation policy"),
    look("/spend/prices", "viewer", "Whose prices one may see", good=(200, 302)),
    look("/spend/prices/{client}", "viewer", "Prices of a client"),
    do("/spend/prices/{client}/save", "operator", "Set an override or a discount", **PRICE),
    do("/spend/prices/{client}/withdraw", "operator", "Withdraw a price", name="{client}-contract", reason="x"),
    do("/spend/prices/{client}/import", "operator", "Preview or take a price table", (200,), **TABLE),
    do("/spend/prices/{client}/compare", "viewer", "Compare prices with a second table", (200,)),
    do("/spend/prices/{client}/reprice", "operator", "Propose to price the past anew", (302, 409), **PAST),
    look("/spend/reconciliation/{client}", "viewer", "Bills against telemetry", "month={month}"),
    do("/spend/reconciliation/{client}/bills", "operator", "Import a bill", **BILL),
    look("/reports/tokens/{month}", "viewer", "A month's tokens", "client=north"),
    look("/anomalies", "viewer", "Series that are followed", "q={client}"),
    look("/anomalies/{series}", "viewer", "A series"),
    do("/anomalies/{series}/usual", "operator", "Call an unusual series usual", days="3"),
    look("/spend/savings", "viewer", "What could be saved", "client={client}"),
    look("/spend/savings/{saving}", "viewer", "A recommendation"),
    do("/spend/savings/look", "operator", "Look for savings now", client="{client}"),
    do("/spend/savings/{saving}/decline", "operator", "Decline a recommendation", reason="x"),
    do("/spend/savings/{saving}/accept", "operator", "Accept a recommendation"),
    do("/spend/savings/{saving}/live", "operator", "Say that a saving is live"),
    do("/spend/savings/{saving}/shadow", "operator", "Try a saving as a shadow", percent="10", usd_a_day="1"),
    do("/spend/savings/{saving}/shadow/stop", "operator", "End the shadow of a saving"),
    look("/spend/savings/terms/{client}", "viewer", "Terms of routes"),
    do("/spend/savings/terms/{client}/save", "operator", "Say the terms of a route", metric="m", minimum="1"),
    look("/spend/repricings/{repricing}", "viewer", "A repricing"),
    do("/spend/repricings/{repricing}/approve", "admin", "Approve a repricing"),
    do("/spend/repricings/{repricing}/refuse", "admin", "Refuse a repricing"),
    look("/sla", "viewer", "Running clocks", "late=0"),
    look("/sla/clocks/{clock}", "viewer", "A clock, explained"),
    do("/sla/clocks/{resolution}/pause", "responder", "Pause a clock", reason="vendor"),
    do("/sla/clocks/{resolution}/resume", "responder", "Resume a clock"),
    do("/sla/clocks/{clock}/recalculate", "operator", "Count a clock anew", reason="a test"),
    do("/sla/clocks/{clock}/tier", "operator", "Count a thing's clocks by another tier", tier="enterprise", reason="x"),
    look("/sla/{client}", "viewer", "Business hours and SLA matrix of a client"),
    do("/sla/{client}/calendar", "operator", "Change business hours", zone="UTC", windows="mon-fri 08:00-18:00"),
    do("/sla/{client}/policy/standard", "operator", "Change an SLA matrix", **MATRIX),
    do("/sla/{client}/preview", "viewer", "Try what would fall due when", (200,), opened="2035-01-01T00:00"),
    look("/systems/{system}/support", "viewer", "Who is in front for a system"),
    do("/systems/{system}/support", "operator", "Set who is in front for a system", posture="primary"),
    do("/sla/handovers/{handover}/now", "responder", "Hand an incident to the tier early", reason="a test"),
    do("/sla/handovers/{given}/ask-back", "responder", "Ask to take an incident back", reason="a test"),
    do("/sla/handovers/{asked}/accept-back", "responder", "Take an incident back", (302, 403)),
    look("/evidence", "viewer", "Evidence", "subject=incident/{incident}", "deed=incident", "actor=hush", "page=2"),
    look("/reports", "viewer", "Reports", "client=north"),
    look("/reports/monthly/{month}", "viewer", "A month's report", "client=north", "system=north-desk"),
    look("/settings", "viewer", "Tokens and people"),
    do("/settings/tokens", "admin", "Make a token", (200,), name="ci", role="viewer", client="{client}"),
    do("/settings/tokens/{token}/revoke", "admin", "Revoke a token"),
    do(
        "/settings/people", "admin", "Invite a person",
        (200,), email="new@example.org", name="New", role="viewer", client="{client}",
    ),
    look("/settings/keeping", "viewer", "What is kept, and for how long"),
    do("/settings/keeping", "admin", "Decide what is kept, and for how long", client="{client}", capture="masked"),
    look("/settings/dead-letters", "viewer", "Dead letters"),
    look("/settings/dead-letters/{letter}", "viewer", "A dead letter"),
    do("/settings/dead-letters/replay", "operator", "Replay all dead letters", client="{client}"),
    do("/settings/dead-letters/{letter}/replay", "operator", "Replay a dead letter"),
    do("/settings/dead-letters/{letter}/discard", "admin", "Discard a dead letter"),
    look("/settings/erasures", "viewer", "Erasures of one's clients"),
    do("/settings/erasures", "admin", "Erase a user, a session or a tenant", **GONE),
    do("/settings/erasures/{erasure}/check", "admin", "Check an erasure", value="erased-user"),
    look("/settings/server", "house viewer", "The server's settings"),
    look("/settings/gateway", "viewer", "The gateway's routes and keys"),
    do(
        "/settings/gateway/upstreams", "house admin", "Make or alter an upstream",
        name="another", base_url="https://api.example.org", provider="openai",
    ),
    do(
        "/settings/gateway/routes", "operator", "Make a route or move its baseline",
        name="{client}-new", system="{system}", upstream="provider",
    ),
    do("/settings/gateway/routes/{client}-first/shadow/end", "operator", "End a route's shadow"),
    do("/settings/gateway/keys", "admin", "Make a caller key", (200,), name="desk", route="{client}-first"),
    do("/settings/gateway/keys/{key}/revoke", "admin", "Revoke a caller key"),
    look("/settings/contacts", "signed in", "One's contact methods"),
    do("/settings/contacts/add", "signed in", "Add a contact method", kind="email", address="me@example.org"),
    do("/settings/contacts/{contact}/test", "own", "Send a test message"),
    do("/settings/contacts/{contact}/verify", "own", "Verify a contact method", code="123456"),
    do("/settings/contacts/{contact}/remove", "own", "Remove a contact method"),
    do("/settings/contacts/{contact}/first", "own", "Try a contact method first"),
    do("/settings/contacts/rules", "signed in", "Set how one is paged", collect="0"),
    look("/settings/accounts", "signed in", "One's linked accounts"),
    look("/settings/accounts/link/{link}", "viewer", "A link to link an account, shown"),
    do("/settings/accounts/link/{link}", "viewer", "Link an account to oneself"),
    do("/settings/accounts/{account}/unlink", "own", "Unlink an account"),
    do("/hooks/slack", "anybody", "Buttons and forms in Slack; signed", (401,)),
    do("/hooks/pagerduty", "anybody", "Webhooks v3 of PagerDuty; signed", (401,)),
    look("/settings/channels", "viewer", "Channels of one's clients", "edit={channel}", "kind=webhook"),
    do(
        "/settings/channels", "admin", "Make or alter a channel",
        client="{client}", name="another", kind="email", address="ops@example.org",
    ),
    do("/settings/channels/{channel}/test", "admin", "Send a test message to a channel"),
    do("/settings/channels/{channel}/remove", "admin", "Remove a channel"),
    look("/settings/deliveries", "viewer", "What became of messages", "topic=incident/{incident}", "state=waiting"),
)  # fmt: skip

REST = (
    look(f"{API}/messages", "viewer", "What became of messages", "client=north", "topic=incident/{incident}"),
    look(f"{API}/channels", "viewer", "Channels of one's clients", "client=north"),
    do(
        f"{API}/channels", "admin", "Make or alter a channel",
        client="{client}", name="another", kind="email", address="ops@example.org",
    ),
    do(f"{API}/channels/{{channel}}/test", "admin", "Send a test message to a channel"),
    do(f"{API}/channels/{{channel}}/remove", "admin", "Remove a channel"),
    look(f"{API}/openapi.json", "anybody", "The API's description"),
    look(f"{API}/systems", "viewer", "Systems"),
    look(f"{API}/systems/{{system}}/drift", "viewer", "Drift of a system's inputs"),
    look(f"{API}/systems/{{system}}/answers", "viewer", "What a system answers, against a reference"),
    do(
        f"{API}/systems/{{system}}/answers/reference", "operator", "Choose the period of reference of answers", (400,),
        start="2026-03-01T00:00:00Z", end="2026-03-02T00:00:00Z",
    ),
    look(f"{API}/systems/{{system}}/performance", "viewer", "Performance of a system's model", "environment=prod"),
    do(f"{API}/systems/{{system}}/performance/task", "operator", "Declare what predictions are", positive="1"),
    do(
        f"{API}/systems/{{system}}/performance/baseline", "operator", "Choose a baseline's period", (400,),
        start="2026-03-01T00:00:00Z", end="2026-03-02T00:00:00Z",
    ),
    do(
        f"{API}/systems/{{system}}/performance/sources/{{label_source}}/stop", "operator", "Set labels aside",
        reason="x",
    ),
    do(f"{API}/systems/{{system}}/performance/sources/{{label_source}}/resume", "operator", "Count labels again"),
    look(f"{API}/systems/{{system}}/retraining", "viewer", "Retraining policies and runs"),
    do(f"{API}/systems/{{system}}/retraining", "operator", "Put a retraining policy", (200, 403), **TRAINED_API),
    do(f"{API}/systems/{{system}}/retraining/{{retrained}}/end", "operator", "End a retraining policy", (200, 404)),
    do(f"{API}/systems/{{system}}/retraining/{{retrained}}/runs", "operator", "Ask for a run", (200, 404), why="x"),
    do(
        f"{API}/systems/{{system}}/retraining/{{retrained}}/runs/{{trained}}/approve", "operator", "Approve a run",
        (200, 404, 409),
    ),
    do(
        f"{API}/systems/{{system}}/retraining/{{retrained}}/runs/{{trained}}/decline", "operator", "Decline a run",
        (200, 404, 409),
    ),
    look(f"{API}/systems/{{system}}/live", "viewer", "What was live at an instant", "kind=agent"),
    look(f"{API}/systems/{{system}}/versions", "viewer", "Versions that were made, with their lineage"),
    look(f"{API}/systems/{{system}}/datasets", "viewer", "A system's datasets"),
    look(f"{API}/systems/{{system}}/datasets/{{dataset}}", "viewer", "A dataset, its contract and its checks"),
    look(f"{API}/systems/{{system}}/datasets/{{dataset}}/contract", "viewer", "A data contract", "number=1"),
    do(f"{API}/systems/{{system}}/datasets", "operator", "Put a data contract", (200,), contract=CONTRACT),
    do(f"{API}/systems/{{system}}/datasets/{{dataset}}/end", "operator", "Judge a dataset no more", (200, 409)),
    look(f"{API}/systems/{{system}}", "viewer", "A system"),
    look(
        f"{API}/spans", "viewer", "Spans",
        "system=north-desk", "trace_id={trace}", "from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z&limit=1000",
    ),
    look(
        f"{API}/calls", "viewer", "Calls",
        "q=tenant:hush-tenant", "system=north-desk", "from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z",
    ),
    look(f"{API}/spend/attribution", "viewer", "Spend by one dimension", "by=tenant", "by=session&tenant=hush"),
    look(f"{API}/spend/explorer", "viewer", "Spend explored", "group_by=client", "group_by=tenant,agent&format=csv"),
    look(f"{API}/spend", "viewer", "Spend", f"group_by={MANY}"),
    look(f"{API}/latency", "viewer", "Latency", f"group_by={MANY}"),
    look(f"{API}/quality", "viewer", "Flags, sums and metrics beside spans", "q=client:north", "client=north"),
    look(f"{API}/usage", "viewer", "Tokens, cache and cost", f"group_by={MANY}", "tenant=hush-tenant"),
    *(
        look(f"{API}/{name}", "viewer", what, "q=tenant:hush-tenant", "client=north&range=30d")
        for name, what in (
            ("errors?group_by=agent", "Errors and throttling"), ("agents", "Agents and tools"),
            ("retrieval", "Retrieval"), ("transactions", "Transactions"), ("sessions", "Sessions"),
            ("users", "Users"), ("compare?by=period", "Two periods or versions"),
        )
    ),
    look(f"{API}/transaction?id=one", "viewer", "A transaction", "id=hush-order&q=tenant:hush-tenant"),
    look(f"{API}/session?id=one", "viewer", "A session", "id=hush-session&q=tenant:hush-tenant"),
    look(f"{API}/user?id=one", "viewer", "A user", "id=hush-user&q=tenant:hush-tenant"),
    look(f"{API}/metrics", "viewer", "Metrics", "client=north", "system=north-desk"),
    look(
        f"{API}/metrics/points?name=queue_depth&group_by=client,system,queue", "viewer", "A metric over time",
        "name=hush_depth&format=csv", "name=queue_depth&labels=queue=hush-queue",
    ),
    look(f"{API}/metrics/labels?name=queue_depth", "viewer", "A metric's labels", "name=hush_depth&client=north"),
    look(f"{API}/infrastructure", "viewer", "Figures of infrastructure", "client=north", "system=north-desk"),
    look(f"{API}/logs", "viewer", "Logs", "client=north", "text=line", "trace_id=" + "a" * 32),
    look(f"{API}/targets", "viewer", "Targets that are scraped", "client=north", "system=north-desk"),
    do(
        f"{API}/targets", "operator", "Declare or alter a target", (200,),
        client="{client}", name="another", system="{client}-desk", url="https://example.org/metrics",
    ),
    do(f"{API}/targets/{{target}}/remove", "operator", "Remove a target", (200,)),
    look(f"{API}/budgets", "viewer", "Budgets", "client=north", "ended=true"),
    look(f"{API}/budgets/{{budget}}", "viewer", "A budget"),
    do(f"{API}/budgets", "operator", "Make or alter a budget", (200,), **BUDGETED),
    do(f"{API}/budgets/{{budget}}/end", "operator", "End a budget", (200, 409)),
    look(f"{API}/slos", "viewer", "SLOs as they stand", "client=north", "system=north-desk"),
    do(f"{API}/slos", "operator", "Make or alter an SLO", (200,), **PROMISED),
    do(f"{API}/slos/preview", "viewer", "What an SLO would mean", (200,), **PROMISED),
    do(f"{API}/slos/import", "operator", "Import OpenSLO", (200,), client="{client}", text=OPENSLO),
    look(f"{API}/slos/export", "viewer", "SLOs as OpenSLO", "client=north"),
    look(f"{API}/guard/policies", "viewer", "Guard policies", "route={route}", "ended=true"),
    look(f"{API}/guard/policies/{{guard_policy}}", "viewer", "A guard policy and its counts"),
    do(f"{API}/guard/policies", "operator", "Make or alter a guard policy", (200,), **GUARDED),
    do(f"{API}/guard/policies/{{guard_policy}}/end", "operator", "End a guard policy", (200, 409)),
    do(
        f"{API}/guard/policies/{{guard_policy}}/bypasses", "admin", "Let somebody past a guard policy", (200, 409),
        who="agent", value="a", reason="x", until="2035-01-01T00:00:00Z",
    ),
    do(
        f"{API}/guard/policies/{{guard_policy}}/bypasses/{{bypass}}/end", "operator", "End a bypass of a guard policy",
        (200, 409),
    ),
    look(f"{API}/guard/queues", "viewer", "Approval queues"),
    do(f"{API}/guard/queues", "operator", "Make or alter an approval queue", (200,), client="{client}", name="more"),
    look(f"{API}/guard/holds", "viewer", "Held requests", "state=all"),
    look(f"{API}/guard/holds/{{held}}", "viewer", "A held request (its content: responder)"),
    do(
        f"{API}/guard/holds/{{held}}/decide", "responder", "Approve or deny a held request", (200, 403, 409),
        approve=True, reason="x",
    ),
    look(f"{API}/slos/burns", "viewer", "When budgets burned", "open=true"),
    look(f"{API}/slos/{{slo}}", "viewer", "An SLO"),
    look(f"{API}/slos/{{slo}}/versions", "viewer", "What an SLO said"),
    look(f"{API}/slos/{{slo}}/budget", "viewer", "The burn-down of an SLO's budget"),
    do(f"{API}/slos/{{slo}}/pause", "operator", "Pause an SLO", (200,)),
    do(f"{API}/slos/{{slo}}/resume", "operator", "Resume an SLO", (200,)),
    do(f"{API}/slos/{{slo}}/remove", "operator", "Remove an SLO", (200,)),
    look(f"{API}/status-pages", "viewer", "Status pages", "client=north"),
    do(
        f"{API}/status-pages", "operator", "Add or alter a status page", (200,),
        client="{client}", slug="{client}-two", title="Two",
    ),
    look(f"{API}/status-pages/{{status_page}}", "viewer", "A status page with its publications"),
    do(f"{API}/status-pages/{{status_page}}/remove", "operator", "Remove a status page", (200,)),
    *(
        do(
            f"{API}/status-pages/{{status_page}}/publications/{{publication}}/{deed}", "responder",
            "Publish on a status page", (200,), text="x", phase="identified",
        )
        for deed in ("publish", "withhold", "posts")
    ),
    do(
        f"{API}/status-pages/{{status_page}}/maintenance", "operator", "Plan maintenance on a status page", (200,),
        title="x", starts_at="2035-01-01T00:00:00Z", ends_at="2035-01-01T02:00:00Z",
    ),
    look(f"{API}/probes", "viewer", "Probes", "client=north", "system=north-desk"),
    do(
        f"{API}/probes", "operator", "Add or alter a probe", (200,),
        system="{system}", name="another", kind="http", config={"url": "https://example.org/"},
    ),
    do(
        f"{API}/probes/from-prompt/{{draft}}", "operator", "Make a probe of a golden prompt of a review", (200,),
        name="taken", url="https://example.org", model="m",
    ),
    look(f"{API}/probes/{{probe}}", "viewer", "A probe with its last tries", "limit=1"),
    do(f"{API}/probes/{{probe}}/run", "responder", "Try a probe now", (200,)),
    do(f"{API}/probes/{{probe}}/pause", "operator", "Pause or resume a probe", (200,)),
    do(f"{API}/probes/{{probe}}/resume", "operator", "Pause or resume a probe", (200,)),
    do(f"{API}/probes/{{probe}}/remove", "operator", "Remove a probe", (200,)),
    look(f"{API}/uptime", "viewer", "Uptime of systems", "client=north", "system=north-desk&days=3"),
    look(f"{API}/heartbeats", "viewer", "Heartbeats", "client=north", "system=north-desk"),
    do(
        f"{API}/heartbeats", "operator", "Add or alter a heartbeat", (200,),
        system="{system}", name="another", period_seconds=3600,
    ),
    look(f"{API}/heartbeats/{{heartbeat}}", "viewer", "A heartbeat with its pings"),
    do(f"{API}/heartbeats/{{heartbeat}}/pause", "operator", "Pause or resume a heartbeat", (200,)),
    do(f"{API}/heartbeats/{{heartbeat}}/resume", "operator", "Pause or resume a heartbeat", (200,)),
    do(f"{API}/heartbeats/{{heartbeat}}/remove", "operator", "Remove a heartbeat", (200,)),
    look(f"{API}/keeping", "viewer", "How content is captured, and how long data is kept", "client=north"),
    do(f"{API}/keeping", "admin", "Decide what is kept, and for how long", client="{client}", capture="masked"),
    look(f"{API}/dead-letters", "viewer", "Dead letters", "client=north"),
    look(f"{API}/dead-letters/{{letter}}", "viewer", "A dead letter"),
    do(f"{API}/dead-letters/replay?client={{client}}", "operator", "Replay all dead letters"),
    do(f"{API}/dead-letters/{{letter}}/replay", "operator", "Replay a dead letter"),
    do(f"{API}/dead-letters/{{letter}}/discard", "admin", "Discard a dead letter", (204,)),
    look(f"{API}/telemetry/storage", "house viewer", "Bytes by table, growth and forecast"),
    look(f"{API}/erasures", "viewer", "Erasures of one's clients"),
    do(f"{API}/erasures", "admin", "Erase a user, a session or a tenant", (202,), **GONE),
    do(f"{API}/erasures/{{erasure}}/check", "admin", "Check an erasure", value="erased-user"),
    look(f"{API}/availability", "viewer", "Availability", "client=north", "system=north-desk"),
    look(f"{API}/reports/monthly?month={{month}}", "viewer", "A month's report", "month={month}&client=north"),
    look(f"{API}/verdicts", "viewer", "Verdicts", "system=north-desk", "status=breach"),
    look(f"{API}/verdicts/history", "viewer", "Changes of verdicts", "system=north-desk"),
    look(f"{API}/incidents", "viewer", "Incidents", "system={system}", "status=open"),
    look(f"{API}/incidents/{{incident}}", "viewer", "An incident"),
    look(f"{API}/alerts", "viewer", "Alerts", "firing=true"),
    do(f"{API}/alerts/{{alert}}/end", "responder", "End an alert that tells nothing any more", reason="over"),
    look(f"{API}/silences", "viewer", "Silences", "active=true"),
    do(
        f"{API}/silences", "responder", "Silence a system", (201,),
        system="{client}-desk", until="{soon}", reason="a test",
    ),
    do(f"{API}/silences/{{silence}}/end", "responder", "End a silence"),
    look(f"{API}/incidents/{{incident}}/diagnosis", "viewer", "What changed, and how much of it that explains"),
    do(f"{API}/incidents/{{incident}}/diagnosis", "responder", "Freeze another diagnosis of an incident"),
    do(f"{API}/incidents/{{incident}}/acknowledge", "responder", "Acknowledge an incident"),
    do(f"{API}/incidents/{{incident}}/resolve", "responder", "Resolve an incident", text="done"),
    do(f"{API}/incidents/{{incident}}/move", "responder", "Move an incident to a phase", to="resolution"),
    do(
        f"{API}/incidents/{{incident}}/severity", "responder", "Change an incident's severity",
        severity="P1", reason="worse",
    ),
    do(f"{API}/incidents/{{incident}}/kind", "responder", "Change an incident's kind", kind="drift"),
    do(
        f"{API}/incidents/{{open}}/duplicate", "responder", "Merge an incident into the one it repeats",
        survivor="{incident}", reason="the same",
    ),
    do(f"{API}/incidents/{{open}}/false-alarm", "responder", "Call an incident a false alarm", reason="nothing"),
    do(f"{API}/incidents/{{resolved}}/reopen", "responder", "Reopen an incident", reason="again"),
    do(f"{API}/incidents/{{quiet}}/close", "responder", "Close an incident"),
    do(f"{API}/incidents/{{incident}}/note", "responder", "Note something on an incident", text="looking"),
    do(f"{API}/incidents/{{incident}}/story", "responder", "Write down impact, cause and fix", impact="All users"),
    do(
        f"{API}/incidents/{{incident}}/roles", "responder", "Take, give or end a role in an incident",
        role="scribe", person="{person}",
    ),
    look(f"{API}/incident-kinds", "viewer", "Kinds of incident"),
    look(f"{API}/incidents/{{incident}}/checklists", "viewer", "An incident's runbook and evidence checklist"),
    do(f"{API}/incidents/{{incident}}/runbook/{{step}}", "responder", "Tick or run a step of a runbook", deed="tick"),
    do(f"{API}/incidents/{{incident}}/evidence/{{proof}}", "responder", "Tick a line of the evidence", note="seen"),
    look(f"{API}/runbooks/{{client}}/{{kind}}", "viewer", "A runbook and its versions"),
    do(
        f"{API}/runbooks/{{client}}/{{kind}}", "operator", "Save a version of a runbook",
        text="- Look.", note="shorter",
    ),
    look(f"{API}/incidents/{{incident}}/containment", "viewer", "Ways to stop the harm, with their dry runs"),
    do(
        f"{API}/incidents/{{incident}}/containment/{{way}}", "responder", "Stop the harm, by a line of the menu",
        text="held back", reach_percent="10",
    ),
    do(f"{API}/incidents/{{incident}}/measures/{{measure}}/undo", "responder", "Undo a measure", reason="over"),
    look(f"{API}/containment-policy/{{client}}", "viewer", "What responders may do alone"),
    do(
        f"{API}/containment-policy/{{client}}", "admin", "Set what responders may do alone",
        cap_percent="40", show_minutes="20",
    ),
    look(f"{API}/incidents/{{incident}}/updates", "viewer", "An incident's updates"),
    do(
        f"{API}/incidents/{{incident}}/updates", "responder", "Send an update to stakeholders",
        audiences=["responders"], doing="looking",
    ),
    do(f"{API}/incidents/{{incident}}/updates/draft", "responder", "Draft an update", doing="looking"),
    do(
        f"{API}/incidents/{{incident}}/updates/{{number}}/{{audience}}", "operator",
        "Approve or withhold a text for customers",
    ),
    look(f"{API}/incidents/{{incident}}/files", "viewer", "An incident's files"),
    do(f"{API}/incidents/{{incident}}/files", "responder", "Attach a file to an incident", (400,)),
    look(f"{API}/incidents/{{incident}}/files/{{file}}", "viewer", "A file of an incident"),
    do(f"{API}/incidents/{{incident}}/files/{{file}}/remove", "operator", "Remove a file of an incident", reason="x"),
    look(f"{API}/incidents/{{incident}}/timeline.{{form}}", "viewer", "An incident's timeline as a file"),
    look(f"{API}/reviews", "viewer", "Reviews", "state=draft"),
    look(f"{API}/incidents/{{resolved}}/review", "viewer", "An incident's review"),
    do(f"{API}/incidents/{{resolved}}/review", "responder", "Write an incident's review", sections={"summary": "x"}),
    do(f"{API}/incidents/{{resolved}}/review/{{deed}}", "responder", "A deed on a review", text="x"),
    look(f"{API}/action-items", "viewer", "Action items", "mine=true", "overdue=true"),
    do(f"{API}/incidents/{{resolved}}/action-items", "responder", "Put an action item", title="x"),
    do(f"{API}/action-items/{{item}}/end", "responder", "End an action item", evidence="x"),
    look(f"{API}/prompt-drafts", "viewer", "Golden prompts made from failing traces", "waiting=true"),
    do(
        f"{API}/incidents/{{resolved}}/prompt-drafts", "responder", "Draft or keep a golden prompt",
        name="x", messages=[{"role": "user", "content": "x"}], assertions=[{"kind": "contains", "text": "x"}],
    ),
    look(f"{API}/stakeholders/{{client}}", "viewer", "Who is told about incidents, and how often"),
    do(
        f"{API}/stakeholders/{{client}}", "operator", "Put somebody into an audience of updates",
        audience="internal", person="{person}",
    ),
    do(
        f"{API}/stakeholders/{{client}}/cadence", "operator", "Set how often updates are due",
        severity="P1", minutes="20",
    ),
    do(f"{API}/incidents/{{incident}}/contain", "responder", "Roll back what rolls out where an incident is"),
    look(f"{API}/changes", "viewer", "Changes", "system=north-desk", "state=proposed"),
    do(f"{API}/changes", "operator", "Propose a change", route="north-first", title="Other", prompt_version="v9"),
    look(f"{API}/changes/{{proposed}}", "viewer", "A change"),
    do(f"{API}/changes/{{proposed}}/approve", "operator", "Approve a change"),
    do(f"{API}/changes/{{approved}}/advance", "operator", "Advance a change"),
    do(f"{API}/changes/{{rolling}}/rollback", "responder", "Roll a change back"),
    look(f"{API}/routes", "viewer", "Routes"),
    do(f"{API}/routes/{{route}}/handling", "operator", "How calls of a route are handled"),
    do(f"{API}/routes/{{route}}/handling/members", "operator", "Members of how calls of a route are handled"),
    do(f"{API}/keys/{{key}}/limits", "admin", "Limit a caller key"),
    look(f"{API}/oncall", "viewer", "Who is on call", "weeks=20"),
    look(f"{API}/oncall/{{client}}/load", "viewer", "On-call load", "from=2026-01-01&to=2026-02-01"),
    look(f"{API}/clients/{{client}}/prices", "viewer", "Prices of a client", "version=1"),
    do(f"{API}/clients/{{client}}/prices", "operator", "Set an override or a discount", **PRICE),
    do(
        f"{API}/clients/{{client}}/prices/withdraw", "operator", "Withdraw a price",
        name="{client}-contract", reason="x",
    ),
    do(f"{API}/clients/{{client}}/prices/import", "operator", "Preview or take a price table", **TABLE),
    do(f"{API}/clients/{{client}}/bills", "operator", "Import a bill", **BILL),
    look(f"{API}/clients/{{client}}/reconciliation", "viewer", "Bills against telemetry", "month={month}"),
    do(
        f"{API}/reports/tokens/seals", "operator", "Seal a token report", (200, 409),
        client="{client}", month="2020-01",
    ),
    look(f"{API}/reports/tokens/seals/{{client}}/{{month}}", "viewer", "A sealed token report"),
    look(f"{API}/reports/tokens?month={{month}}", "viewer", "A month's tokens", "month={month}&client=north"),
    look(f"{API}/anomalies", "viewer", "Series that are followed", "client={client}", "measure=cost"),
    look(f"{API}/anomalies/{{series}}", "viewer", "A series"),
    do(f"{API}/anomalies/{{series}}/usual", "operator", "Call an unusual series usual", (200, 409), days=3),
    look(f"{API}/savings", "viewer", "What could be saved", "client={client}", "state=projected"),
    look(f"{API}/savings/{{saving}}", "viewer", "A recommendation"),
    do(f"{API}/savings/{{saving}}/decline", "operator", "Decline a recommendation", reason="x"),
    do(f"{API}/savings/{{saving}}/accept", "operator", "Accept a recommendation", (200, 409)),
    do(
        f"{API}/savings/{{saving}}/shadow", "operator", "Try a saving as a shadow", (200, 409),
        upstream="none", percent=10, usd_a_day=1,
    ),
    do(f"{API}/savings/{{saving}}/shadow/stop", "operator", "End the shadow of a saving", (200, 409)),
    do(f"{API}/savings/{{saving}}/live", "operator", "Say that a saving is live", (200, 409)),
    look(f"{API}/clients/{{client}}/route-terms", "viewer", "Terms of routes"),
    do(f"{API}/clients/{{client}}/route-terms", "operator", "Say the terms of a route", metric="m", minimum=1),
    look(f"{API}/repricings", "viewer", "Repricings", "client={client}"),
    look(f"{API}/repricings/{{repricing}}", "viewer", "A repricing"),
    do(
        f"{API}/clients/{{client}}/repricings", "operator", "Propose to price the past anew", (200, 409),
        **{"from": "{yesterday}", "to": "{soon}", "reason": "x"},
    ),
    do(f"{API}/repricings/{{repricing}}/approve", "admin", "Approve a repricing"),
    do(f"{API}/repricings/{{repricing}}/refuse", "admin", "Refuse a repricing"),
    look(f"{API}/sla/clocks", "viewer", "Clocks", "topic=incident/{incident}", "status=all"),
    look(f"{API}/sla/clocks/{{clock}}", "viewer", "A clock, explained"),
    do(
        f"{API}/sla/clocks/{{resolution}}/pause", "responder", "Pause a clock",
        reason="vendor", resume_at="2035-01-01T00:00:00Z",
    ),
    do(f"{API}/sla/clocks/{{resolution}}/resume", "responder", "Resume a clock"),
    do(f"{API}/sla/clocks/{{clock}}/recalculate", "operator", "Count a clock anew", reason="a test"),
    do(
        f"{API}/sla/clocks/{{clock}}/tier", "operator", "Count a thing's clocks by another tier",
        tier="enterprise", reason="x",
    ),
    look(f"{API}/sla/policies", "viewer", "SLA matrices"),
    do(f"{API}/sla/policies", "operator", "Change an SLA matrix", (400,), client="{client}", tier="standard"),
    look(f"{API}/sla/calendars", "viewer", "Business hours"),
    do(f"{API}/sla/calendars", "operator", "Change business hours", (400,), client="{client}"),
    look(f"{API}/systems/{{system}}/support", "viewer", "Who is in front for a system"),
    do(f"{API}/systems/{{system}}/support", "operator", "Set who is in front for a system", posture="primary"),
    look(f"{API}/sla/handovers", "viewer", "Handovers", "state=all"),
    do(f"{API}/sla/handovers/{{handover}}/now", "responder", "Hand an incident to the tier early", reason="a test"),
    do(f"{API}/sla/handovers/{{given}}/ask-back", "responder", "Ask to take an incident back", reason="a test"),
    do(f"{API}/sla/handovers/{{asked}}/accept-back", "responder", "Take an incident back", (200, 403)),
    look(f"{API}/evidence/checkpoint", "viewer", "The newest signed checkpoint"),
    look(f"{API}/evidence/entries", "viewer", "Evidence entries", "subject=incident/{incident}"),
    look(f"{API}/evidence/proof?index={{entry}}", "viewer", "An entry's inclusion proof"),
    look(f"{API}/gateway/snapshot", "house ingest", "The gateway's sealed configuration"),
    look(
        f"{API}/gateway/prices?provider=openai&model=gpt-4o&client={{client}}", "house ingest",
        "What a model's tokens cost",
    ),
    do(
        f"{API}/gateway/budgets", "house ingest", "What gateways counted of budgets", (200,), gateway="g", counters=[],
    ),
    do(f"{API}/gateway/shares", "house ingest", "Draw shares of limits over gateways", (200,), gateway="g", wants=[]),
    do(
        f"{API}/gateway/days", "house ingest", "What gateways reserved and settled by day", (200,), gateway="g",
        days=[],
    ),
    do(
        f"{API}/gateway/guard/counts", "house ingest", "What gateways counted of guard policies", (200,),
        gateway="g", counts=[],
    ),
    do(
        f"{API}/gateway/guard/holds", "house ingest", "Hold a request for a person", (200, 404),
        policy="{guard_policy}", digest="0" * 64,
    ),
    look(f"{API}/gateway/guard/holds", "house ingest", "What became of held requests", "ids={held}"),
    do(f"{API}/gateway/guard/holds/take", "house ingest", "Use approvals", (200,), ids=[]),
    look(f"{API}/telemetry/counts", "house viewer", "How many spans are stored (on loopback: anybody)"),
)  # fmt: skip

HEALTH = (
    look("/healthz", "anybody", "Liveness"),
    look("/readyz", "anybody", "Readiness", good=(200, 503)),
)

DOORS: tuple[Door, ...] = (*SIGN_IN, *PAGES, *REST, *HEALTH)
NO_DOORS = {"api/v1/": "the API's root, which answers 404"}
