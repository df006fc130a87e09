"""Run the migrations on the connection that `Database.migrate` passes."""

from alembic import context

from orchestrator.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
# In the transaction of the caller, so that all migrations succeed or none.
context.run_migrations()
