"""The policies of a route as a worker holds them: compiled once for each configuration."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from afterlaunch.contracts.guard import ASKED, Policy
from afterlaunch.gateway.guarding.checks import Test, redact_of, test_of
from afterlaunch.gateway.guarding.reading import Redact


@dataclass(frozen=True)
class Rule:
    policy: Policy
    test: Test | None  # None: a service is asked
    redact: Redact | None


@dataclass(frozen=True)
class Guard:
    """The policies of one route, ready. `mark` tells one set of them from another."""

    asked: tuple[Rule, ...]
    answered: tuple[Rule, ...]
    mark: bytes


def guard_of(policies: tuple[Policy, ...]) -> Guard:
    rules = tuple(
        Rule(
            one,
            None if one.check.kind == "http" else test_of(one.check, every=one.action == "allow"),
            redact_of(one.name, one.check) if one.action == "redact" else None,
        )
        for one in policies
    )
    asked = tuple(one for one in rules if one.policy.where in ASKED)
    answered = tuple(one for one in rules if one.policy.where not in ASKED)
    return Guard(asked, answered, hashlib.blake2b(orjson.dumps(policies), digest_size=8).digest())
