"""What a file is, told by its bytes; and under which name it may be kept. Pure."""

from __future__ import annotations

import re
import unicodedata

from afterlaunch.ground.errors import Unsupported

HEAD = 4096
_BEGINS: tuple[tuple[bytes, str, tuple[str, ...]], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png", (".png",)),
    (b"\xff\xd8\xff", "image/jpeg", (".jpg", ".jpeg")),
    (b"GIF87a", "image/gif", (".gif",)),
    (b"GIF89a", "image/gif", (".gif",)),
    (b"%PDF-", "application/pdf", (".pdf",)),
    (b"\x1f\x8b", "application/gzip", (".gz", ".tgz")),
    (b"PK\x03\x04", "application/zip", (".zip", ".docx", ".xlsx", ".odt", ".ods")),
    (b"PAR1", "application/vnd.apache.parquet", (".parquet",)),
)
_TEXTS = {
    ".txt": "text/plain",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".har": "application/json",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".diff": "text/plain",
    ".patch": "text/plain",
    ".eml": "message/rfc822",
}
TAKEN = sorted({end for _, _, ends in _BEGINS for end in ends} | {".webp"} | set(_TEXTS))


def media_type(name: str, head: bytes) -> str:
    """The type that bytes and name agree on. Raises Unsupported for what a browser could run, and for what says to be
    something else than it is."""
    end = _ending(name)
    for begin, kind, ends in _BEGINS:
        if head.startswith(begin):
            return _agreed(end, kind, ends)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _agreed(end, "image/webp", (".webp",))
    if end in _TEXTS and _is_text(head):
        return _TEXTS[end]
    raise Unsupported(
        f"{name!r} can't be kept: its type is not one of those that are taken.", "Taken: " + ", ".join(TAKEN)
    )


def _ending(name: str) -> str:
    return "." + name.rpartition(".")[2].lower() if "." in name else ""


def _agreed(end: str, kind: str, ends: tuple[str, ...]) -> str:
    if end not in ends:
        raise Unsupported(f"The file is {kind}, its name says {end or 'nothing'}.", f"Name it {ends[0]}")
    return kind


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as problem:
        return len(head) == HEAD and problem.start > HEAD - 4  # a letter that the head cut in two
    return True


def safe_name(name: str) -> str:
    """Without folders and control characters, at most 200 characters, never empty."""
    bare = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(one for one in bare if unicodedata.category(one)[0] != "C").strip(" .")
    stem, dot, end = kept.rpartition(".")
    return (f"{stem[:180]}{dot}{end[:16]}" if dot else kept[:200]) or "file"
