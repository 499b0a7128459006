"""The pages of docs/recipes as what they are: a line that installs, and code that runs."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
ENVIRONMENTS = Path(os.environ.get("RECIPES") or ROOT / ".recipes")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


class Page:
    """`name` is the file's and the environment's; an application of the proxy's page runs in OpenAI's."""

    def __init__(self, file: Path) -> None:
        self.name = file.stem
        self._blocks = _FENCE.findall(file.read_text())
        lines = [line for kind, text in self._blocks if kind == "sh" for line in text.splitlines()]
        (self.install,) = [line for line in lines if line.startswith("pip install ")]
        self.environment = ENVIRONMENTS / self.name
        self.python = self.environment / "bin" / "python"

    @property
    def packages(self) -> list[str]:
        """What the page installs, without our own."""
        return [one for one in shlex.split(self.install)[2:] if one != "afterlaunch-sdk"]

    @property
    def ours(self) -> bool:
        return "afterlaunch-sdk" in self.install

    def blocks(self, kind: str) -> list[str]:
        return [text for one, text in self._blocks if one == kind]

    @property
    def program(self) -> str:
        return "\n".join(self.blocks("python"))


def page(name: str) -> Page:
    return Page(ROOT / "docs" / "recipes" / f"{name}.md")
