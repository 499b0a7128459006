"""What will happen: everything from a seed. Pure; nothing of the product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

CHANGES_OF_CLOCKS = datetime(2026, 4, 1, tzinfo=UTC)  # New York 8 March, Berlin 29 March, Sydney and Santiago 5 April
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Sydney", "America/Santiago")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WORKDAYS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Hours:
    """A weekly window [start, end) on these ISO weekdays."""

    days: tuple[int, ...]
    start: str
    end: str


@dataclass(frozen=True)
class CalendarPlan:
    zone: str
    hours: tuple[Hours, ...]
    country: str
    subdivision: str
    closures: tuple[date, ...] = ()
    half_days: tuple[tuple[date, str, str], ...] = ()


@dataclass(frozen=True)
class PersonPlan:
    """`methods`: kinds of notification in the person's order. `wakes`: how likely a page wakes them at night."""

    name: str
    client: str
    zone: str
    role: str
    methods: tuple[str, ...]
    wakes: float
    of_house: bool = False

    @property
    def email(self) -> str:
        return f"{self.name.lower()}@{self.client}.test"

    def address(self, kind: str) -> str:
        return f"{kind}:{self.email}"


@dataclass(frozen=True)
class RotationPlan:
    """Weekly turns; `anchor` is the naive wall time of the first one's handoff, `members` are names."""

    zone: str
    anchor: datetime
    members: tuple[str, ...]


@dataclass(frozen=True)
class OverridePlan:
    """`kind`: add `person`, remove `absent`, replace `absent` by `person`, cover everyone by `person`."""

    client: str
    kind: str
    made_at: datetime
    start: datetime
    end: datetime
    absent: str
    person: str


@dataclass(frozen=True)
class StepPlan:
    """`delay` in seconds. `target`: schedule, person, owner (else the administrators)."""

    target: str
    delay: int
    person: str = ""


@dataclass(frozen=True)
class SystemPlan:
    client: str
    key: str
    tier: str
    owner: str


@dataclass(frozen=True)
class ClientPlan:
    slug: str
    zone: str
    calendar: CalendarPlan
    rotation: RotationPlan
    steps: tuple[StepPlan, ...]
    again: int = 0  # minutes after which an acknowledged P1 pages again while the trouble lasts; 0: never
    repeat: int = 1
    lead: str = ""  # who looks at what is open in the morning


PLATFORM = "afterlaunch"
EVERYDAY = datetime.fromisoformat("2026-01-05T09:00")
HOUSE = ClientPlan(
    "house",
    "Europe/Berlin",
    CalendarPlan("UTC", (Hours(WORKDAYS, "08:00", "18:00"),), "", ""),
    RotationPlan("UTC", EVERYDAY, ()),
    (StepPlan("owner", 900),),
    lead="Dieter",
)


@dataclass(frozen=True)
class AlertPlan:
    """One firing of one alert, at `start`, over at `end`; told again at `repeats`. `graver`: from then on a P1."""

    number: int
    system: SystemPlan
    name: str
    instance: str
    severity: str
    start: datetime
    end: datetime
    repeats: tuple[datetime, ...]
    graver: datetime | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.system.key, self.name, self.instance

    def tellings(self) -> Iterator[tuple[datetime, str, str]]:
        """(when, firing or resolved, severity), in order."""
        for at in (self.start, *self.repeats):
            yield at, "firing", "P1" if self.graver and at >= self.graver else self.severity
        yield self.end, "resolved", "P1" if self.graver else self.severity


@dataclass(frozen=True)
class SilencePlan:
    client: str
    at: datetime
    until: datetime
    system: str
    name: str


@dataclass(frozen=True)
class OutagePlan:
    """A provider is unwell. `how`: refuses (429), breaks (500), hangs (takes nothing), late (takes it, answers too
    late)."""

    kind: str
    start: datetime
    end: datetime
    how: str


@dataclass(frozen=True)
class Plan:
    seed: int
    start: datetime
    end: datetime
    clients: tuple[ClientPlan, ...]
    people: tuple[PersonPlan, ...]
    systems: tuple[SystemPlan, ...]
    alerts: tuple[AlertPlan, ...]
    overrides: tuple[OverridePlan, ...]
    silences: tuple[SilencePlan, ...]
    outages: tuple[OutagePlan, ...]
    kills: int
    by_name: dict[str, PersonPlan] = field(default_factory=dict, compare=False)

    def of(self, client: str) -> ClientPlan:
        return next(one for one in (*self.clients, HOUSE) if one.slug == client)

    def system(self, key: str) -> SystemPlan:
        """The installation itself is one, too: incidents about paging are opened on it."""
        known = (one for one in self.systems if one.key == key)
        return next(known, SystemPlan(HOUSE.slug, PLATFORM, "standard", ""))

    def administrators(self, client: str) -> frozenset[str]:
        return frozenset(
            one.name for one in self.people if one.of_house or (one.client == client and one.role == "admin")
        )


