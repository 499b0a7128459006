"""The SDK as it is installed: alone, and beside the server (docs/decisions/sdk-names.md)."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import afterlaunch
from afterlaunch import sdk
from afterlaunch.sdk.tests.received import receiving

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "src" / "afterlaunch" / "sdk").glob("*.py"))
SERVER_RUNS = "import afterlaunch.cli.main, afterlaunch.app.server; print(afterlaunch.init.__module__)"


def test_the_sdk_knows_the_standard_library_and_opentelemetry_only_and_pyarrow_where_it_is_there() -> None:
    for file in MODULES:
        tree = ast.parse(file.read_text())
        within = {"pyarrow"} if file.name == "tables.py" else set()  # functions alone
        for node in ast.walk(tree):
            known = {*sys.stdlib_module_names, "opentelemetry"} | (set() if node in tree.body else within)
            if isinstance(node, ast.Import):
                assert {name.name.partition(".")[0] for name in node.names} <= known, file.name
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 or (node.module or "").partition(".")[0] in known, file.name


def test_the_servers_package_offers_every_word_of_the_sdk_and_no_room_is_called_like_one() -> None:
    assert all(getattr(afterlaunch, name) is getattr(sdk, name) for name in sdk.__all__)
    assert {folder.name for folder in (ROOT / "src" / "afterlaunch").iterdir()}.isdisjoint(sdk.__all__)
    assert afterlaunch.__version__ == sdk.__version__
    assert f'version = "{sdk.__version__}"' in (ROOT / "sdk" / "pyproject.toml").read_text()
    with pytest.raises(AttributeError):
        afterlaunch.nothing  # noqa: B018


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.strip()


class Environment:
    """A virtual environment. `borrowing`: third-party packages are those of the tests, ours are installed here."""

    def __init__(self, folder: Path, borrowing: bool) -> None:
        run(sys.executable, "-m", "venv", folder)
        self.python = folder / "bin" / "python"
        self.packages = Path(self("import sysconfig; print(sysconfig.get_path('purelib'))"))
        if borrowing:
            (self.packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def pip(self, *words: object) -> None:
        run(self.python, "-m", "pip", "--disable-pip-version-check", "-q", *words)

    def __call__(self, code: str) -> str:
        return run(self.python, "-I", "-c", code)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, ROOT, ROOT / "sdk")
    return {wheel.name.partition("-")[0]: wheel for wheel in folder.glob("*.whl")}


@pytest.mark.process
def test_the_sdk_works_alone(tmp_path: Path) -> None:
    alone = Environment(tmp_path / "alone", borrowing=False)
    alone.pip("install", ROOT / "sdk")
    installed = run(alone.python, "-m", "pip", "list", "--format=freeze")
    assert "afterlaunch-sdk" in installed and "django" not in installed.lower()
    assert installed.count("\n") < 25, "few dependencies"
    with receiving() as receiver:
        alone(f"""
import afterlaunch
afterlaunch.init({receiver.url!r}, system="support")
with afterlaunch.context(tenant="acme"), afterlaunch.retrieval("where?") as found:
    found.documents(["d1"])
""")
        assert receiver.spans()["retrieval"]["tenant.id"] == "acme"
    assert alone("import afterlaunch_sdk as afterlaunch; print(afterlaunch.init.__module__)") == "afterlaunch_sdk.start"


@pytest.mark.process
@pytest.mark.parametrize("order", [("afterlaunch", "afterlaunch_sdk"), ("afterlaunch_sdk", "afterlaunch")])
def test_both_live_side_by_side_and_either_goes_alone(
    order: tuple[str, str], wheels: dict[str, Path], tmp_path: Path
) -> None:
    both = Environment(tmp_path / "both", borrowing=True)
    for name in order:
        both.pip("install", "--no-deps", wheels[name])
    assert both(SERVER_RUNS) == "afterlaunch.sdk.start"
    shared = """
import afterlaunch, afterlaunch_sdk
with afterlaunch_sdk.context(tenant="acme"):
    print(afterlaunch.headers()["afterlaunch-tenant"])
"""
    assert both(shared) == "acme", "what is said under one name holds under the other"
    both.pip("uninstall", "-y", order[0].replace("_", "-"))
    if order[0] == "afterlaunch_sdk":
        assert both(SERVER_RUNS) == "afterlaunch.sdk.start"
    else:
        assert both("import afterlaunch; print(afterlaunch.init.__module__)") == "afterlaunch_sdk.start"


@pytest.mark.process
def test_a_server_installed_for_development_stays_reachable_beside_the_sdk(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    both = Environment(tmp_path / "both", borrowing=True)
    both.pip("install", "--no-deps", wheels["afterlaunch_sdk"])
    (both.packages / "zz-development.pth").write_text(str(ROOT / "src") + "\n")
    assert both(SERVER_RUNS) == "afterlaunch_sdk.start"
    assert both("from afterlaunch import __version__; print(__version__)") == sdk.__version__


@pytest.mark.process
def test_the_wheel_of_the_sdk_holds_its_modules_and_nothing_else(wheels: dict[str, Path], tmp_path: Path) -> None:
    shutil.unpack_archive(wheels["afterlaunch_sdk"], tmp_path, "zip")
    held = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    ours = {name for name in held if ".dist-info/" not in name}
    assert ours == {"afterlaunch.py", "afterlaunch_sdk/py.typed", *(f"afterlaunch_sdk/{file.name}" for file in MODULES)}
