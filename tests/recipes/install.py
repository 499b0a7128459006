"""Makes a virtual environment for each page of docs/recipes, by the page's own line: python -m tests.recipes.install"""

from __future__ import annotations

import subprocess
import sys

from tests.recipes.pages import ENVIRONMENTS, PAGES, ROOT, Page


def main() -> None:
    for page in map(Page, PAGES):
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
    print(f"Environments of {len(PAGES)} recipes are in {ENVIRONMENTS}")


def _pip(page: Page, *words: str) -> None:
    command = [str(page.python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *words]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
