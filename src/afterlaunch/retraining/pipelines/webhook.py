"""A signed webhook after Standard Webhooks 1.0.0; the receiver tells by the callback how it went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from afterlaunch.ground import clock
from afterlaunch.ground.errors import Invalid
from afterlaunch.notify.webhook.signing import sign
from afterlaunch.retraining.pipelines.words import Ask, Order, Seen, Started, require


class Webhook:
    repeatable = True

    def start(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order) -> Started:
        body = orjson.dumps({"type": "retraining.requested", "timestamp": order.at.isoformat(), "data": order.told})
        stamp = int(clock.real())  # in the receiver's time
        try:
            signature = sign(secret, order.key, stamp, body)
        except ValueError as problem:
            raise Invalid(f"The secret cannot sign: {problem}.") from problem
        headers = {
            "Content-Type": "application/json",
            "webhook-id": order.key,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature,
            "Idempotency-Key": order.key,
        }
        require(ask("POST", config["url"], headers, body), "The webhook", 200, 201, 202, 204)
        return Started()

    def look(self, ask: Ask, config: Mapping[str, Any], secret: str, order: Order, external: str) -> Seen | None:
        return None
