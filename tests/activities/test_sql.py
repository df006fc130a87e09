"""`sql.query` on SQLite and on PostgreSQL."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import ProgrammingError

import activities.sql as sql_action
from tests.activities.conftest import Caller


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def sql(request: pytest.FixtureRequest, make_caller: Any, tmp_path: Path) -> Caller:
    url = (
        SecretStr(f"sqlite+aiosqlite:///{tmp_path}/data.db?mode=rwc")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres")
    )
    made: Caller = make_caller(sql_connections={"crm": {"url": url, "customers": ["c"]}})
    return made


async def test_statements_with_bound_values(sql: Caller) -> None:
    async def ask(statement: str, **more: Any) -> Any:
        return await sql("sql.query", {"connection": "crm", "statement": statement, **more})

    await ask("drop table if exists people")
    await ask("create table people (id integer, name varchar(50))")
    sent = {"id": 1, "name": "x'; drop table people; --"}
    changed = await ask("insert into people values (:id, :name)", parameters=sent)
    found = await ask("select * from people where name = :name", parameters={"name": sent["name"]})

    assert changed == {"rows": [], "row_count": 1}
    assert found == {"rows": [sent], "row_count": 1}


async def test_more_rows_than_the_limit_fail(sql: Caller) -> None:
    statement = "select 1 as n union all select 2 union all select 3"
    asked = {"connection": "crm", "statement": statement}

    assert (await sql("sql.query", {**asked, "limit": 3}))["row_count"] == 3
    assert (await sql.failure("sql.query", {**asked, "limit": 2})).non_retryable


async def test_no_more_rows_are_read_than_the_limit(sql: Caller) -> None:
    # The result was read whole before it was counted: the worker's memory held all rows of a table.
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
    async with asyncio.timeout(60):
        failure = await sql.failure("sql.query", {"connection": "crm", "statement": endless, "limit": 100})

    assert "more than 100 rows" in str(failure)


@pytest.mark.parametrize(
    "statement",
    ["delete from numbers returning n", "with x as (select 1) delete from numbers returning n"],
)
async def test_a_statement_that_returns_more_rows_than_the_limit_changes_nothing(sql: Caller, statement: str) -> None:
    """The transaction was committed before the rows were counted: they were deleted, and nobody received them."""

    async def ask(statement: str) -> Any:
        return (await sql("sql.query", {"connection": "crm", "statement": statement}))["rows"]

    await ask("drop table if exists numbers")
    await ask("create table numbers (n integer)")
    await ask("insert into numbers values (1), (2), (3)")
    failure = await sql.failure("sql.query", {"connection": "crm", "statement": statement, "limit": 2})

    assert failure.non_retryable
    assert await ask("select count(*) as n from numbers") == [{"n": 3}]


async def test_changes_are_counted_and_may_return_rows(sql: Caller) -> None:
    async def ask(statement: str) -> Any:
        return await sql("sql.query", {"connection": "crm", "statement": statement})

    await ask("drop table if exists numbers")
    await ask("create table numbers (n integer)")
    inserted = await ask("insert into numbers values (1), (2), (3) returning n")
    updated = await ask("update numbers set n = n + 1 where n > 1")
    deleted = await ask("delete from numbers where n < 4")

    assert inserted == {"rows": [{"n": 1}, {"n": 2}, {"n": 3}], "row_count": 3}
    assert [updated["row_count"], deleted["row_count"]] == [2, 2]
    assert await ask("select n from numbers") == {"rows": [{"n": 4}], "row_count": 1}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select 1", True),
        ("  (select 1) union all (select 2)", True),
        ("-- report\n/* all */ SELECT 'insert'", True),
        ("values (1), (2)", True),
        ("table people", True),
        ("with a as (select 1) select * from a", True),
        ("insert into t values (1) returning id", True),
        ("with a as (delete from t returning id) select * from a", True),
        ("select * into copy from t", False),
        ("with a as (select 1) delete from t", False),
        ("insert into t values ('returning')", False),
        ("create table t (n int)", False),
        ("", False),
    ],
)
def test_statements_that_return_rows_are_known(statement: str, expected: bool) -> None:
    assert sql_action.returns_rows(statement) is expected


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("statement", "row_count", "question", "expected"),
    [
        ("with moved as (delete from people returning *) insert into archive select * from moved", 2, "archive", 2),
        (
            r"with x as (select E'it\'s' as v) update people set name = x.v || '!' from x",
            *(2, "people where name = 'it''s!'", 2),
        ),
        ("with x as (select 3 as id) insert into people select id, 'c' from x", 1, "people", 3),
        ("with x as (delete from people returning id) select * from x", 2, "people", 0),
        ("insert into people values (3, 'c') returning id", 1, "people", 3),
        ("update people set name = 'returning', id = id + 2", 2, "people where id in (3, 4)", 2),
        ("select * into copy from people", 2, "copy", 2),
        ("do $$ begin delete from people; end $$", 0, "people", 0),
    ],
)
async def test_each_statement_takes_effect_once_and_is_counted(
    make_caller: Any, postgres: SecretStr, statement: str, row_count: int, question: str, expected: int
) -> None:
    """The words of the first two deceive: streamed, they said 0 rows, and only the first fetch executes them."""
    call = make_caller(sql_connections={"crm": own(postgres)})

    async def ask(statement: str) -> Any:
        return await call("sql.query", {"connection": "crm", "statement": statement})

    await ask("drop table if exists people, archive, copy")
    await ask("create table people as select * from (values (1, 'a'), (2, 'b')) as people (id, name)")
    await ask("create table archive (id integer, name text)")
    result = await ask(statement)

    assert result["row_count"] == row_count
    assert (await ask(f"select count(*) as n from {question}"))["rows"] == [{"n": expected}]


@pytest.mark.parametrize(
    "parameters",
    [
        {"connection": "other", "statement": "select 1"},
        {"connection": "crm", "statement": "select * from nowhere_at_all where x = {{ input.x }}"},
        {"connection": "crm", "statement": "select :missing"},
    ],
)
async def test_an_invalid_query_is_not_retried(sql: Caller, parameters: Any) -> None:
    failure = await sql.failure("sql.query", parameters)

    assert failure.non_retryable


@pytest.mark.postgresql
async def test_dates_and_decimals_become_text(make_caller: Any, postgres: SecretStr) -> None:
    call = make_caller(sql_connections={"crm": {"url": postgres, "customers": ["c"]}})
    statement = "select date '2026-01-02' as d, 1.50::numeric as n, 'ab'::bytea as b, array[1,2] as l"

    result = await call("sql.query", {"connection": "crm", "statement": statement})

    assert result["rows"] == [{"d": "2026-01-02", "n": "1.50", "b": "YWI=", "l": [1, 2]}]


@pytest.mark.parametrize(
    "message",
    [
        "invalid input for query argument $1: '{cut}... ('str' object cannot be interpreted as an integer)",
        "{padding}{secret}",
    ],
)
async def test_no_part_of_a_secret_is_in_the_message_of_a_database(
    make_caller: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    """asyncpg quotes 40 characters of an argument, and we cut the message itself: no part was redacted."""
    secret = "sk_live_" + "abcdefgh" * 10
    secrets_file = tmp_path / "secrets.json"
    secrets_file.write_text(json.dumps({"c": {"key": secret}}))
    text = message.format(cut=secret[:39], padding="x" * 450, secret=secret)

    async def fail(*_: Any) -> None:
        raise ProgrammingError("select :key", {"key": secret}, ValueError(text))

    monkeypatch.setattr(sql_action, "_run", fail)
    call = make_caller(
        sql_connections={"crm": own(SecretStr(f"sqlite+aiosqlite:///{tmp_path}/data.db?mode=rwc"))},
        secrets_file=secrets_file,
    )

    failure = await call.failure(
        "sql.query",
        {"connection": "crm", "statement": "select :key", "parameters": {"key": None}},
        secrets={"/parameters/key": [{"secret": "key"}]},
    )

    assert "sk_live" not in str(failure)
    assert failure.message.startswith("the database rejected the statement")


async def test_the_values_of_a_statement_are_in_no_message(sql: Caller) -> None:
    """SQLAlchemy's text ends with the parameters, and the middle of long ones is cut out."""
    parameters = {"key": "sk_live_" + "abcdefgh" * 100}

    failure = await sql.failure(
        "sql.query", {"connection": "crm", "statement": "select :key, :missing", "parameters": parameters}
    )

    assert "missing" in failure.message
    assert "sk_live" not in failure.message


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("insert into codes values (:code) returning code", "duplicate key value violates unique constraint"),
        ("select 1 / (length(code) - length(:code)) as n from codes", "division by zero"),
        # The first 50 rows are read as the statement is executed.
        ("select 1 / (n - 100 + length(:code) * 0) as n from generate_series(1, 200) as n", "division by zero"),
    ],
)
async def test_an_error_while_rows_are_read_is_one_of_the_statement(
    make_caller: Any, postgres: SecretStr, tmp_path: Path, statement: str, message: str
) -> None:
    """SQLAlchemy does not wrap errors of server-side cursors: the step was retried, and they were not redacted."""
    secrets_file = tmp_path / "secrets.json"
    secrets_file.write_text(json.dumps({"c": {"key": "sk_live_abcdefgh"}}))
    call = make_caller(sql_connections={"crm": own(postgres)}, secrets_file=secrets_file)

    async def ask(statement: str) -> None:
        await call("sql.query", {"connection": "crm", "statement": statement})

    await ask("drop table if exists codes")
    await ask("create table codes (code text primary key)")
    await ask("insert into codes values ('sk_live_abcdefgh')")
    failure = await call.failure(
        "sql.query",
        {"connection": "crm", "statement": statement, "parameters": {"code": None}},
        secrets={"/parameters/code": [{"secret": "key"}]},
    )

    assert failure.message.startswith(f"the database rejected the statement: {message}")
    assert failure.non_retryable
    assert "sk_live" not in str(failure)


