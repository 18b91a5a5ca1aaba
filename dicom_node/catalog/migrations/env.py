"""Runs the migrations on the connection that database.py hands over. Alembic loads this file; nothing imports it."""

from alembic import context

from dicom_node.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
