"""The distribution: declared dependencies and type markers."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("orchestrator", "activities", "api")
OF_OTHERS = {"pydantic_core"}
"""Released together with another package, which pins its exact version."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def list_declared() -> set[str]:
    extras = PROJECT["project"]["optional-dependencies"].values()
    requirements = [*PROJECT["project"]["dependencies"], *(each for extra in extras for each in extra)]
    return {normalize(re.split(r"[\[<>=!~; ]", each, maxsplit=1)[0]) for each in requirements}


def list_imports() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0]


def test_every_direct_import_is_declared() -> None:
    # anyio, httpcore, python-dotenv and starlette came along only as dependencies of others.
    declared, distributions = list_declared(), packages_distributions()
    imported = set(list_imports()) - sys.stdlib_module_names - set(PACKAGES) - OF_OTHERS
    undeclared = {
        name
        for name in imported
        if name in distributions and not {normalize(each) for each in distributions[name]} & declared
    }

    assert undeclared == set()


def test_an_extra_names_no_distribution_of_others() -> None:
    """`orchestrator` on the package index belongs to others: a dependency on it would fetch and run their code."""
    project = PROJECT["project"]
    own = [each for extra in project["optional-dependencies"].values() for each in extra if "[" in each]

    assert project["name"] == "durable-graphs"
    assert "orchestrator" not in list_declared()
    assert [each.partition("[")[0] for each in own if "sqlalchemy" not in each] == ["durable-graphs"]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_ships_its_types(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["*"]


def test_the_console_ships_with_the_api() -> None:
    """A wheel without it answered 500 at `/`."""
    shipped = PROJECT["tool"]["setuptools"]["package-data"]["api"]
    names = {path.name for pattern in shipped for path in (ROOT / "api").glob(pattern)}

    assert {"index.html", "console.js", "console.css"} <= names
    assert names == {path.name for path in (ROOT / "api" / "static").iterdir()}
