"""Every command of the documentation works: a test runs the commands of each page in order, in one shell."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Dev, start_dev, stop_dev
from tests.docs.blocks import NOT_RUN, ROOT, Block, list_commands, list_pages, read_blocks
from tests.docs.shell import PageShell, find_free_port, make_environment

pytestmark = [pytest.mark.slow, pytest.mark.temporal]
OTHERS = {
    "docs/actions.md": "tests/docs/test_action_project.py",
}
"""Pages whose commands other tests run."""
LONG = (
    "docs/api.md",
    "docs/how-to/approve.md",
    "docs/how-to/ci.md",
    "docs/how-to/migrate.md",
    "docs/how-to/repair.md",
    "docs/how-to/secrets.md",
    "docs/how-to/test.md",
    "docs/how-to/webhooks.md",
    "docs/tutorial.md",
    "docs/upgrade.md",
)


def is_run(block: Block) -> bool:
    return block.language == "console" and not block.remark.startswith(NOT_RUN)


PAGES = {
    name: blocks
    for page in list_pages()
    if (name := str(page.relative_to(ROOT))) not in OTHERS
    if any(map(is_run, blocks := read_blocks(page)))
}


@pytest.fixture(scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    """One server for all pages that do not start their own."""
    running = await start_dev(tmp_path_factory.mktemp("dev") / "home")
    yield running
    assert (await stop_dev(running)).code == 0


def starts_dev(page: str) -> bool:
    return any("$ orchestrator dev" in block.text for block in PAGES[page])


def mark(page: str) -> Any:
    return pytest.param(page, marks=pytest.mark.long) if page in LONG else page


def test_pages_that_take_long_exist() -> None:
    assert set(LONG) <= PAGES.keys()


@pytest.mark.parametrize("page", [mark(page) for page in PAGES if starts_dev(page)])
async def test_the_commands_of_a_page_with_its_own_server_do_what_it_shows(page: str, tmp_path: Path) -> None:
    await run_page(PAGES[page], tmp_path, {"8080": find_free_port()}, {})


@pytest.mark.parametrize("page", [mark(page) for page in PAGES if not starts_dev(page)])
async def test_the_commands_of_a_page_do_what_it_shows(page: str, tmp_path: Path, dev: Dev) -> None:
    api = str(dev.ready["api"])

    await run_page(PAGES[page], tmp_path, {"8080": api.rpartition(":")[2]}, {"ORCHESTRATOR_API_URL": api})


async def run_page(blocks: list[Block], folder: Path, ports: dict[str, str], env: dict[str, str]) -> None:
    (folder / "page").mkdir()
    (folder / "page" / "examples").symlink_to(ROOT / "examples")
    ports |= {"9000": find_free_port()}

    async with PageShell(folder / "page", {**make_environment(folder), **env}, ports) as shell:
        for block in blocks:
            if block.file is not None:
                await shell.write_file(block.file, block.text)
            elif is_run(block):
                for command in list_commands(block):
                    assert await shell.run(command) is None, block.name
