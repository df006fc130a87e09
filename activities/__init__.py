"""Actions: what nodes of type `action` call. The built-in ones are in the modules named here.

These modules are imported when a registry is built, so that `import activities.registry` loads nothing heavier than
pydantic.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from pydantic import TypeAdapter, ValidationError

from activities.registry import ActionError, Registry, build_registry
from orchestrator.jsontools.pointer import format_pointer
from orchestrator.jsontools.schema import find_schema_problems
from orchestrator.jsontools.validation_messages import describe_validation_error
from orchestrator.model.described_action import DescribedAction
from orchestrator.settings import Settings

BUILTIN = ("http", "email", "notify", "data", "log", "events", "sql")
"""Modules of this package that declare actions."""
ENTRY_POINTS = "orchestrator.actions"
ACTIONS = TypeAdapter(list[DescribedAction])


def load_builtin_registry() -> Registry:
    """Return a registry of the built-in actions."""
    return build_registry(importlib.import_module(f"activities.{name}") for name in BUILTIN)


def load_registry(settings: Settings) -> Registry:
    """Return the built-in actions, those of `ACTION_MODULES`, of entry points and of `ACTION_SCHEMAS`.

    Modules are found in the current folder, too. It comes last on the path: its files hide no installed module. Raises
    ActionError.
    """
    registry = load_builtin_registry()
    if settings.action_modules and (folder := str(Path.cwd())) not in sys.path:
        sys.path.append(folder)
    modules: list[ModuleType] = []
    for name in settings.action_modules:
        with _translate_import_errors(f"{name!r}, named in ORCHESTRATOR_ACTION_MODULES"):
            modules.append(importlib.import_module(name))
    for point in entry_points(group=ENTRY_POINTS):
        with _translate_import_errors(f"{point.value!r}, named by the entry point {point.name!r} in {ENTRY_POINTS}"):
            loaded = point.load()
        if not isinstance(loaded, ModuleType):
            raise ActionError(f"entry point {point.name!r} in group {ENTRY_POINTS} must name a module")
        if loaded not in modules:  # an installed package may be named in the settings, too
            modules.append(loaded)
    for module in modules:
        registry.add_module(module)
    for file in settings.action_schemas:
        for action in read_action_schemas(Path(file)):
            if action.name in registry.described:
                raise ActionError(f"{file}: action {action.name!r} is described twice")
            registry.described[action.name] = action
    return registry


def read_action_schemas(file: Path) -> list[DescribedAction]:
    """Read a file that `orchestrator schema --actions` has written; raises ActionError."""
    where = f"{file}, named in ORCHESTRATOR_ACTION_SCHEMAS"
    try:
        actions = ACTIONS.validate_json(file.read_bytes())
    except OSError as error:
        raise ActionError(f"cannot read {where}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = f"{format_pointer(first['loc']) or '/'} {describe_validation_error(first)}"
        raise ActionError(f"{where}: {problem}") from None
    for index, action in enumerate(actions):
        for wrong in find_schema_problems(action.parameter_schema, f"/{index}/parameters"):
            raise ActionError(f"{where}: {wrong.path}: {wrong.message}")
    return actions


@contextmanager
def _translate_import_errors(what: str) -> Iterator[None]:
    """Raise ActionError for whatever a user's module raises when it is imported, `SystemExit` included."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, (ActionError, ImportError)):
            raise ActionError(f"cannot import {what}: {error}") from error
        raise ActionError(f"cannot import {what}: {type(error).__name__}: {error}") from error
