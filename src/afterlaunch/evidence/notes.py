"""C2SP signed notes and checkpoints with Ed25519. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 1
MAX_SIGNATURES = 64


class BadNote(Exception):
    """The note, checkpoint or proof does not hold; the text says why."""


@dataclass(frozen=True)
class VerifierKey:
    """`name+hex(id)+base64(0x01 || public key)`."""

    name: str
    key_id: bytes
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        try:
            name, key_id, key = text.strip().split("+", 2)
            raw, told = base64.b64decode(key, validate=True), bytes.fromhex(key_id)
        except (ValueError, binascii.Error) as problem:
            raise BadNote(f"{text!r} is no verifier key") from problem
        if not name or len(raw) != 33 or raw[0] != ED25519 or told != _key_id(name, raw[1:]):
            raise BadNote(f"{text!r} is no verifier key")
        return cls(name, told, raw[1:])

    def text(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([ED25519]) + self.public).decode()}"


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([ED25519]) + public).digest()[:4]


def verifier_key(name: str, private: Ed25519PrivateKey) -> VerifierKey:
    public = private.public_key().public_bytes_raw()
    return VerifierKey(name, _key_id(name, public), public)


def sign(text: str, name: str, private: Ed25519PrivateKey) -> str:
    """`text` ends with a newline; the note is the text, an empty line, and one signature line."""
    signature = verifier_key(name, private).key_id + private.sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(signature).decode()}\n"


def verify(note: str, known: Sequence[VerifierKey]) -> tuple[str, list[str]]:
    """(text, names of the known keys that signed it). Unknown keys are ignored; a known key that fails refuses the
    note, and so does a note that no known key signed. Raises BadNote."""
    text, separator, lines = note.rpartition("\n\n")
    text += "\n"
    if not separator or not lines.endswith("\n") or any(ord(c) < 32 and c != "\n" for c in note):
        raise BadNote("the note is not well formed")
    signatures = lines[:-1].split("\n")
    if len(signatures) > MAX_SIGNATURES:
        raise BadNote("the note has too many signatures")
    keys = {(key.name, key.key_id): key for key in known}
    signed = [name for line in signatures if (name := _signer(line, text, keys)) is not None]
    if not signed:
        raise BadNote("no known key signed the note")
    return text, signed


def _signer(line: str, text: str, keys: dict[tuple[str, bytes], VerifierKey]) -> str | None:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raw = b""
    if dash != "—" or not name or "+" in name or len(raw) < 5:
        raise BadNote("a signature line is not well formed")
    key = keys.get((name, raw[:4]))
    if key is None:
        return None
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw[4:], text.encode())
    except InvalidSignature:
        raise BadNote(f"the signature of {name} does not verify") from None
    return name


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Raises BadNote."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[0] or lines[-1] or "" in lines[:-1]:
        raise BadNote("this is no checkpoint")
    origin, size, root = lines[:3]
    if not (size.isascii() and size.isdigit()) or (size != "0" and size.startswith("0")):
        raise BadNote("the checkpoint's size is not a plain number")
    try:
        raw = base64.b64decode(root, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise BadNote("the checkpoint's root is no SHA-256")
    return Checkpoint(origin, int(size), raw)


def write_proof(index: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """c2sp.org/tlog-proof@v1."""
    hashes = "".join(base64.b64encode(one).decode() + "\n" for one in proof)
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n{checkpoint}"
