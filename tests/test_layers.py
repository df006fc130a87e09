"""Imports between folders go down only, and replay-sensitive code is deterministic (docs/design.md)."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LEVELS = (
    ("orchestrator/errors.py",),
    ("orchestrator/settings.py",),
    ("orchestrator/model/", "orchestrator/jsontools/", "orchestrator/telemetry/"),
    ("orchestrator/language/", "orchestrator/timing/", "orchestrator/store/"),
    ("orchestrator/expressions.py",),
    ("orchestrator/conditions.py",),
    ("orchestrator/interpreter/", "orchestrator/planner/", "activities/"),
    ("orchestrator/reruns/",),
    ("orchestrator/actions.py", "orchestrator/temporal/", "orchestrator/simulator/", "orchestrator/drawing/"),
    ("orchestrator/forecast/",),
    ("orchestrator/service/",),
    ("api/",),
    ("orchestrator/cli/",),
)
"""From bottom to top; a name that ends in a slash is a folder with everything below it."""

PURE = (
    "orchestrator.errors", "orchestrator.model.definition", "orchestrator.model.plan", "orchestrator.model.run",
    "orchestrator.jsontools.source", "orchestrator.language", "orchestrator.timing.schedule",
    "orchestrator.expressions", "orchestrator.conditions", "orchestrator.planner", "orchestrator.interpreter",
    "orchestrator.simulator", "orchestrator.simulator.regression", "orchestrator.drawing.formats",
)  # fmt: skip
HEAVY = ("temporalio", "sqlalchemy", "fastapi", "uvicorn", "httpx", "aiosmtplib", "rich", "typer")
LOADS_NOTHING_OF = {
    ", ".join(PURE): (*HEAVY, "activities", "api"),
    "orchestrator.store.database, orchestrator.store.workflows": ("temporalio", "fastapi", "httpx"),
    "api.models.workflows, api.models.runs, api.models.schedules, api.models.triggers": ("temporalio", "httpx"),
    "activities.registry": HEAVY,
    "orchestrator.actions": HEAVY,
}
"""Imported modules, and what importing them must not load."""

ONLY_IMPORTERS = {
    "croniter": ("orchestrator/timing/cron.py",),
    "ruamel": ("orchestrator/jsontools/yaml_source.py", "orchestrator/jsontools/yaml_format.py"),
    "jsonschema": ("orchestrator/jsontools/schema.py", "orchestrator/jsontools/schema_messages.py"),
    "temporalio": (
        "orchestrator/temporal/",
        "activities/runtime.py",
        "activities/events.py",
        "orchestrator/telemetry/",
        "orchestrator/cli/logs.py",
    ),
    "sqlalchemy": ("activities/sql.py", "activities/sql_engines.py", "activities/resources.py", "orchestrator/store/"),
    "alembic": ("orchestrator/store/",),
    "fastapi": ("api/",),
    "uvicorn": ("api/serve.py", "api/connections.py"),
    "watchfiles": ("orchestrator/cli/watch.py",),
    "aiosmtplib": ("activities/email.py",),
    "jmespath": ("activities/data.py", "activities/jmespath_budget.py"),
}
"""Libraries, and the only modules that may import them."""

STORES = ("workflows.Definitions", "triggers.Triggers", "deliveries.Deliveries", "run_index.RunIndex", "leases.Leases")
"""Classes of the store that the service alone may use."""

REPLAY_SENSITIVE = [
    *(ROOT / "orchestrator" / "model" / name for name in ("plan.py", "plan_nodes.py")),
    *(
        path
        for folder in ("language", "timing", "interpreter", "temporal/workflow")
        for path in sorted((ROOT / "orchestrator" / folder).rglob("*.py"))
    ),
]
FORBIDDEN = {
    "asyncio": {"TaskGroup", "wait", "as_completed"},  # they walk in heap order
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "os": {"environ", "getenv", "urandom"},
    "uuid": {"uuid1", "uuid4"},
}
FORBIDDEN_MODULES = {"time", "random", "secrets", "os"}
SETS = {"set", "frozenset"}


@cache
def list_imports(path: Path) -> list[str]:
    """Return what a file imports: modules, and the names taken from them."""
    imports = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imports += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports += [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    return imports


def list_sources() -> list[str]:
    return [
        str(path.relative_to(ROOT))
        for package in ("orchestrator", "activities", "api")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


def find_unit(path: str) -> tuple[int, str] | None:
    """Return the level of a file and the entry of `LEVELS` that covers it."""
    for level, units in enumerate(LEVELS):
        for unit in units:
            if path == unit or (unit.endswith("/") and path.startswith(unit)):
                return level, unit
    return None


@cache
def find_file(module: str) -> str | None:
    path = module.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if (ROOT / name).exists()), None)


def list_upward_imports(path: str) -> list[str]:
    """Return the imports of units on the same level or above."""
    here = find_unit(path)
    targets = {name: find_unit(file) for name in list_imports(ROOT / path) if (file := find_file(name))}
    return [name for name, there in targets.items() if here and there and there != here and there[0] >= here[0]]


def test_every_module_is_on_a_level() -> None:
    empty = {"orchestrator/__init__.py"}

    assert [path for path in list_sources() if find_unit(path) is None and path not in empty] == []


def test_imports_go_down() -> None:
    upward = {path: list_upward_imports(path) for path in list_sources()}

    assert {path: names for path, names in upward.items() if names} == {}


def list_loaded_files(path: str) -> set[str]:
    """Return the files that importing a file loads first; imports for types and in functions do not count."""
    body = ast.parse((ROOT / path).read_text()).body
    names = [
        f"{node.module}.{name.name}" if find_file(f"{node.module}.{name.name}") else str(node.module)
        for node in body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    ]
    return {file for name in names if (file := find_file(name)) not in (None, path)}


def test_no_modules_import_each_other() -> None:
    TopologicalSorter({path: list_loaded_files(path) for path in list_sources()}).prepare()  # raises CycleError


def test_few_modules_lie_outside_a_package() -> None:
    assert len([path for path in (ROOT / "orchestrator").glob("*.py") if path.name != "__init__.py"]) <= 5


@pytest.mark.process
@pytest.mark.parametrize("modules", LOADS_NOTHING_OF)
def test_an_import_loads_nothing_heavy(modules: str) -> None:
    code = f"import sys, {modules}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert [name for name in LOADS_NOTHING_OF[modules] if name in loaded.split()] == []


@pytest.mark.parametrize("library", ONLY_IMPORTERS)
def test_a_library_has_few_importers(library: str) -> None:
    importers = [
        path
        for path in list_sources()
        if any(name == library or name.startswith(f"{library}.") for name in list_imports(ROOT / path))
    ]
    allowed = ONLY_IMPORTERS[library]

    assert [path for path in importers if not any(path.startswith(name) for name in allowed)] == []
    assert importers


def list_uses_of_the_store(path: str) -> list[str]:
    """Return the imports and attributes with which a file reaches the store."""
    stores = {f"orchestrator.store.{name}" for name in STORES}
    attributes = {
        node.attr for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Attribute)
    }
    owned = attributes & {"definitions", "triggers", "deliveries", "index", "database"}
    return [*sorted(stores & set(list_imports(ROOT / path))), *sorted(owned)]


def test_routes_and_commands_reach_the_store_through_the_service() -> None:
    uses = {
        path: list_uses_of_the_store(path) for path in list_sources() if path.startswith(("api/", "orchestrator/cli/"))
    }

    assert {path: names for path, names in uses.items() if names} == {}


def iterate_nondeterministic(tree: ast.AST) -> Iterator[str]:
    """Yield what could differ on replay: clocks, randomness, the environment, iteration over sets."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if name in FORBIDDEN.get(owner, ()):
                yield f"{node.lineno} {owner}.{name}"
            case ast.ImportFrom(module=str(module), names=names):
                yield from (
                    f"{node.lineno} {module}.{name.name}"
                    for name in names
                    if module in FORBIDDEN_MODULES or name.name in FORBIDDEN.get(module, ())
                )
            case ast.Import(names=names):
                yield from (f"{node.lineno} {name.name}" for name in names if name.name in FORBIDDEN_MODULES)
            case ast.For(iter=iterated) | ast.AsyncFor(iter=iterated) | ast.comprehension(iter=iterated):
                if isinstance(iterated, ast.Set | ast.SetComp) or (
                    isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Name) and iterated.func.id in SETS
                ):
                    yield f"{iterated.lineno} iterates over a set"


def test_replay_sensitive_code_is_deterministic() -> None:
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in REPLAY_SENSITIVE}
    places = {path: list(iterate_nondeterministic(tree)) for path, tree in trees.items()}

    assert {path: found for path, found in places.items() if found} == {}


@pytest.mark.parametrize(
    "code",
    [
        "asyncio.wait(tasks)",
        "datetime.now(UTC)",
        "import time",
        "import random",
        "from uuid import uuid4",
        "os.environ['X']",
        "for name in {1, 2}: pass",
        "[name for name in set(names)]",
    ],
)
def test_the_guard_finds_what_could_differ_on_replay(code: str) -> None:
    assert list(iterate_nondeterministic(ast.parse(code)))
