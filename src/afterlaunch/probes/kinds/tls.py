"""A TLS server's certificate: its chain, its names, and the days that are left of it."""

from __future__ import annotations

import ssl
import time
from datetime import timedelta
from typing import Any

from cryptography import x509

from afterlaunch.ground.outbound import Unreachable, connected
from afterlaunch.probes.kinds.kind import Config, Context, NoCredential, host, read, reference, text, whole
from afterlaunch.probes.outcomes import Check, Outcome, Result, failed

FIELDS = {
    "host": host(),
    "port": whole(1, 65_535, 443),
    "server_name": text(253, "the name that the certificate must be for, where it is not the host"),
    "days": whole(0, 825, 14),
    "ca": reference(),
}
EXPIRED, WRONG_NAME, WRONG_ADDRESS = 10, 62, 64  # X509_V_ERR_*
DAY = timedelta(days=1)


class Tls:
    name, label = "tls", "TLS certificate"
    reaches, secrets = ("host", "port", "ca"), ("ca",)

    def check(self, config: Config) -> dict[str, Any]:
        return read(config, FIELDS)

    def subject(self, config: Config) -> str:
        return f"{config['host']}:{config['port']}"

    def run(self, config: Config, context: Context) -> Outcome:
        began = time.monotonic()
        trouble: ssl.SSLCertVerificationError | None = None
        try:
            leaf = self._leaf(config, context, _verifying(config["ca"]))
        except ssl.SSLCertVerificationError as problem:
            trouble, leaf = problem, self._leaf(config, context, _any_certificate())
        except ssl.SSLError as problem:
            return failed("not_tls", f"The handshake failed: {problem.reason or problem}.")
        spent = (time.monotonic() - began) * 1_000
        return _judged(config, context, leaf, trouble, spent)

    def _leaf(self, config: Config, context: Context, way: ssl.SSLContext) -> x509.Certificate:
        with connected(config["host"], config["port"], context.seconds, context.trusted) as line:
            raw = line.secured(way, config["server_name"] or config["host"])
        if raw is None:
            raise Unreachable(f"{config['host']}: it sent no certificate")
        return x509.load_der_x509_certificate(raw)


def _verifying(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:
        from afterlaunch.probes.kinds.kind import secret

        try:
            context.load_verify_locations(cadata=secret(ca))
        except ssl.SSLError:
            raise NoCredential("What `ca` names holds no certificates in PEM.") from None
    return context


def _any_certificate() -> ssl.SSLContext:
    """To look at a certificate that is not trusted; nothing is sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _judged(
    config: Config, context: Context, leaf: x509.Certificate, trouble: ssl.SSLCertVerificationError | None, spent: float
) -> Outcome:
    ends = leaf.not_valid_after_utc
    left = (ends - context.at) / DAY
    code = trouble.verify_code if trouble else 0
    named = code not in (WRONG_NAME, WRONG_ADDRESS)
    chain = code in (0, WRONG_NAME, WRONG_ADDRESS, EXPIRED)
    checks = [
        Check("chain", chain, "The chain is trusted." if chain else f"The chain is not trusted: {trouble}."[:300]),
        Check("name", named, "It is for this name." if named else f"It is for {', '.join(_names(leaf)) or 'no name'}."),
        Check("days", left >= config["days"], f"It ends on {ends:%Y-%m-%d}: {left:.1f} days are left."),
    ]
    facts = {"days_left": round(left, 2), "ends": ends.isoformat(), "issuer": _common_name(leaf.issuer)}
    if all(check.ok for check in checks):
        return Outcome(Result.OK, milliseconds=spent, checks=checks, facts=facts)
    reason = "not_trusted" if not chain else "wrong_name" if not named else "expired" if left <= 0 else "expires"
    said = next(check.said for check in checks if not check.ok)
    return failed(reason, said, spent, checks=checks, facts=facts)


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(one.value) for one in found][:5]


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value)[:100] if found else ""
