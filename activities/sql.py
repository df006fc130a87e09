"""`sql.query`: run one SQL statement on a named connection, with bound parameters only."""

import asyncio
import base64
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.registry import NO_TEMPLATES, ActionContext, ActionFailed, action

MAX_ROWS = 10_000
MAX_DATABASE_MESSAGE = 500
"""Characters of the database's own message in an error."""
ARGUMENT_VALUE = re.compile(r"(query argument \$\d+): .* (?=\()", re.DOTALL)
"""The value in asyncpg's message: cut to 40 characters, it would not be found if it was a secret."""


NOT_WORDS = re.compile(r"'[^']*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$", re.DOTALL)
"""Literals, quoted names and comments of SQL."""
WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9$]*")
CHANGING = frozenset({"insert", "update", "delete", "merge", "into"})


class Query(BaseModel):
    """Parameters of `sql.query`."""

    model_config = ConfigDict(extra="forbid")

    connection: str = Field(description="Name of a connection of the customer in `ORCHESTRATOR_SQL_CONNECTIONS`.")
    statement: str = Field(
        description="One SQL statement, with parameters written as `:name`. Templates are not allowed in it.",
        min_length=1,
        max_length=100_000,
        json_schema_extra=NO_TEMPLATES,
    )
    parameters: dict[str, Any] = Field({}, description="Values of the parameters, by name.")
    limit: int = Field(
        1_000,
        ge=1,
        le=MAX_ROWS,
        description="Maximum number of rows; if there are more, the step fails and nothing is changed.",
    )


class Rows(BaseModel):
    """Result of `sql.query`."""

    rows: list[dict[str, Any]] = Field([], description="Rows, each an object with the names of its columns.")
    row_count: int = Field(0, description="Number of rows returned or changed.")


@action("sql.query", timeout_seconds=60, heartbeat_seconds=10)
async def query(parameters: Query, context: ActionContext) -> Rows:
    """Run an SQL statement in a session and a transaction of its own. Dates and decimals are returned as text."""
    if "{{" in parameters.statement:
        raise _make_validation_error(
            "the statement contains a template: write `:name` instead, and pass the value in `parameters`"
        )
    try:
        engine = context.resources.get_engine(parameters.connection, context.customer_id)
        async with (
            context.resources.get_sql_slot(parameters.connection, context.customer_id),
            engine.connect() as session,
        ):
            row_count, fetched = await _run(session, parameters)
            if fetched is not None and len(fetched) > parameters.limit:
                raise ActionFailed(
                    f"the statement returned more than {parameters.limit} rows and was rolled back: "
                    "narrow it, or raise `limit`",
                    recoverable=False,
                )
            await session.commit()
    except (OperationalError, InterfaceError) as error:
        raise ActionFailed(f"cannot query the database: {_describe_database_error(error, context)}") from error
    except DBAPIError as error:
        raise ActionFailed(
            f"the database rejected the statement: {_describe_database_error(error, context)}", recoverable=False
        ) from error
    except (SQLAlchemyError, ArgumentError) as error:
        # Its text would end with the parameters, of which SQLAlchemy cuts long ones: no secret would be found in them.
        raise _make_validation_error(f"invalid statement: {error.args[0] if error.args else error}") from error
    except OSError as error:
        raise ActionFailed(f"cannot reach the database: {error}") from error
    if fetched is None:
        return Rows(row_count=max(row_count, 0))
    rows = [{str(name): _convert_to_json(value) for name, value in row.items()} for row in fetched]
    return Rows(rows=rows, row_count=len(rows))


Fetched = tuple[int, Sequence[RowMapping] | None]
"""Number of changed rows, and the first `limit + 1` rows; None of a statement that returns none."""


async def _run(session: AsyncConnection, parameters: Query) -> Fetched:
    if session.dialect.name != "sqlite":
        with _wrap_fetch_errors(session.dialect.driver):
            return await session.run_sync(_execute, parameters)
    # SQLite runs in a thread, which continues when the action is cancelled, and closing the session would wait for it.
    driver: Any = (await session.get_raw_connection()).driver_connection
    execution = asyncio.ensure_future(session.run_sync(_execute, parameters))
    try:
        return await asyncio.shield(execution)
    except asyncio.CancelledError:
        await driver.interrupt()
        await asyncio.gather(execution, return_exceptions=True)
        raise


@contextmanager
def _wrap_fetch_errors(driver: str) -> Iterator[None]:
    """Wrap errors of asyncpg's server-side cursors, which SQLAlchemy passes on, as it wraps other errors."""
    if driver != "asyncpg":
        yield
        return
    import asyncpg  # type: ignore[import-untyped]  # here, as it is installed with an extra

    try:
        yield
    except (asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
        raise OperationalError(None, None, error) from error
    except asyncpg.PostgresError as error:
        raise DBAPIError(None, None, error) from error


def _execute(connection: Connection, parameters: Query) -> Fetched:
    """Execute the statement and read no more rows than are needed."""
    is_sqlite = connection.dialect.name == "sqlite"
    statement, streamed = text(parameters.statement), is_sqlite or returns_rows(parameters.statement)
    result = connection.execute(statement, parameters.parameters, execution_options={"stream_results": streamed})
    if streamed and not is_sqlite and not result.returns_rows:
        # A server-side cursor executes a statement with the first fetch, and does not count the rows it has changed.
        connection.rollback()
        result = connection.execute(statement, parameters.parameters)
    if not result.returns_rows:
        return result.rowcount, None
    fetched = result.mappings().fetchmany(parameters.limit + 1)
    result.close()
    return len(fetched), fetched


def returns_rows(statement: str) -> bool:
    """Return whether a statement returns rows, as far as its words show; they may deceive."""
    words = [word.lower() for word in WORD.findall(NOT_WORDS.sub(" ", statement))]
    first, others = (words[0] if words else ""), frozenset(words)
    if "returning" in others or first in ("values", "table"):
        return True
    return first in ("select", "with") and not others & CHANGING


def _make_validation_error(message: str) -> ActionFailed:
    return ActionFailed(message, error_type="validation_error", recoverable=False)


def _describe_database_error(error: DBAPIError, context: ActionContext) -> str:
    """Return the database's own message, without the statement and its values; it is redacted before it is cut."""
    message = ARGUMENT_VALUE.sub(r"\1 ", str(error.orig))
    return context.redact(message)[:MAX_DATABASE_MESSAGE]


def _convert_to_json(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal() | UUID():
            return str(value)
        case bytes() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case list() | tuple():
            return [_convert_to_json(item) for item in value]
        case dict():
            return {str(key): _convert_to_json(item) for key, item in value.items()}
        case _:
            return str(value)
