"""A record of the DNS, from this machine's name servers or from one that is named."""

from __future__ import annotations

import time
from typing import Any

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from afterlaunch.ground.errors import Invalid
from afterlaunch.ground.outbound import address_of
from afterlaunch.probes.kinds.kind import Config, Context, Field, one_of, read, text, texts, whole
from afterlaunch.probes.outcomes import Check, Outcome, Result, failed, not_run

TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")


def _domain(value: Any) -> str:
    try:
        return dns.name.from_text(str(value).strip()).to_text(omit_final_dot=True)
    except dns.exception.DNSException:
        raise ValueError(value) from None


FIELDS = {
    "name": Field("a name, such as api.example.org", _domain, needed=True),
    "type": one_of(*TYPES, default="A"),
    "expect": texts(),
    "how": one_of("includes", "exactly", default="includes"),
    "server": text(253, "the address of a name server"),
    "port": whole(1, 65_535, 53),
}


class Dns:
    name, label = "dns", "DNS"
    reaches, secrets = ("server", "port"), ()

    def check(self, config: Config) -> dict[str, Any]:
        taken = read(config, FIELDS)
        if taken["how"] == "exactly" and not taken["expect"]:
            raise Invalid("A probe that expects records exactly must say which.")
        return taken

    def subject(self, config: Config) -> str:
        return f"{config['type']} {config['name']}"

    def run(self, config: Config, context: Context) -> Outcome:
        resolver = _resolver(config, context)
        if resolver is None:
            return not_run("name_server", "This machine has no name servers set up.")
        began = time.monotonic()
        try:
            answer = resolver.resolve(config["name"], config["type"], lifetime=context.seconds, search=False)
        except dns.resolver.LifetimeTimeout:
            return failed("timed_out", f"There was no answer within {context.seconds:g} s.")
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as problem:
            return failed("no_record", f"{problem}"[:300], _since(began))
        except dns.exception.DNSException as problem:
            return failed("name_server", f"{problem}"[:300], _since(began))
        found = sorted(_written(one, config["type"]) for one in answer)
        spent = _since(began)
        ttl = answer.rrset.ttl if answer.rrset is not None else None
        return _judged(config, found, spent, {"records": found[:20], "ttl": ttl})


def _since(began: float) -> float:
    return (time.monotonic() - began) * 1_000


def _resolver(config: Config, context: Context) -> dns.resolver.Resolver | None:
    if config["server"]:
        made = dns.resolver.Resolver(configure=False)
        made.nameservers = [address_of(config["server"], config["port"], context.trusted)]
        made.port = config["port"]
        return made
    try:
        return dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return None


def _written(record: Any, kind: str) -> str:
    """As people write it: names without the last dot, in small letters; the strings of a TXT put together."""
    if kind == "TXT":
        return b"".join(record.strings).decode("utf-8", "replace")
    return " ".join(part.removesuffix(".") for part in record.to_text().split(" ")).lower()


def _plain(expected: str, kind: str) -> str:
    return expected if kind == "TXT" else " ".join(part.removesuffix(".") for part in expected.lower().split())


def _judged(config: Config, found: list[str], spent: float, facts: dict[str, Any]) -> Outcome:
    wanted = [_plain(one, config["type"]) for one in config["expect"]]
    said = ", ".join(found)[:300] or "nothing"
    if not wanted:
        return Outcome(Result.OK, milliseconds=spent, facts=facts)
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    ok = not missing and (config["how"] == "includes" or not extra)
    check = Check("records", ok, f"It answers {said}." + (f" Missing: {', '.join(missing)[:200]}." if missing else ""))
    if ok:
        return Outcome(Result.OK, milliseconds=spent, checks=[check], facts=facts)
    return failed("wrong_record", check.said, spent, checks=[check], facts=facts)
