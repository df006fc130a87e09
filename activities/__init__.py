"""Actions: what a node of type `action` can do. Built in are those of the modules named here."""

import importlib
from importlib.metadata import entry_points
from types import ModuleType

from activities import data, email, events, http, log, notify, sql
from activities.registry import ActionError, Registry, registry_of
from orchestrator.settings import Settings

BUILTIN: tuple[ModuleType, ...] = (http, email, notify, data, log, events, sql)
ENTRY_POINTS = "orchestrator.actions"


def builtin_registry() -> Registry:
    """Give the built-in actions."""
    return registry_of(BUILTIN)


def load_registry(settings: Settings) -> Registry:
    """Give the built-in actions, those of `ACTION_MODULES` and of installed packages; raises ActionError."""
    registry = builtin_registry()
    for name in settings.action_modules:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise ActionError(
                f"ORCHESTRATOR_ACTION_MODULES names {name!r}, which cannot be imported: {error}"
            ) from error
        registry.add_module(module)
    for point in entry_points(group=ENTRY_POINTS):
        loaded = point.load()
        if not isinstance(loaded, ModuleType):
            raise ActionError(f"the entry point {point.name!r} of {ENTRY_POINTS} is no module")
        registry.add_module(loaded)
    return registry