def make(seed: int, days: int, alerts: int, kills: int) -> Plan:
    """The days lie around the changes of clocks in both hemispheres."""
    start = CHANGES_OF_CLOCKS - min(timedelta(days=31), timedelta(days=max(days, 6)) / 2)
    end = start + timedelta(days=days)
    rng = Random(f"{seed} plan")
    people = _people(rng)
    clients = _clients(people)
    systems = _systems(people)
    return Plan(
        seed,
        start,
        end,
        clients,
        people,
        systems,
        tuple(_alerts(Random(f"{seed} alerts"), systems, start, end, alerts)),
        tuple(_overrides(Random(f"{seed} overrides"), clients, start, end)),
        tuple(_silences(Random(f"{seed} silences"), systems, start, end)),
        tuple(_outages(Random(f"{seed} outages"), start, end)),
        kills,
        {one.name: one for one in people},
    )


NAMES = {
    "acme": ("Anna", "Bruno", "Clara", "Dieter"),
    "borealis": ("Ellen", "Frank", "Grace", "Henry"),
    "coral": ("Isla", "Jack", "Kim", "Liam"),
}
AWAY = {"Bruno": "America/Santiago", "Frank": "Europe/Berlin", "Kim": "America/Santiago", "Liam": "Europe/Berlin"}
HOME = {"acme": "Europe/Berlin", "borealis": "America/New_York", "coral": "Australia/Sydney"}
METHODS = (("chat", "sms"), ("email", "sms"), ("sms", "email"), ("chat", "email", "sms"))


def _people(rng: Random) -> tuple[PersonPlan, ...]:
    """Four for each client; the last of them is its administrator, Dieter that of all. They live in four zones."""
    return tuple(
        PersonPlan(
            name,
            client,
            AWAY.get(name, HOME[client]),
            "admin" if place == 3 else "responder",
            METHODS[place],
            round(rng.uniform(0.3, 0.8), 2),
            of_house=name == "Dieter",
        )
        for client, names in NAMES.items()
        for place, name in enumerate(names)
    )


def _clients(people: tuple[PersonPlan, ...]) -> tuple[ClientPlan, ...]:
    """Handoffs: one in working hours, one in the hour that New York's spring takes out, one in the hour that Sydney's
    autumn has twice."""
    week = (Hours(WORKDAYS, "08:00", "18:00"),)
    acme = CalendarPlan(HOME["acme"], week, "DE", "BE", (date(2026, 5, 15),), ((date(2026, 4, 2), "08:00", "12:00"),))
    borealis = CalendarPlan(
        HOME["borealis"],
        (Hours(WORKDAYS, "09:00", "17:30"),),
        "US",
        "NY",
        (date(2026, 3, 20),),
        ((date(2026, 4, 3), "09:00", "13:00"),),
    )
    coral = CalendarPlan(
        HOME["coral"], (Hours((1, 2, 3, 4), "08:30", "17:00"), Hours((5, 6), "09:00", "12:15")), "AU", "NSW"
    )
    return (
        ClientPlan(
            "acme",
            acme.zone,
            acme,
            RotationPlan("Europe/Berlin", EVERYDAY, NAMES["acme"][:3]),
            (StepPlan("schedule", 300), StepPlan("person", 600, "Dieter"), StepPlan("owner", 900)),
            again=30,
            lead="Anna",
        ),
        ClientPlan(
            "borealis",
            borealis.zone,
            borealis,
            RotationPlan("America/New_York", datetime.fromisoformat("2026-01-04T02:30"), NAMES["borealis"]),
            (StepPlan("schedule", 300), StepPlan("schedule", 420), StepPlan("owner", 900)),
            lead="Ellen",
        ),
        ClientPlan(
            "coral",
            coral.zone,
            coral,
            RotationPlan("Australia/Sydney", datetime.fromisoformat("2026-01-04T02:30"), NAMES["coral"][:3]),
            (StepPlan("schedule", 240), StepPlan("owner", 600)),
            repeat=2,
            lead="Isla",
        ),
    )


SYSTEMS = {
    "acme": ("helpdesk", "contracts", "search", "pricing"),
    "borealis": ("claims", "fraud", "voice"),
    "coral": ("booking", "weather", "translate"),
}


def _systems(people: tuple[PersonPlan, ...]) -> tuple[SystemPlan, ...]:
    return tuple(
        SystemPlan(
            client,
            f"{client}-{name}",
            "enterprise" if place % 2 else "standard",
            NAMES[client][place] if place < 2 else "",
        )
        for client, names in SYSTEMS.items()
        for place, name in enumerate(names)
    )


