"""The tables of the catalog. The rooms of catalog/ use them; migrations/ builds them; a test holds the two equal.

What a peer sent is only ever a bound parameter. No patient identifiers: whose an object is stands as a digest.
"""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, in UTC, on databases with and without time zones. Naive times raise ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the catalog takes aware times only")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """JSON as text: a database's own JSON type refuses some of what headers hold (NUL, NaN)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _: Dialect) -> str | None:
        return None if value is None else json.dumps(value, default=str)

    def process_result_value(self, value: str | None, _: Dialect) -> Any:
        return None if value is None else json.loads(value)


def _number() -> Column[Any]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


def _moment(name: str, *, known: bool = True) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=not known)


def _text(name: str, *, default: str | None = None) -> Column[Any]:
    return Column(name, Text, nullable=False, default=default)


def _count(name: str, start: int) -> Column[Any]:
    return Column(name, Integer, nullable=False, default=start)


def _of_study() -> Column[Any]:
    return Column("study_id", String(16), ForeignKey("studies.id", ondelete="CASCADE"), nullable=False, index=True)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

studies = Table(
    "studies",
    metadata,
    Column("id", String(16), primary_key=True),  # intake.study_id: follows from the UID, so a rebuild gives it again
    Column("study_instance_uid", Text, nullable=False, unique=True),
    _text("patient_digest"),  # whose objects take part in a snapshot
    Column("keeps_latest", Boolean, nullable=False, default=False),  # which content of a doubled UID takes part
    Column("state", String(16), nullable=False, index=True),
    _text("reason", default=""),
    _moment("first_received_at"),  # of the objects that no snapshot has seen
    _moment("last_received_at"),
    _count("objects", 0),  # grows with every object: whoever saw the number saw the object
    Column("job_id", String(64), nullable=True),  # of the newest snapshot
    Column("verdict", JsonText, nullable=True),  # its series as sorted last: SnapshotSeries, instances counted
    _moment("created_at"),
    _moment("changed_at"),
)

series = Table(
    "series",
    metadata,
    _number(),
    _of_study(),
    _text("series_instance_uid"),
    _text("headers_of"),  # the smallest SOP Instance UID: the same whatever came first
    Column("headers", JsonText, nullable=False),  # of that object
    UniqueConstraint("study_id", "series_instance_uid"),
)

instances = Table(
    "instances",
    metadata,
    _number(),  # the order of arrival
    _of_study(),
    _text("series_instance_uid"),
    _text("sop_instance_uid"),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    _text("patient_digest"),
    Column("path", Text, nullable=False, index=True),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("position_mm", JsonText, nullable=True),
    _text("calling_ae_title"),
    _moment("received_at"),
    UniqueConstraint("sop_instance_uid", "sha256", "study_id"),
)

holds = Table(
    "holds",
    metadata,
    _number(),
    _of_study(),
    _text("reason"),
    _moment("created_at"),
    _moment("released_at", known=False),
)

presence = Table(
    "presence",
    metadata,
    Column("association_id", String(64), primary_key=True),
    Column("study_instance_uid", Text, primary_key=True),
    _text("receiver"),
    _moment("opened_at"),
    Index(None, "study_instance_uid"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    _of_study(),
    Column("snapshot_digest", String(64), nullable=False),
    _text("request"),  # the snapshot: a JobRequest as JSON, never changed
    Column("state", String(16), nullable=False, index=True),
    _text("reason", default=""),
    _count("attempt", 1),
    _count("first_attempt", 1),  # of this round: a person's retry begins a new one
    _count("rings", 0),  # of this attempt
    _moment("rung_at", known=False),
    _moment("begun_at", known=False),  # when this attempt was first seen to live
    Column("outcome", Text, nullable=True),  # the JobOutcome as JSON
    _moment("created_at"),
    _moment("finished_at", known=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String(64), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    _moment("rung_at"),
    _moment("begun_at", known=False),
    _moment("ended_at", known=False),
    _text("reason", default=""),
)

deliveries = Table(
    "deliveries",
    metadata,
    _number(),
    Column("job_id", String(64), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    _text("destination"),
    Column("state", String(16), nullable=False, index=True),
    _count("attempts", 0),  # that failed
    _text("reason", default=""),
    _moment("owed_since"),
    _moment("next_try_at", known=False),
    _moment("finished_at", known=False),
    UniqueConstraint("job_id", "destination"),
)

items = Table(
    "items",
    metadata,
    _number(),
    Column("delivery_id", Integer, ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("product", String(32), nullable=False),
    _text("file_name"),
    Column("sha256", String(64), nullable=False),
    _text("sop_class_uid"),
    _text("sop_instance_uid"),
    _text("series_instance_uid"),
)

commitments = Table(  # every transaction that a destination was asked to commit under: an old answer counts too
    "commitments",
    metadata,
    Column("transaction_uid", Text, primary_key=True),
    Column("delivery_id", Integer, ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False, index=True),
    _moment("asked_at"),
    _moment("answered_at", known=False),
    _text("answer", default=""),
)

expired_paths = Table(
    "expired_paths",
    metadata,
    Column("path", Text, primary_key=True),  # under the storage root: its rows are gone, what lies there goes next
)
