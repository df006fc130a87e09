"""`store`: migrate the database of definitions, triggers, keys and the index of runs."""

import typer

from orchestrator.cli.environment import load_settings
from orchestrator.cli.output import print_line
from orchestrator.cli.signals import run_until_signal

app = typer.Typer(help="Migrate the database.", no_args_is_help=True)


@app.callback()
def define_group() -> None:
    """Migrate the database."""


@app.command()
def migrate() -> None:
    """Migrate the database to this release.

    It is the one of ORCHESTRATOR_DATABASE_URL. Run it before the new release starts.
    """
    from orchestrator.store.database import create_database, get_database_url

    async def work() -> bool:
        database = create_database(get_database_url(load_settings()))
        try:
            done = await database.migrate()
            await database.check()
        finally:
            await database.aclose()
        return done

    newer = "the database belongs to a newer release; nothing was changed"
    print_line("the database is up to date" if run_until_signal(work()) else newer)
