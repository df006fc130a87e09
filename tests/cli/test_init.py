"""`init`: a new project validates, passes its tests and calls its own action."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.cli.commands import invoke
from tests.cli.shell import ROOT, SECONDS

pytestmark = pytest.mark.process


def run_in(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Order Desk", "2nd"])
def test_a_new_project_works(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    made = invoke("init", str(folder))
    command = ("-m", "orchestrator.cli")
    suggested = [line.split()[1:] for line in made.stderr.splitlines() if line.startswith("  orchestrator validate")]
    valid = run_in(folder, *command, *suggested[0])
    cases = run_in(folder, *command, "test", "workflows/greeting.yaml")
    tests = run_in(folder, "-m", "unittest")

    assert made.exit_code == 0, made.output
    assert suggested == [["validate", "workflows", "--local"]], "a `dev` of another folder does not know the action"
    assert made.stdout.splitlines()[0] == str(folder)
    assert f"cd '{folder}'" in made.stderr or f"cd {folder}" in made.stderr
    assert (valid.returncode, valid.stderr) == (0, "1 file valid, checked with the actions of this environment\n")
    assert (cases.returncode, cases.stderr) == (0, "2 cases passed, 0 failed\n")
    assert tests.returncode == 0, tests.stderr


def test_the_ci_file_runs_commands_that_exist(tmp_path: Path) -> None:
    invoke("init", str(tmp_path / "shop"))
    ci = YAML(typ="safe").load(tmp_path / "shop" / ".github" / "workflows" / "workflows.yml")
    lines = [step["run"] for job in ci["jobs"].values() for step in job["steps"] if "run" in step]
    ours = [re.split(" +", line)[1] for line in lines if line.startswith("orchestrator ")]

    assert ours == ["validate", "test", "workflows"]
    for name in ours:
        assert invoke(name, "--help").exit_code == 0


def test_existing_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("mine")
    done = invoke("init", str(tmp_path), "--json")

    again = invoke("init", str(tmp_path))
    document = json.loads(done.stdout)

    assert (done.exit_code, document["kept"]) == (0, [f"{tmp_path}/pyproject.toml"])
    assert (tmp_path / "pyproject.toml").read_text() == "mine"
    assert len(document["files"]) == 7
    assert all(Path(file).exists() for file in document["files"])
    assert ".env" in (tmp_path / ".gitignore").read_text().splitlines(), "it may hold keys"
    assert (again.exit_code, "has all files of a project already" in again.stderr) == (2, True)
