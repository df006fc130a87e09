"""How Alembic reaches the database: by the connection that `Database.migrate` hands over."""

from alembic import context

from orchestrator.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
# The transaction is the caller's: all steps or none.
context.run_migrations()
