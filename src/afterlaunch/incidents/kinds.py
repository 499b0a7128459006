"""The kinds of AI incident, as data: how grave one is, what evidence belongs to it, how harm is stopped. Pure.

The runbook of a kind is the text `runbooks/shipped/KIND.md`. Which judge leads to which kind stands in `app.judges`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SeverityRule:
    """`usual`: when nobody said; `least`: what it is at the mildest; `p1_when`: for the person who sets it. An incident
    of security stays P1 until an administrator lowers it."""

    usual: str
    least: str
    p1_when: str
    security: bool = False


@dataclass(frozen=True)
class Evidence:
    """Something to look at or to keep, with the page on which it lies (a name of `places`)."""

    key: str
    text: str
    place: str = ""


@dataclass(frozen=True)
class Containment:
    """A way to stop the harm. `run` names an action of the product (`app.incident_runs`); without one it is done by
    hand, and `how`, `reach` and `undo` say what that means."""

    key: str
    title: str
    how: str
    reach: str
    undo: str
    run: str = ""


@dataclass(frozen=True)
class Kind:
    name: str
    title: str
    explanation: str
    severity: SeverityRule
    evidence: tuple[Evidence, ...]
    containment: tuple[Containment, ...]


ROLLBACK = Containment(
    "rollback",
    "Put the last good version back",
    "Takes all traffic from the candidate that rolls out here; the baseline answers everybody within seconds.",
    "The share of traffic that the candidate serves.",
    "Propose the same change again and let it advance.",
    run="contain",
)
PIN = Containment(
    "pin",
    "Pin the provider and the model version",
    "Propose a change that names another upstream or an exact model version on the route; approve it, then advance it.",
    "All calls of the route, in stages.",
    "Roll that change back.",
)
GUARDRAIL = Containment(
    "guardrail",
    "Tighten the guardrail",
    "In your application: let the stricter filter decide, or refuse the topic altogether.",
    "Every answer of the system; some good answers will be refused too.",
    "Put the filter's former threshold back.",
)
LIMIT = Containment(
    "limit",
    "Limit the rate",
    "In your application or at the provider: fewer requests or tokens a minute, or a hard budget.",
    "The callers that go above the limit.",
    "Lift the limit.",
)
HUMAN = Containment(
    "human",
    "Put a person in the loop",
    "In your application: hold answers of the affected kind until a person has released them.",
    "The affected kind of request; answers become slow.",
    "Take the hold off.",
)
STOP_CALLER = Containment(
    "stop-caller",
    "Cut the caller off",
    "Settings, Gateway: revoke the caller key of the agent or the job that runs away.",
    "Everything that calls with this key.",
    "Make a new key and give it to the caller.",
)
FALLBACK = Containment(
    "fallback",
    "Serve without the broken part",
    "In your application: switch retrieval, the tool or the feature off, and say so to the user.",
    "Requests that need the part; they get a plainer answer.",
    "Switch it on again.",
)
RESTART = Containment(
    "capacity",
    "Add capacity or move the load",
    "Start another instance, move traffic to the healthy one, or restart the one that hangs.",
    "The host or the service.",
    "Stop the added instance.",
)
SHADOW = Containment(
    "shadow",
    "Answer from the old version, keep the new one in the shadow",
    "Set the candidate's share to nothing and replay recorded traffic against it.",
    "Nobody: only copies are served.",
    "Let the change advance again.",
)

STOP_SOURCE = Containment(
    "stop-source",
    "Stop learning from a source of labels",
    "Sets the labels aside of the source that a breach names; they are kept and shown, no longer counted.",
    "No traffic: what is learnt and judged from labels.",
    "Count its labels again.",
    run="stop source",
)

CHANGED = Evidence("changed", "What changed in the day before: release, prompt, model, index, flag, traffic", "changes")
WHERE = Evidence("where", "Where it concentrates: version, arm, model, tenant, route", "diagnosis")
EXAMPLES = Evidence("examples", "Three failing traces, opened and noted down by their ids", "failing")
EXTENT = Evidence("extent", "How many users and requests are affected, since when", "usage")

KINDS: tuple[Kind, ...] = (
    Kind(
        "drift",
        "Drift",
        "What comes in, or what comes out, no longer looks like what the system was tested with.",
        SeverityRule("P2", "P3", "Wrong decisions with money, health or law in them have reached users."),
        (
            CHANGED,
            Evidence("slice", "The slice that moved: tenant, route, language, time of day", "usage"),
            Evidence("sides", "Whether the inputs moved, the outputs, or both", "sessions"),
            Evidence("quality", "Whether quality fell with it, or only the mix is another one", "verdicts"),
            EXAMPLES,
        ),
        (ROLLBACK, PIN, HUMAN, FALLBACK, STOP_SOURCE),
    ),
    Kind(
        "quality_burn",
        "Quality SLO burn",
        "Answers are worse, slower or fail more often than promised, and the error budget goes too fast.",
        SeverityRule("P2", "P3", "The budget of the month is spent within hours, or the system is down."),
        (
            WHERE,
            CHANGED,
            Evidence("budget", "How much of the error budget is spent, and when it ends at this rate", "verdicts"),
            Evidence("errors", "Which errors: time-outs, refusals, cut answers, the provider's own", "errors"),
            EXAMPLES,
        ),
        (ROLLBACK, PIN, LIMIT, FALLBACK),
    ),
    Kind(
        "grounding",
        "Grounding",
        "Answers claim what their sources do not say.",
        SeverityRule("P2", "P2", "Made-up answers about safety, money, health or law have reached users."),
        (
            Evidence("claims", "Three answers beside the passages they were given", "retrieval"),
            Evidence("passages", "Whether the passages were found at all, and how old they are", "retrieval"),
            Evidence("prompt", "Whether the instruction to stay with the sources is still in the prompt", "changes"),
            WHERE,
            EXTENT,
        ),
        (ROLLBACK, GUARDRAIL, HUMAN, FALLBACK),
    ),
    Kind(
        "safety_bypass",
        "Safety bypass",
        "Somebody got the system to do or say what its guardrails should prevent; data may have left.",
        SeverityRule("P1", "P1", "Always, until an administrator has looked.", security=True),
        (
            Evidence("prompts", "The prompts that got through, kept word for word", "failing"),
            Evidence("who", "Who sent them: user, session, tenant, key", "users"),
            Evidence("out", "What came out: data, tool calls, actions taken in other systems", "agents"),
            Evidence("spread", "Whether others use the same words: search the calls", "calls"),
            Evidence("told", "Who must be told, and by when: privacy, security, the client"),
            CHANGED,
        ),
        (ROLLBACK, GUARDRAIL, STOP_CALLER, HUMAN, FALLBACK),
    ),
    Kind(
        "cost_runaway",
        "Cost runaway",
        "Spend rises much faster than use.",
        SeverityRule("P2", "P3", "At this rate the month's budget is gone today."),
        (
            Evidence("rate", "Cost an hour now and usually, and what it will have cost by the morning", "spend"),
            Evidence("who", "Who spends it: model, agent, route, tenant, version", "usage"),
            Evidence("tokens", "Whether there are more calls, longer prompts, or fewer cache hits", "usage"),
            Evidence("loops", "Whether an agent or a retry calls itself", "agents"),
            CHANGED,
        ),
        (ROLLBACK, STOP_CALLER, LIMIT, PIN),
    ),
    Kind(
        "provider_change",
        "Provider change",
        "The provider fails, is slow, or answers from another model or version than before.",
        SeverityRule("P2", "P3", "The provider is down and nothing else can answer."),
        (
            Evidence("version", "Which model versions answered before and after", "usage"),
            Evidence("status", "What the provider's status page says, with the time you read it"),
            Evidence("errors", "Which errors and which latencies, by provider and model", "errors"),
            Evidence("quality", "Whether answers differ on the same questions", "compare"),
            EXTENT,
        ),
        (PIN, ROLLBACK, LIMIT, FALLBACK),
    ),
    Kind(
        "agent_loop",
        "Agent loop",
        "An agent repeats itself: the same tools, the same calls, no end.",
        SeverityRule("P2", "P2", "It acts on the world: sends, books, deletes or pays."),
        (
            Evidence("loop", "One trace of the loop: which step returns to which", "agents"),
            Evidence("acts", "What it did outside, and what of that must be undone", "agents"),
            Evidence("begin", "What began it: a tool's error, an empty result, a new prompt", "errors"),
            Evidence("cost", "What it costs an hour", "spend"),
            CHANGED,
        ),
        (STOP_CALLER, ROLLBACK, LIMIT, HUMAN),
    ),
    Kind(
        "retrieval_staleness",
        "Retrieval staleness",
        "Retrieval finds old passages or none: an index was not built, or built from the wrong data.",
        SeverityRule("P3", "P3", "Old prices, dosages or rules are told to users as current."),
        (
            Evidence("age", "When the index was built last, and from what", "changes"),
            Evidence("hits", "How many searches find nothing, and how well the found ones fit", "retrieval"),
            Evidence("jobs", "Whether the job that builds it ran: its log and its heartbeat", "logs"),
            Evidence("examples", "Three questions whose answer is known to have changed", "retrieval"),
            EXTENT,
        ),
        (FALLBACK, ROLLBACK, HUMAN),
    ),
    Kind(
        "data_pipeline",
        "Data pipeline",
        "Data comes late, incomplete or in another shape: features, documents, or the telemetry itself.",
        SeverityRule("P3", "P3", "Decisions are being made on wrong data, or data is being lost."),
        (
            Evidence("since", "The last good run or record, and the first bad one", "logs"),
            Evidence("shape", "What is missing or differs: columns, units, names, amounts", "settings"),
            Evidence("jobs", "Which job failed or never started: log and heartbeat", "logs"),
            Evidence("lost", "Whether data is lost or only late; dead letters", "dead_letters"),
            CHANGED,
        ),
        (FALLBACK, ROLLBACK, RESTART, STOP_SOURCE),
    ),
    Kind(
        "infrastructure",
        "Infrastructure",
        "Hosts, accelerators, queues or databases below the system are full, slow or gone.",
        SeverityRule("P2", "P3", "Production is down, or data is at risk."),
        (
            Evidence("hosts", "Which hosts and which figure: CPU, GPU, memory, queue, database", "infrastructure"),
            Evidence("load", "Whether the load grew or the capacity fell", "usage"),
            Evidence("logs", "What the logs say at the first bad minute", "logs"),
            Evidence("neighbours", "Whether other systems on the same hosts suffer", "infrastructure"),
            CHANGED,
        ),
        (RESTART, LIMIT, ROLLBACK, FALLBACK),
    ),
    Kind(
        "other",
        "Other",
        "None of the kinds, or nobody knows yet.",
        SeverityRule("P2", "P3", "Production is down, data is at risk, or it is about security."),
        (WHERE, CHANGED, EXAMPLES, EXTENT),
        (ROLLBACK, PIN, LIMIT, HUMAN, FALLBACK),
    ),
)  # fmt: skip
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}
CHOICES: list[tuple[str, str]] = [(kind.name, kind.title) for kind in KINDS]


def kind_named(name: str) -> Kind:
    """An unknown name is `other`: an incident must open, whatever its sender calls it."""
    return BY_NAME.get(name, BY_NAME["other"])


def severity_for(kind: Kind, told: str) -> tuple[str, str]:
    """(severity, named reason). `told` is empty when nobody knows: it is the kind's usual one then, never milder than
    P2, and a person has to look."""
    order = ("P1", "P2", "P3")
    if told not in order:
        return min(kind.severity.usual, "P2", key=order.index), "unknown"
    if order.index(told) > order.index(kind.severity.least):
        return kind.severity.least, "raised_by_kind"
    return told, "told"
