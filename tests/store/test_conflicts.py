"""A transaction that PostgreSQL rolls back for the sake of another one is tried again, a few times."""

import ast
import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from orchestrator.settings import Settings
from orchestrator.store import database as module
from orchestrator.store.database import (
    MAX_ATTEMPTS,
    Database,
    TransactionConflict,
    create_database,
    get_database_url,
    retry_conflicts,
)
from tests.postgres import create_database_url

FOLDER = Path(module.__file__).parent
FAIL = "DO $$ BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '{}'; END $$"


class Accounts:
    """A store whose transactions lock two rows, in whatever order they are named."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.both_hold_one = asyncio.Barrier(2)
        self.attempts = 0

    async def create(self) -> None:
        async with self.database.write_transaction() as connection:
            await connection.execute(text("CREATE TABLE accounts (id text PRIMARY KEY, amount integer NOT NULL)"))
            await connection.execute(text("INSERT INTO accounts VALUES ('a', 0), ('b', 0)"))

    @retry_conflicts
    async def add_to_both(self, first: str, second: str) -> None:
        self.attempts += 1
        is_first_attempt = self.attempts <= 2
        async with self.database.write_transaction() as connection:
            await connection.execute(ADD, {"id": first})
            if is_first_attempt:
                await self.both_hold_one.wait()
            await connection.execute(ADD, {"id": second})

    @retry_conflicts
    async def fail(self, state: str, times: int) -> None:
        self.attempts += 1
        async with self.database.write_transaction() as connection:
            await connection.execute(ADD, {"id": "a"})
            if self.attempts <= times:
                await connection.execute(text(FAIL.format(state)))

    async def read(self) -> dict[str, int]:
        async with self.database.read_transaction() as connection:
            rows = await connection.execute(text("SELECT id, amount FROM accounts"))
            return {row.id: row.amount for row in rows}


ADD = text("UPDATE accounts SET amount = amount + 1 WHERE id = :id")


@pytest.fixture
async def accounts(postgres: str) -> Accounts:
    database = create_database(get_database_url(Settings(database_url=await create_database_url(postgres))))
    made = Accounts(database)
    await made.create()
    return made


@pytest.mark.postgresql
async def test_of_two_transactions_in_a_deadlock_both_succeed(accounts: Accounts) -> None:
    """The victim ended as "the database does not respond", 503, although it was there."""
    await asyncio.gather(accounts.add_to_both("a", "b"), accounts.add_to_both("b", "a"))

    assert (await accounts.read(), accounts.attempts) == ({"a": 2, "b": 2}, 3)
    await accounts.database.aclose()


@pytest.mark.postgresql
@pytest.mark.parametrize("state", module.CONFLICTS)
async def test_a_conflict_is_tried_again_and_leaves_nothing_twice(accounts: Accounts, state: str) -> None:
    await accounts.fail(state, MAX_ATTEMPTS - 1)

    assert (await accounts.read(), accounts.attempts) == ({"a": 1, "b": 0}, MAX_ATTEMPTS)
    await accounts.database.aclose()


@pytest.mark.postgresql
async def test_a_conflict_is_reported_after_a_few_attempts(accounts: Accounts) -> None:
    with pytest.raises(TransactionConflict, match=r"collided with another one: .*could not serialize access"):
        await accounts.fail("40001", 100)

    assert (await accounts.read(), accounts.attempts) == ({"a": 0, "b": 0}, MAX_ATTEMPTS)
    await accounts.database.aclose()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_every_method_that_writes_is_tried_again(path: Path) -> None:
    """A method whose transaction is one of several would repeat the others: so each has a transaction of its own."""
    methods = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.AsyncFunctionDef)]
    opened = {
        method.name: [
            node for node in ast.walk(method) if isinstance(node, ast.Attribute) and node.attr == "write_transaction"
        ]
        for method in methods
    }
    decorated = {
        method.name
        for method in methods
        for each in method.decorator_list
        if isinstance(each, ast.Name) and each.id == "retry_conflicts"
    }

    assert {name: len(places) for name, places in opened.items() if places} == dict.fromkeys(decorated, 1)
