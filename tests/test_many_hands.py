"""Many writers at once, on PostgreSQL: `test_postgres.py` runs this file there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.db import connection, transaction

from afterlaunch.accounts.models import Client, Grant, User
from afterlaunch.budgets.actions import Values, put_budget
from afterlaunch.budgets.counting import take
from afterlaunch.budgets.models import Count, Pot
from afterlaunch.budgets.sharing import draw
from afterlaunch.data_contracts.contract import read
from afterlaunch.data_contracts.verdicts import Report
from afterlaunch.datasets.actions import put_contract, receive
from afterlaunch.datasets.models import Check, Dataset, Standing
from afterlaunch.datasets.outcomes import of_report
from afterlaunch.engine.duties import Duty, claim
from afterlaunch.estate.models import System
from afterlaunch.evidence.checkpoints import verifier_key
from afterlaunch.evidence.log import record
from afterlaunch.evidence.models import Entry, Head
from afterlaunch.evidence.verify import check
from afterlaunch.ground import clock
from afterlaunch.ground.actors import automation
from afterlaunch.ground.errors import Conflict
from afterlaunch.incidents.actions import open_incident
from afterlaunch.incidents.models import Incident
from afterlaunch.notify.models import ContactMethod, Page
from afterlaunch.notify.sending import claim as claim_pages
from afterlaunch.retraining import duties as retraining
from afterlaunch.retraining.actions import put_policy
from afterlaunch.retraining.models import Run
from afterlaunch.retraining.pipelines import PIPELINES
from afterlaunch.retraining.pipelines.words import Order, Started
from afterlaunch.routes.models import Budget
from afterlaunch.verdicts.models import Verdict

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor == "sqlite", reason="the tests' SQLite in memory has one hand: PostgreSQL only"
    ),
]
T = TypeVar("T")
HANDS = 6
CONTRACT = """\
apiVersion: afterlaunch/v1
kind: DataContract
metadata: {name: orders, owner: shop}
spec: {columns: [{name: id}]}
"""


def at_once(deed: Callable[[int], T]) -> list[T]:
    """Every hand in a thread and a connection of its own."""

    def with_own_connection(number: int) -> T:
        try:
            return deed(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(HANDS) as pool:
        return list(pool.map(with_own_connection, range(HANDS)))


@pytest.fixture
def system() -> Iterator[System]:
    now = clock.now()
    client = Client.objects.create(slug="acme", name="Acme", created_at=now)
    admin = User.objects.create_user("ada@example.org", "Ada")
    Grant.objects.create(user=admin, role="admin", client=None)
    ContactMethod.objects.create(user=admin, kind="email", address=admin.email, created_at=now, verified_at=now)
    yield System.objects.create(client=client, key="desk", name="Desk")


def test_the_evidence_stays_one_chain() -> None:
    def write(number: int) -> None:
        for turn in range(5):
            with transaction.atomic():
                record(automation(f"hand {number}"), "test.done", f"thing/{turn}", None, {"turn": turn})

    at_once(write)
    bodies = [bytes(body) for body in Entry.objects.order_by("index").values_list("body", flat=True)]
    assert len(bodies) == Head.objects.get().size == HANDS * 5
    assert check(bodies, [], verifier_key()).problems == ("there are entries but no signed checkpoint",)


def test_one_fingerprint_opens_one_incident_and_pages_once(system: System) -> None:
    opened = at_once(lambda _: open_incident(
        automation("engine"), system=system, environment="prod", title="Bad answers", severity="P1", summary="",
        fingerprint="one", detected_at=clock.now(), occurred_at=None,
    ).pk)  # fmt: skip
    assert len(set(opened)) == 1 == Incident.objects.count() == Page.objects.count()


def test_a_page_and_a_duty_have_one_holder(system: System) -> None:
    open_incident(
        automation("engine"), system=system, environment="prod", title="Bad answers", severity="P1", summary="",
        fingerprint="one", detected_at=clock.now(), occurred_at=None,
    )  # fmt: skip
    held = at_once(lambda _: len(claim_pages(clock.now(), 8)))
    assert sum(held) == 1
    duty = Duty("test.duty", 5, lambda _: None)
    assert sum(at_once(lambda number: claim(duty, f"hand {number}", clock.now()))) == 1


def test_a_gateways_tellings_may_arrive_in_any_order_and_at_once(system: System) -> None:
    budget = put_budget(automation("ops"), system.client, "tenants", Values("tokens", 1_000, "once", {"tenant": "*"}))
    at = clock.real()

    def tell(number: int) -> None:
        for turn in range(4):
            one = {"budget": str(budget.pk), "window_start": 0, "at": at + number + turn, "used": number + turn}
            counters = [one | {"counter": f"tenant={name}"} for name in range(20)]
            take(automation("gateway"), f"g{number % 2}", counters if number % 3 else counters[::-1])

    at_once(tell)
    found = {(one.gateway, one.used) for one in Count.objects.all()}
    assert found == {("g0", HANDS + 1), ("g1", HANDS + 2)}
    assert Count.objects.count() == 40


def test_of_many_who_make_a_budget_of_one_name_there_is_one(system: System) -> None:
    def make(number: int) -> str:
        try:
            put_budget(automation(f"hand {number}"), system.client, "one", Values("tokens", 1_000 + number, "day"))
        except Conflict:
            return "told"
        return "made"

    assert "made" in at_once(make)
    assert Budget.objects.filter(ended_at=None).count() == 1


def test_of_many_engines_one_starts_a_pipeline_once(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {
        "pipeline": {"kind": "webhook", "url": "https://ci.example.org", "secret": "env:HOOK"},
        "triggers": [{"name": "worse", "when": [{"judge": "drift.input"}]}],
    }
    for number in range(3):
        put_policy(automation("test"), system, f"model {number}", spec)
    now = clock.now()
    place = {"client": "acme", "system": "desk", "environment": "prod", "judge": "drift.input"}
    Verdict.objects.create(**place, severity="P2", status="breach", reason="x", since=now, assessed_at=now)
    orders = list[str]()
    monkeypatch.setenv("HOOK", "whsec_" + "c2VjcmV0" * 5)

    def start(ask: object, config: object, secret: str, order: Order) -> Started:
        orders.append(order.key)
        return Started()

    monkeypatch.setattr(PIPELINES["webhook"], "start", start)

    def pass_of_an_engine(number: int) -> None:
        for _ in range(3):
            retraining.decide_all(clock.now())
            retraining.work(clock.now())

    at_once(pass_of_an_engine)
    assert sorted(orders) == sorted(Run.objects.values_list("key", flat=True)) and len(orders) == 3
    assert set(Run.objects.values_list("state", flat=True)) == {"running"}


def test_a_delivery_that_is_sent_by_many_at_once_is_taken_once(system: System) -> None:
    put_contract(automation("test"), system, CONTRACT)
    dataset = Dataset.objects.get()
    found = of_report(Report(read(CONTRACT), rows=100, clean=100))

    def send(number: int) -> bool:
        return receive(automation("test"), dataset, "prod", "digest", "", "pipeline", lambda *given: found)[1]

    assert sorted(at_once(send)) == [False] * (HANDS - 1) + [True]
    assert Check.objects.count() == Standing.objects.get().deliveries == 1


def test_gateways_that_draw_at_once_never_get_more_than_the_limit() -> None:
    values = Values("tokens", 50_000, "once", {"tenant": "*"}, fed="gateways", thresholds=(), forecast=False)
    budget = put_budget(automation("house"), None, "together", values)

    def ask_until_nothing_comes(number: int) -> int:
        held, dry = 0, 0
        while dry < 3:
            want = {"budget": str(budget.pk), "counter": "tenant=a", "window_start": 0, "held": held, "tries": 2}
            share = draw(automation("gateway"), f"host/{number}", [want])[0]["share"]
            held, dry = share, dry + (share == held)
        return held

    assert sum(at_once(ask_until_nothing_comes)) == budget.limit == Pot.objects.get(budget=budget).given
