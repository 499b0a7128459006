from __future__ import annotations

from collections.abc import Mapping

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.outbound import check_address
from afterlaunch.ground.settings import settings
from afterlaunch.notify.json_calls import call, document_in
from afterlaunch.notify.kinds import Entry, Kind, Message
from afterlaunch.notify.pagerduty.events import ACTIONS, event
from afterlaunch.notify.rules import Outcome, judge_status

ENQUEUE = "https://events.pagerduty.com/v2/enqueue"


class PagerDuty(Kind):
    name, label = "pagerduty", "PagerDuty"
    address_label, example = "Address of the Events API", ENQUEUE
    for_channels = True
    bundles = False
    ordered = True
    entries = (
        Entry("routing_key", "Integration key", secret=True, help="of an Events API v2 integration"),
        Entry(
            "webhook_secret", "Webhook's signing secret", secret=True, needed=False,
            help="of a v3 webhook subscription to /hooks/pagerduty; two while you change it, by a comma",
        ),
        Entry("relays_people", "What somebody does there counts here", default="yes", needed=False, help="yes or no"),
    )  # fmt: skip

    def medium(self, address: str) -> str:
        return "machine"

    def takes(self, type: str) -> bool:
        return type in ACTIONS

    def check(self, address: str) -> str:
        address = address or ENQUEUE
        check_address(address)
        return address

    def check_entries(self, values: Mapping[str, str]) -> None:
        if not 1 <= len(values.get("routing_key", "")) <= 64:
            raise Invalid("An integration key has 1 to 64 characters.", "Copy it from the service's integration.")

    def send(self, message: Message) -> Outcome:
        """A test is an incident there that is resolved at once."""
        told = event(message, settings().public_url)
        outcome = _enqueue(message.to, told)
        if message.type == "test" and outcome.result == "accepted":
            names = ("routing_key", "dedup_key")
            return _enqueue(message.to, {"event_action": "resolve", **{name: told[name] for name in names}})
        return outcome


def _enqueue(url: str, document: Mapping[str, object]) -> Outcome:
    """PagerDuty asks to repeat 429 and 5xx only."""
    answer = call(url, document)
    if isinstance(answer, Outcome):
        return answer
    judged = judge_status(answer.status, answer.body, answer.headers.get("retry-after"))
    if judged.result == "temporary" and answer.status != 429 and answer.status < 500:
        return Outcome("permanent", judged.why)
    told = document_in(answer)
    if judged.result == "accepted" and told.get("status", "success") != "success":
        return Outcome("permanent", f"answered {answer.status} with status {told['status']!r}")
    return judged
