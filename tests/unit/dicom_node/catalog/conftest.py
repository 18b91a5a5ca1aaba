"""Fixtures: catalogs on SQLite and PostgreSQL."""

from support.databases import database, database_url, postgresql_folder, sqlite, sqlite_url

__all__ = ["database", "database_url", "postgresql_folder", "sqlite", "sqlite_url"]
