"""Sign what the log holds, never against what was signed before.

The last signed checkpoint is kept outside the database too, in the data folder: a log that was cut or rewritten in
the database does not agree with it any more, and nothing is signed until somebody has looked.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from afterlaunch.evidence import notes
from afterlaunch.evidence.log import split_peaks
from afterlaunch.evidence.models import Entry, Head, SignedCheckpoint
from afterlaunch.evidence.tree import root, root_of_peaks
from afterlaunch.ground.errors import Conflict
from afterlaunch.ground.settings import settings

ORIGIN = "afterlaunch.dev/evidence"


def folder() -> Path:
    path = settings().data / "evidence"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def private_key() -> Ed25519PrivateKey:
    """Made at first need, kept in the data folder, readable by us alone."""
    file = folder() / "key"
    if not file.exists():
        _write(file, Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(file.read_bytes())


def origin() -> str:
    """Each installation has its own: the beginning of its key's digest tells logs apart."""
    file = folder() / "origin"
    if not file.exists():
        _write(file, f"{ORIGIN}/{secrets.token_hex(4)}".encode())
    return file.read_text()


def verifier_key() -> notes.VerifierKey:
    return notes.verifier_key(origin(), private_key())


def _write(file: Path, data: bytes) -> None:
    temporary = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    temporary.touch(mode=0o600)
    temporary.write_bytes(data)
    temporary.replace(file)


@transaction.atomic
def sign(now: datetime) -> SignedCheckpoint | None:
    """Sign the present tree if it has grown. Raises Conflict when it contradicts the last signed one."""
    head = Head.objects.select_for_update().filter(pk=1).first()
    last = SignedCheckpoint.objects.first()
    if head is None or not head.size or (last and last.size == head.size):
        return last
    known = _last_outside()
    if known and (known.size > head.size or root(_leaves(known.size)) != known.root):
        raise Conflict(
            f"The evidence log contradicts its signed checkpoint of {known.size} entries; nothing more is signed.",
            "Run `afterlaunch verify` and compare with an exported copy.",
        )
    made = notes.Checkpoint(origin(), head.size, root_of_peaks(split_peaks(head.peaks)))
    note = notes.sign(made.text(), made.origin, private_key())
    signed = SignedCheckpoint.objects.create(size=head.size, note=note, signed_at=now)
    transaction.on_commit(lambda: _write(folder() / "checkpoint", note.encode()))
    return signed


def _last_outside() -> notes.Checkpoint | None:
    file = folder() / "checkpoint"
    if not file.exists():
        return None
    return notes.parse_checkpoint(notes.verify(file.read_text(), [verifier_key()])[0])


def _leaves(size: int) -> list[bytes]:
    return [
        bytes(leaf) for leaf in Entry.objects.filter(index__lt=size).order_by("index").values_list("leaf", flat=True)
    ]


def sign_when_grown(now: datetime) -> None:
    """The duty."""
    sign(now)
