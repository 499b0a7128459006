"""What is wrong with a file, where. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from afterlaunch.ground.errors import Invalid


@dataclass(frozen=True)
class Where:
    """`document` counts from 1; `path` like spec.objectives[0].target."""

    file: str
    document: int
    path: str = ""

    def at(self, part: str | int) -> Where:
        if isinstance(part, int):
            return Where(self.file, self.document, f"{self.path}[{part}]")
        return Where(self.file, self.document, f"{self.path}.{part}" if self.path else part)

    def __str__(self) -> str:
        return f"{self.file}, document {self.document}" + (f", {self.path}" if self.path else "")


@dataclass(frozen=True)
class Problem:
    where: Where
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"

    def as_document(self) -> dict[str, Any]:
        where = self.where
        return {"file": where.file, "document": where.document, "path": where.path, "message": self.message}


@dataclass
class Findings:
    """Errors forbid everything; notices tell what was read differently from how it may be meant."""

    errors: list[Problem] = field(default_factory=list)
    notices: list[Problem] = field(default_factory=list)

    def wrong(self, where: Where, message: str) -> None:
        self.errors.append(Problem(where, message))

    def note(self, where: Where, message: str) -> None:
        self.notices.append(Problem(where, message))


class InvalidFile(Invalid):
    """Everything that is wrong with it, in the order of the file."""

    def __init__(self, errors: list[Problem]) -> None:
        super().__init__("\n".join(str(one) for one in errors))
        self.errors = errors
