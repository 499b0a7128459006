from __future__ import annotations

from afterlaunch.ground.outbound import check_address
from afterlaunch.notify.json_calls import call
from afterlaunch.notify.kinds import Kind, Message
from afterlaunch.notify.rules import Outcome, judge_status
from afterlaunch.notify.teams.card import document


class Teams(Kind):
    name, label = "teams", "Microsoft Teams"
    address_label, example = "Workflow's webhook", "https://….logic.azure.com/workflows/…"
    for_people = for_channels = True

    def check(self, address: str) -> str:
        check_address(address)
        return address

    def send(self, message: Message) -> Outcome:
        answer = call(message.to, document(message))
        if isinstance(answer, Outcome):
            return answer
        return judge_status(answer.status, answer.body, answer.headers.get("retry-after"))
