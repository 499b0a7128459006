from __future__ import annotations

import orjson

from afterlaunch.ground import clock
from afterlaunch.ground.outbound import Refused, Unreachable, check_address, post
from afterlaunch.notify.kinds import Kind, Message
from afterlaunch.notify.rules import Outcome, judge_status
from afterlaunch.notify.webhook import signing


class Webhook(Kind):
    name, label = "webhook", "Webhook"
    for_people = for_channels = True
    bundles = False
    address_label, example = "Address", "https://example.com/hooks/afterlaunch"

    def medium(self, address: str) -> str:
        return "machine"

    def check(self, address: str) -> str:
        check_address(address)
        return address

    def new_secret(self) -> str:
        return signing.new_secret()

    def send(self, message: Message) -> Outcome:
        body = orjson.dumps(
            {
                "type": message.type,
                "timestamp": clock.now().isoformat(),
                "data": {
                    **message.data,
                    "title": message.title,
                    "severity": message.severity,
                    "lines": list(message.lines),
                    "url": message.url,
                    "acknowledge_url": message.acknowledge_url,
                },
            }
        )
        stamp = int(clock.real())  # of this attempt, in the receiver's time: a demo's clock would be refused
        headers = [
            ("Content-Type", "application/json"),
            ("webhook-id", message.key),
            ("webhook-timestamp", str(stamp)),
            ("webhook-signature", signing.sign(message.secret, message.key, stamp, body)),
        ]
        try:
            answer = post(message.to, body, headers)
        except Refused as problem:
            return Outcome("permanent", problem.message)
        except Unreachable as problem:
            return Outcome("temporary", str(problem))
        return judge_status(answer.status, answer.body, answer.headers.get("retry-after"))
