"""Imports go one way (DESIGN, law 1): the core needs no server, no database and no network library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = (
    "orchestrator.errors", "orchestrator.language", "orchestrator.language.condition_reader", "orchestrator.language.presets",
    "orchestrator.model.definition", "orchestrator.model.plan", "orchestrator.planner", "orchestrator.model.run",
    "orchestrator.interpreter", "orchestrator.simulator.simulate", "orchestrator.interpreter.restart",
    "orchestrator.drawing.mermaid", "orchestrator.jsontools.source",
)  # fmt: skip
HEAVY = ("temporalio", "sqlalchemy", "fastapi", "uvicorn", "httpx", "aiosmtplib", "activities", "api", "rich", "typer")

ONLY_IMPORTERS = {
    "croniter": {"orchestrator/timing/cron.py"},
    "mmdr": {"orchestrator/drawing/svg.py"},
    "jsonschema": {"orchestrator/jsontools/schema.py"},
    "temporalio.client": {"orchestrator/temporal/client/runs.py", "orchestrator/temporal/client/connection.py", "orchestrator/temporal/client/run_tree.py",
                          "orchestrator/temporal/history/histories.py", "orchestrator/temporal/worker.py", "orchestrator/temporal/devserver.py",
                          "orchestrator/temporal/replay.py", "orchestrator/temporal/schedules/schedules.py", "orchestrator/temporal/schedules/spec.py"},
    "sqlalchemy": {"activities/sql.py", "activities/resources.py", "orchestrator/store/"},
    "alembic": {"orchestrator/store/"},
    "fastapi": {"api/"},
    "uvicorn": {"api/serve.py"},
    "aiosmtplib": {"activities/email.py"},
    "jmespath": {"activities/data.py"},
}  # fmt: skip
"""Libraries that a few modules alone may import; a name that ends in a slash is a folder and all below it."""

NEVER = {
    "orchestrator": ("api",),  # but for the commands that serve it
    "activities": ("api", "orchestrator.planner", "orchestrator.interpreter", "orchestrator.temporal.client.runs"),
}
"""What the modules of a package never import."""
ABOVE = {ROOT / "orchestrator" / "cli" / "serve.py"}
"""Modules that put everything together."""

REPLAY_SENSITIVE = [
    *(ROOT / "orchestrator" / "interpreter").glob("*.py"),
    *(ROOT / "orchestrator" / "temporal" / "workflow").glob("*.py"),
    ROOT / "orchestrator" / "temporal" / "payloads.py",
    ROOT / "orchestrator" / "model" / "run.py",
]
UNORDERED = {"TaskGroup", "wait", "as_completed"}
"""Members of asyncio that walk in heap order (DESIGN, law 2)."""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def sources(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


def test_importing_the_core_loads_nothing_heavy() -> None:
    code = f"import sys, {', '.join(CORE)}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert [name for name in HEAVY if name in loaded.split()] == []


@pytest.mark.parametrize("library", ONLY_IMPORTERS)
def test_a_library_has_few_importers(library: str) -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in sources("orchestrator", "activities", "api")
        if any(name == library or name.startswith(f"{library}.") for name in imports(path))
    }

    allowed = ONLY_IMPORTERS[library]
    folders = tuple(name for name in allowed if name.endswith("/"))

    assert {path for path in found if path not in allowed and not path.startswith(folders)} == set()
    assert found


@pytest.mark.parametrize("package", NEVER)
def test_nothing_imports_upwards(package: str) -> None:
    wrong = [
        (str(path.relative_to(ROOT)), name)
        for path in sources(package)
        if path not in ABOVE
        for name in imports(path)
        if any(name == never or name.startswith(f"{never}.") for never in NEVER[package])
    ]

    assert wrong == []


@pytest.mark.parametrize("path", REPLAY_SENSITIVE, ids=lambda path: path.name)
def test_replay_sensitive_code_waits_in_order(path: Path) -> None:
    wrong = [
        f"{path.name}:{node.lineno} asyncio.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in UNORDERED
        and isinstance(node.value, ast.Name)
        and node.value.id == "asyncio"
    ]

    assert wrong == []
