"""Run by alembic, with the connection that ``migrations`` opened: its transaction is not alembic's to end."""

from alembic import context

from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.migrations.stages import use_stages

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=tables.metadata,
    version_table=tables.VERSION_TABLE,
    render_as_batch=connection.dialect.name == "sqlite",
)
if context.config.attributes["in_stages"]:
    use_stages(context.get_context())
context.run_migrations()