# Customers apart.


def own(url: Any) -> dict[str, Any]:
    """Return a connection of the customer that runs the actions here."""
    return {"url": url, "customers": ["c"]}


@pytest.fixture
def databases(tmp_path: Path) -> Path:
    """Two SQLite files: `crm.db`, which actions may query, and `service.db`, which they may not."""
    for name in ("crm", "service"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as database:
            database.execute("create table api_keys (name)")
            database.execute("insert into api_keys values (?)", [name])
            database.commit()
    return tmp_path


ATTACKS = [
    "attach '{folder}/service.db' as other",
    "attach 'file:{folder}/service.db?mode=rw' as other",
    "detach main",
    "vacuum into '{folder}/copy.db'",
    "pragma database_list",
    "select file from pragma_database_list",
    "pragma journal_mode = delete",
    "pragma temp_store_directory = '{folder}'",
    "pragma writable_schema = 1",
    "select load_extension('{folder}/x.so')",
]


@pytest.mark.parametrize("mode", ["", "?mode=rw", "?mode=rwc"])
@pytest.mark.parametrize("statement", ATTACKS)
async def test_sqlite_reaches_no_other_file(databases: Path, make_caller: Any, statement: str, mode: str) -> None:
    """ATTACH of the service's own database, and an insert into `api_keys`, made a tenant an administrator."""
    call = make_caller(sql_connections={"crm": own(f"sqlite+aiosqlite:///{databases}/crm.db{mode}")})

    failure = await call.failure(
        "sql.query", {"connection": "crm", "statement": statement.replace("{folder}", str(databases))}
    )

    assert failure.type == "action_error"
    assert "no such" not in str(failure)
    assert not (databases / "copy.db").exists()


@pytest.mark.parametrize(
    "statement",
    ["insert into api_keys values (1)", "delete from api_keys", "drop table api_keys", "create temp table x (a)"],
)
async def test_sqlite_is_read_only_unless_configured(databases: Path, make_caller: Any, statement: str) -> None:
    url = f"sqlite+aiosqlite:///{databases}/crm.db"
    call = make_caller(sql_connections={"crm": own(url), "writable": own(f"{url}?mode=rw")})

    rows = await call("sql.query", {"connection": "crm", "statement": "select name from api_keys"})
    failure = await call.failure("sql.query", {"connection": "crm", "statement": statement})
    await call("sql.query", {"connection": "writable", "statement": statement})

    assert rows["rows"] == [{"name": "crm"}]
    assert failure.type == "action_error"


async def test_sqlite_may_describe_its_tables(databases: Path, make_caller: Any) -> None:
    call = make_caller(sql_connections={"crm": own(f"sqlite+aiosqlite:///{databases}/crm.db")})

    rows = await call("sql.query", {"connection": "crm", "statement": "pragma table_info(api_keys)"})

    assert rows["rows"][0]["name"] == "name"


async def test_a_missing_sqlite_file_is_not_created(tmp_path: Path, make_caller: Any) -> None:
    call = make_caller(sql_connections={"crm": own(f"sqlite+aiosqlite:///{tmp_path}/none.db")})

    failure = await call.failure("sql.query", {"connection": "crm", "statement": "select 1"})

    assert failure.type == "action_error"
    assert list(tmp_path.iterdir()) == []


async def test_a_cancelled_sqlite_statement_stops(databases: Path, make_caller: Any) -> None:
    call = make_caller(sql_connections={"crm": own(f"sqlite+aiosqlite:///{databases}/crm.db")})
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    running = asyncio.create_task(call("sql.query", {"connection": "crm", "statement": endless}))
    await asyncio.sleep(0.3)  # the statement is running in its thread by now; if it is not, the test is only weaker

    running.cancel()
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await running


@pytest.mark.postgresql
async def test_nothing_of_a_session_is_left_for_the_next(make_caller: Any, postgres: SecretStr) -> None:
    """Temporary tables, settings and locks of one customer were there for the next one on the same connection."""
    call = make_caller(sql_connections={"crm": own(postgres)})

    async def ask(statement: str) -> Any:
        return (await call("sql.query", {"connection": "crm", "statement": statement}))["rows"]

    await ask("create temp table mine as select 1 as secret")
    await ask("set application_name = 'mine'")
    await ask("select pg_advisory_lock(1)")

    assert (await call.failure("sql.query", {"connection": "crm", "statement": "select * from mine"})).non_retryable
    assert await ask("select current_setting('application_name') = 'mine' as kept") == [{"kept": False}]
    assert await ask("select pg_try_advisory_lock(1) as free") == [{"free": True}]


@pytest.mark.postgresql
async def test_numbers_that_json_cannot_hold_become_text(make_caller: Any, postgres: SecretStr) -> None:
    call = make_caller(sql_connections={"crm": own(postgres)})

    rows = await call("sql.query", {"connection": "crm", "statement": "select 'NaN'::float8 as a, 1.5::float8 as b"})

    assert rows["rows"] == [{"a": "nan", "b": 1.5}]
