"""The truth of what is owed: SQLAlchemy Core tables over SQLite or PostgreSQL (design, invariant 2).

Read tables.py, then database.py (one writer at a time, on both databases), then one file for each noun:
intake.py and presences.py (written by the receiver), studies.py, jobs.py, deliveries.py (by the coordinator),
queries.py (read by people), retention.py (forgets what is done).
"""
