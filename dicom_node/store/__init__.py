"""Instances on disk: atomic, durable, idempotent, named by our own hash. Knows no network and no database."""
