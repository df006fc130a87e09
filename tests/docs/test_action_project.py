"""The project of docs/actions.md is made from nothing: every file of it is written, every command of it is run."""

import os
import re
import shlex
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs" / "actions.md").read_text().partition("## Write your own action")[2].partition("\n### ")[0]
PART = re.compile(r"(?:^`(?P<file>[\w.]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
SECONDS = 600

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.temporal]


def write_script() -> str:
    """Return the page as a shell script: files become here-documents, in the order of the page."""
    parts = ["set -eu"]
    for match in PART.finditer(SECTION):
        if match["file"]:
            parts.append(f"cat > {match['file']} <<'END OF FILE'\n{match['text']}END OF FILE")
        else:
            assert match["kind"] == "console"
            commands = [line.removeprefix("$ ") for line in match["text"].splitlines()]
            parts += [f"echo {shlex.quote('$ ' + each)}\n{each}" for each in commands]
    return "\n".join(parts)


def make_environment(folder: Path) -> dict[str, str]:
    """Return the variables of a new virtual environment that sees what is installed here, and no package index."""
    venv.create(folder, with_pip=False)
    own = subprocess.run(
        [folder / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    (Path(own) / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n{ROOT}\n")
    command = folder / "bin" / "orchestrator"
    command.write_text(f'#!/bin/sh\nexec {folder}/bin/python -m orchestrator.cli "$@"\n')
    command.chmod(0o755)
    (folder / "bin" / "temporal").symlink_to(Path(sysconfig.get_path("scripts")) / "temporal")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "ORCHESTRATOR_"))
    }
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {**kept, **pip, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(folder)}


def test_every_command_of_the_page_works(tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "venv")

    done = subprocess.run(
        ["bash", "-c", write_script()], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS
    )

    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown[-8000:]
    assert "Hello Ada!" in done.stdout
    assert "2 passed" in done.stdout
    assert shown.count("Greet someone by name.") == 2
    assert [path.name for path in (tmp_path / "greetings" / "dist").iterdir()] == [
        "acme_greetings-1.0.0-py3-none-any.whl"
    ]
