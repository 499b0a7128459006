"""Takes the SDK's modules from the server's tree, where they live, or from the sdist, where they were put."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Modules(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        places = (root.parent / "src" / "afterlaunch" / "sdk", root / "afterlaunch_sdk")
        source = next(place for place in places if place.is_dir())
        for file in (*source.glob("*.py"), source / "py.typed"):
            build_data["force_include"][str(file)] = f"afterlaunch_sdk/{file.name}"
