"""The command imports its own `activities` and `api`, also in a folder that holds others of that name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.cli.shell import ROOT, SECONDS, start_dev, stop_dev

pytestmark = pytest.mark.process

OUR_FILES = {name: ROOT / name / "__init__.py" for name in ("activities", "api")}
CRASH = "raise SystemExit('the module of the user was imported')\n"
ACTION = """\
from pydantic import BaseModel
from orchestrator.actions import ActionContext, action

class Parameters(BaseModel):
    to: str

@action("own.greet")
async def greet(parameters: Parameters, context: ActionContext) -> dict[str, str]:
    "Greet."
    return {"said": parameters.to}
"""


def write_modules(folder: Path, *, package: bool) -> Path:
    """Write modules named `activities` and `api` that end the process when they are imported."""
    for name in OUR_FILES:
        file = folder / name / "__init__.py" if package else folder / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(CRASH)
    return folder


def run(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder that is first on the path."""
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env={**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", **env},
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("package", [False, True], ids=["modules", "packages"])
def test_modules_of_the_same_name_are_not_imported(package: bool, tmp_path: Path) -> None:
    done = run(write_modules(tmp_path, package=package), "-m", "orchestrator.cli", "actions", "list")

    assert (done.returncode, done.stderr) == (0, "")
    assert "http.request" in done.stdout


def test_the_installed_script_imports_its_own_packages(tmp_path: Path) -> None:
    script = str(Path(sys.executable).with_name("orchestrator"))
    done = run(write_modules(tmp_path, package=False), script, "actions", "list")

    assert (done.returncode, done.stderr) == (0, "")


def test_a_module_of_actions_is_found_beside_such_files(tmp_path: Path) -> None:
    write_modules(tmp_path, package=False)
    (tmp_path / "shop.py").write_text(ACTION)
    done = run(tmp_path, "-m", "orchestrator.cli", "actions", "list", ORCHESTRATOR_ACTION_MODULES="shop")

    assert (done.returncode, done.stderr) == (0, "")
    assert "own.greet" in done.stdout


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("activities", "activities.py"),
        ("api", "api/__init__.py"),
        ("api.actions", "api/actions.py"),
        ("activities.http", "activities/http.py"),
    ],
)
def test_an_action_module_of_the_same_name_is_refused_with_both_files(module: str, file: str, tmp_path: Path) -> None:
    package = module.partition(".")[0]
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(ACTION)
    done = run(tmp_path, "-m", "orchestrator.cli", "actions", "list", ORCHESTRATOR_ACTION_MODULES=module)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: ORCHESTRATOR_ACTION_MODULES names {module!r}, which is {tmp_path / file}, "
        f"but {package!r} is already the name of {OUR_FILES[package]}",
        "hint: rename your module",
    ]


@pytest.mark.parametrize("name", OUR_FILES)
def test_a_module_of_the_same_name_that_was_imported_before_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").touch()
    program = (
        f"import {name}; from orchestrator.cli import main; import sys; sys.argv[1:] = ['actions', 'list']; main()"
    )
    done = run(tmp_path, "-c", program)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"error: {tmp_path / name}.py was imported before {OUR_FILES[name]}, and both are named {name!r}",
        "hint: rename your module",
    ]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.temporal
async def test_dev_serves_and_runs_in_such_a_folder(tmp_path: Path) -> None:
    definition = tmp_path / "note.json"
    definition.write_text(
        json.dumps(
            {
                "id": "note", "name": "Note", "trigger": {"type": "manual"},
                "nodes": [{"id": "say", "type": "action", "action": "log.message", "config": {"message": "hello"}}],
                "edges": [{"source": "trigger", "target": "say"}],
            }
        )
    )  # fmt: skip
    folder = write_modules(tmp_path, package=True)
    dev = await start_dev(tmp_path / "home", {"PYTHONPATH": f"{folder}:{ROOT}"}, folder=folder)
    try:
        done = await dev("run", definition)
        async with httpx.AsyncClient(timeout=SECONDS) as client:
            health = await client.get(f"{dev.ready['api']}/healthz")
    finally:
        await stop_dev(dev)

    assert (done.code, health.status_code) == (0, 200), done.err
