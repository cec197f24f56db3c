"""Run by alembic, with the connection that ``migrations.upgrade`` opened."""

from alembic import context

from portal_actions_plugin.columns import Base
from portal_actions_plugin.models import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
