"""Real servers on loopback for probes to try: HTTP, TCP, TLS with certificates of our own, and DNS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Said:
    status: int = 200
    body: bytes = b"fine"
    headers: dict[str, str] = field(default_factory=dict)
    slow: float = 0.0
    drip: float = 0.0


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Web:
    """Answers with `answer(request)`; remembers what it was asked."""

    url: str = ""
    answer: Callable[[Asked], Said] = lambda _: Said()
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def web(answer: Callable[[Asked], Said] = lambda _: Said()) -> Iterator[Web]:
    told = Web(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length))
            told.asked.append(asked)
            said = told.answer(asked)
            time.sleep(said.slow)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            try:
                for at in range(len(said.body)) if said.drip else ():
                    self.wfile.write(said.body[at : at + 1])
                    self.wfile.flush()
                    time.sleep(said.drip)
                if not said.drip and self.command != "HEAD":
                    self.wfile.write(said.body)
            except OSError:
                pass

        do_GET = do_HEAD = do_POST = _take

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def tcp(greeting: bytes = b"", context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port that accepts, says its greeting and echoes one line."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_talk, args=(line, greeting, context), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


def _talk(line: socket.socket, greeting: bytes, context: ssl.SSLContext | None) -> None:
    try:
        with context.wrap_socket(line, server_side=True) if context else line as talk:
            talk.sendall(greeting)
            if said := talk.recv(1_000):
                talk.sendall(b"echo " + said)
    except OSError:
        line.close()


class Authority:
    """A root of our own, and servers' certificates under it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A root of tests")])
        self._root = self._sign(self._name, self._key, None, timedelta(days=900))
        self.file = folder / "root.pem"
        self.file.write_bytes(self._root.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, host: str | None, left: timedelta
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=100))
            .not_valid_after(now + left)
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if host is None:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            made = made.add_extension(usage, critical=True)
        else:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            made = made.add_extension(issuer, critical=False)
        return made.sign(self._key, hashes.SHA256())

    def server(self, host: str, left: timedelta) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        leaf = self._sign(name, key, host, left).public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"{host}-{left.days}.pem"
        file.write_bytes(leaf + secret)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@contextmanager
def name_server(records: dict[tuple[str, str], list[str]], rcode: int = 0, answers: bool = True) -> Iterator[int]:
    """A DNS responder over UDP. A name that it does not have does not exist."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, sender = listening.recvfrom(4_096)
            except OSError:
                return
            question = dns.message.from_wire(raw)
            answer = dns.message.make_response(question)
            answer.flags |= dns.flags.AA
            asked = question.question[0]
            key = asked.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(asked.rdtype)
            if rcode:
                answer.set_rcode(dns.rcode.Rcode(rcode))
            elif key in records:
                answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", key[1], *records[key]))
            elif not any(name == key[0] for name, _ in records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            if answers:
                listening.sendto(answer.to_wire(), sender)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
