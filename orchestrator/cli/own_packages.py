"""Import `activities` and `api` from this distribution, whatever else of that name is on the path.

Both names are common: with `python -m` or `PYTHONPATH=.` a user's `activities.py` or `api/` comes first on the path.
A finder in front of the path decides when a name is imported, so that `--help` loads neither package.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from orchestrator.cli.failures import UsageError
from orchestrator.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds our packages: `site-packages`, or a checkout."""
PACKAGES = ("activities", "api")


class OwnPackageFinder(MetaPathFinder):
    """Finds our packages without searching the path."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of one of our packages, or None for any other module."""
        return _find_own(fullname) if fullname in PACKAGES else None


def import_own_packages_first() -> None:
    """Install the finder; raises UsageError where a module of the same name has been imported before."""
    for name in PACKAGES:
        module = sys.modules.get(name)
        if module is not None and ROOT not in (other := _find_file(module.__spec__)).parents:
            raise UsageError(
                f"{other} was imported before {_find_file(_find_own(name))}, and both are named {name!r}",
                hint="rename your module",
            )
    if not any(isinstance(finder, OwnPackageFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, OwnPackageFinder())


def require_other_names(modules: Iterable[str]) -> None:
    """Raise SettingsError where one of the `ACTION_MODULES` has the name of one of our packages."""
    for name in modules:
        package = name.partition(".")[0]
        if package in PACKAGES and (other := _find_elsewhere(name)) is not None:
            raise SettingsError(
                f"ORCHESTRATOR_ACTION_MODULES names {name!r}, which is {_find_file(other)}, "
                f"but {package!r} is already the name of {_find_file(_find_own(package))}",
                hint="rename your module",
            )


def _find_own(name: str) -> ModuleSpec | None:
    return PathFinder.find_spec(name, [str(ROOT)])


def _find_elsewhere(name: str) -> ModuleSpec | None:
    """Find a module on the path or in the current folder, without our own folder and without importing its package."""
    path: Iterable[str] = [entry for entry in (*sys.path, str(Path.cwd())) if Path(entry).resolve() != ROOT]
    parts = name.split(".")
    spec = None
    for count in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:count]), list(path))
        path = spec.submodule_search_locations or () if spec else ()
    return spec


def _find_file(spec: ModuleSpec | None) -> Path:
    """Return the file of a module, or the folder of a package without `__init__.py`."""
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(spec.origin if spec and spec.origin else [*folders, "."][0]).resolve()
