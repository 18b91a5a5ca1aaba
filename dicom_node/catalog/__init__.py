"""The truth of what is owed (design, invariant 2): SQLAlchemy 2 Core over SQLite or PostgreSQL, migrated by Alembic.

Read tables.py, then database.py (one writer at a time), intake.py (objects in), studies.py, jobs.py, deliveries.py (what
is owed), queries.py (what people ask). Holds no patient identifiers: a digest stands for the patient.
"""
