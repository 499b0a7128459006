"""Bytes under their hash, in the data folder."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from afterlaunch.ground.errors import TooLarge, Unavailable
from afterlaunch.ground.settings import settings
from afterlaunch.incidents.files.rules import HEAD


def folder() -> Path:
    return settings().data / "incident-files"


def place(sha256: str) -> Path:
    return folder() / sha256[:2] / sha256


@dataclass(frozen=True)
class Kept:
    size: int
    sha256: str
    head: bytes
    temporary: Path

    def settle(self) -> Path:
        """Give it its name; the same bytes twice are one file."""
        final = place(self.sha256)
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.temporary.replace(final)
        return final

    def forget(self) -> None:
        self.temporary.unlink(missing_ok=True)


def take(chunks: Iterable[bytes], most: int) -> Kept:
    """Write and hash at once, on disk before it returns. Raises TooLarge, Unavailable."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder() / f"incoming-{secrets.token_hex(8)}"
    size, digest, head = 0, hashlib.sha256(), b""
    try:
        with temporary.open("xb") as file:
            os.chmod(temporary, 0o600)
            for chunk in chunks:
                size += len(chunk)
                if size > most:
                    raise TooLarge(f"A file may have at most {most // 2**20} MiB.", "Pack it, or cut it.")
                digest.update(chunk)
                head = head if len(head) >= HEAD else (head + chunk)[:HEAD]
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise Unavailable(f"The file could not be kept: {problem.strerror}.", "Is the disk full?") from problem
    except TooLarge:
        temporary.unlink(missing_ok=True)
        raise
    return Kept(size, digest.hexdigest(), head, temporary)


def read(sha256: str) -> bytes:
    """The bytes, checked against their hash. Raises Unavailable when they are gone or altered."""
    try:
        data = place(sha256).read_bytes()
    except OSError as problem:
        raise Unavailable("The file is not in the data folder.", "Restore the folder incident-files.") from problem
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Unavailable("The file was altered: its hash does not fit.", "Restore the folder incident-files.")
    return data
