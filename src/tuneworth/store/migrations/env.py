"""Run by Alembic. The connection comes from `tuneworth.store.migrate`, already inside one transaction."""

from alembic import context

from tuneworth.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
