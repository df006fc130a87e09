"""`sql.query` on SQLite and on PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.activities.conftest import Caller


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def sql(request: pytest.FixtureRequest, make_caller: Any, tmp_path: Path) -> Caller:
    url = (
        SecretStr(f"sqlite+aiosqlite:///{tmp_path}/data.db")
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
