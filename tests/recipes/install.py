"""Makes a virtual environment for each page of docs/recipes, by the page's own line, and one of the clients that are
tried with the gateway: python -m tests.recipes.install [models]. With `models`, one of a server of models,
too, which is compiled where there is no wheel (ten minutes on two cores)."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.recipes.pages import ENVIRONMENTS, PAGES, ROOT, Page


@dataclass(frozen=True)
class Clients:
    """As a page, without one."""

    name: str
    packages: tuple[str, ...]
    ours: bool = False

    @property
    def install(self) -> str:
        return " ".join(self.packages)

    @property
    def environment(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"


CLIENTS = Clients(
    "clients",
    # LiteLLM imports mcp for every call with tools, and does not ask for it.
    ("langchain-openai>=1.7,<2", "langchain-anthropic>=1.7,<2", "litellm>=1.106,<1.107", "mcp", "openai", "anthropic"),
)

MODELS = Clients("models", ("llama-cpp-python[server]>=0.3.36,<0.4", "gguf>=0.17,<1"))


def main() -> None:
    models = (MODELS,) if "models" in sys.argv[1:] else ()
    for page in (*map(Page, PAGES), CLIENTS, *models):
        stamp = page.environment / "installed"
        if not stamp.exists() or stamp.read_text() != page.install:
            print(f"==> {page.name}: {page.install}", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(page.environment)], check=True)
            _pip(page, "--upgrade", "pip")  # the one that comes with Python can search for hours
            _pip(page, *page.packages)
            stamp.write_text(page.install)
        if page.ours:
            _pip(page, "--force-reinstall", "--no-deps", str(ROOT / "sdk"))
            _pip(page, str(ROOT / "sdk"))
    print(f"Environments of {len(PAGES)} recipes and of the clients are in {ENVIRONMENTS}")


def _pip(page: Page | Clients, *words: str) -> None:
    command = [str(page.python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *words]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
