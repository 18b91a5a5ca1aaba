"""The truth of what is owed (design, invariant 2): SQLAlchemy 2 Core over SQLite or PostgreSQL, migrated by Alembic.

Read tables.py, database.py (one writer at a time), intake.py (objects in), studies.py, jobs.py, deliveries.py (what is
owed), ledger.py (what the courier sees of it), queries.py (what people ask), retention.py (what is forgotten). No
patient identifiers: a digest stands for one.
"""