ALERTS = ("ErrorRate", "Latency", "Groundedness", "Spend", "QueueDepth", "Drift")
INSTANCES = ("a", "b", "c", "d", "e", "f", "g", "h")
Place = tuple[SystemPlan, str]


def _alerts(
    rng: Random, systems: tuple[SystemPlan, ...], start: datetime, end: datetime, count: int
) -> Iterator[AlertPlan]:
    """Alone, several instances at once, storms over several systems, and now and then one that flaps. No two of one
    system and name at once."""
    span = (end - start - 2 * HOUR).total_seconds()
    times: list[datetime] = []
    while len(times) < count:
        at = start + HOUR + timedelta(seconds=round(rng.uniform(0, span), 3))
        times += [
            at + timedelta(seconds=round(20 * n * rng.random(), 3)) for n in range(4 if rng.random() < 0.05 else 1)
        ]
    busy: dict[Place, datetime] = {}
    number = 0
    for at in _enough(rng, times, count):
        free = [(one, name) for one in systems for name in ALERTS if busy.get((one, name), start) <= at]
        place = rng.choice(free)
        for alert in _together(rng, number, place, at, end):
            if number == count:
                return
            busy[place] = max(busy.get(place, start), alert.end + 2 * MINUTE)
            number += 1
            yield alert


def _enough(rng: Random, times: list[datetime], count: int) -> list[datetime]:
    """About one in two: what happens at one of them is two alerts on average."""
    return sorted(rng.sample(times, max(1, round(count * 0.62))))


def _together(rng: Random, number: int, place: Place, at: datetime, end: datetime) -> Iterator[AlertPlan]:
    """The alerts of one happening: one instance, several, or one that comes and goes five times."""
    severity = rng.choices(("P1", "P2", "P3"), (20, 45, 35))[0]
    if rng.random() < 0.008:
        for n in range(5):
            over = at + timedelta(seconds=round(rng.uniform(20, 60), 3))
            yield AlertPlan(number + n, *place, INSTANCES[0], severity, at, over, ())
            at = over + timedelta(seconds=40)
        return
    lasts = timedelta(seconds=round(min(rng.lognormvariate(7.2, 1.2), 12 * 3600), 3))
    if rng.random() < 0.05:
        lasts = timedelta(seconds=round(rng.uniform(3, 60), 3))  # perhaps over before anybody was told
    over = min(at + lasts, end + HOUR)
    repeats = tuple(sorted(at + (over - at) * rng.random() for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))))
    graver = repeats[0] if repeats and severity != "P1" and rng.random() < 0.06 else None
    many = rng.choice((3, 4, 5, 6, 8)) if rng.random() < 0.25 else 1
    for n, instance in enumerate(rng.sample(INSTANCES, many)):
        last = over if n % 2 == 0 else at + (over - at) * 0.9
        told = tuple(one for one in repeats if one < last)
        yield AlertPlan(number + n, *place, instance, severity, at, last, told, graver)


def _overrides(rng: Random, clients: tuple[ClientPlan, ...], start: datetime, end: datetime) -> Iterator[OverridePlan]:
    """About one a week and client; some cover whoever it is, some last over a handoff."""
    for client in clients:
        at = start
        while True:
            at += timedelta(seconds=round(rng.expovariate(1 / (5 * 86400))))
            begins = at + timedelta(seconds=round(rng.uniform(60, 3 * 86400)))
            until = begins + timedelta(seconds=round(rng.uniform(2 * 3600, 60 * 3600)))
            if until >= end:
                break
            person, absent = rng.sample(client.rotation.members, 2)
            kind = rng.choices(("replace", "cover", "add", "remove"), (45, 30, 15, 10))[0]
            yield OverridePlan(client.slug, kind, at, begins, until, absent, person)


def _silences(rng: Random, systems: tuple[SystemPlan, ...], start: datetime, end: datetime) -> Iterator[SilencePlan]:
    at = start
    while True:
        at += timedelta(seconds=round(rng.expovariate(1 / (1.5 * 86400))))
        until = at + timedelta(seconds=round(rng.uniform(600, 8 * 3600)))
        if until >= end:
            return
        system = rng.choice(systems)
        yield SilencePlan(system.client, at, until, system.key, rng.choice(ALERTS))


KINDS = ("email", "sms", "chat")
WAYS = ("refuses", "breaks", "hangs", "late")


def _outages(rng: Random, start: datetime, end: datetime) -> Iterator[OutagePlan]:
    for kind in KINDS:
        at = start
        while True:
            at += timedelta(seconds=round(rng.expovariate(1 / (2 * 86400))))
            until = at + timedelta(seconds=round(rng.choice((rng.uniform(20, 300), rng.uniform(300, 5400)))))
            if until >= end:
                break
            yield OutagePlan(kind, at, until, rng.choice(WAYS))
