"""The tables of the catalog. The rooms of catalog/ use them; migrations/ builds them; a test holds the two equal.

Keys of studies and series are our own digests of their UIDs, so a catalog that was rebuilt from the store has the
same ids. What a peer sent is only ever a bound parameter. No patient identifiers: whose an object is stands as a digest.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
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

ID_DIGITS = 32
"""Hex digits of the ids of studies and series: 128 bits, so that no peer can make two UIDs collide."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, in UTC, on databases with and without time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Naive times are refused with ValueError."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the catalog takes aware times only")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def id_of(*uids: str) -> str:
    """Our own id for what these UIDs name: `ID_DIGITS` hex digits."""
    return hashlib.sha256("\0".join(uids).encode()).hexdigest()[:ID_DIGITS]


def _moment(name: str, *, known: bool = True) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=not known)


def _of_study(**options: Any) -> Column[Any]:
    return Column(
        "study_id", String(ID_DIGITS), ForeignKey("studies.study_id", ondelete="CASCADE"), nullable=False, **options
    )


def _of_job(**options: Any) -> Column[Any]:
    return Column("job_id", String(64), ForeignKey("jobs.job_id", ondelete="CASCADE"), nullable=False, **options)


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
    Column("study_id", String(ID_DIGITS), primary_key=True),
    Column("study_instance_uid", Text, nullable=False, unique=True),
    Column("patient_digest", Text, nullable=False),  # whose objects take part in a snapshot
    Column("keeps", String(8), nullable=False),  # study.states.Keep: which content of a doubled UID takes part
    Column("state", String(16), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    _moment("changed_at"),
    _moment("first_object_at"),
    _moment("last_object_at"),
    _moment("waiting_since", known=False),  # the first object that no decision has seen yet
    Column("objects", Integer, nullable=False),  # counts every stored object: a new number says that something came
    Column("current_job_id", String(64), nullable=True),
)

series = Table(
    "series",
    metadata,
    Column("series_id", String(ID_DIGITS), primary_key=True),
    _of_study(index=True),
    Column("series_instance_uid", Text, nullable=False),
    Column("slot", String(16), nullable=True),
    Column("chosen", Boolean, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("reasons", Text, nullable=False),  # JSON list
    Column("description", Text, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # the order of arrival
    _of_study(index=True),
    Column(
        "series_id", String(ID_DIGITS), ForeignKey("series.series_id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("sop_instance_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("patient_digest", Text, nullable=False),
    Column("path", Text, nullable=False, index=True),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("headers", Text, nullable=False),  # JSON object
    Column("calling_ae_title", Text, nullable=False),
    Column("peer_address", Text, nullable=False),
    _moment("received_at"),
    UniqueConstraint("sop_instance_uid", "sha256"),
)

holds = Table(
    "holds",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    _of_study(index=True),
    Column("reason", Text, nullable=False),
    _moment("made_at"),
    _moment("released_at", known=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("job_id", String(64), primary_key=True),
    _of_study(index=True),
    Column("digest", String(64), nullable=False),
    _moment("created_at"),
    Column("predecessor_job_id", String(64), nullable=True),
    Column("request", Text, nullable=False),  # the JobRequest as JSON; immutable
)

jobs = Table(
    "jobs",
    metadata,
    Column(
        "job_id", String(64), ForeignKey("snapshots.job_id", ondelete="CASCADE"), primary_key=True
    ),
    _of_study(index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    _moment("created_at"),
    _moment("finished_at", known=False),
    Column("attempts_before", Integer, nullable=False),  # attempts made before a person asked for another round
    Column("outcome_attempt", Integer, nullable=True),
    Column("outcome", Text, nullable=True),  # the JobOutcome as JSON
)

attempts = Table(
    "attempts",
    metadata,
    _of_job(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("rings", Integer, nullable=False),
    _moment("rung_at"),
    _moment("began_at", known=False),
    _moment("ended_at", known=False),
    Column("reason", Text, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Integer, primary_key=True, autoincrement=True),
    _of_study(index=True),
    _of_job(),
    Column("destination", Text, nullable=False),
    Column("commitment", Boolean, nullable=False),  # counts as sent only once the destination committed to it
    Column("state", String(16), nullable=False, index=True),
    Column("tries", Integer, nullable=False),  # that failed since the last success
    Column("reason", Text, nullable=False),
    _moment("owed_since"),
    _moment("next_try_at"),
    _moment("claimed_until", known=False),
    Column("claimed_by", Text, nullable=False),
    _moment("finished_at", known=False),
    UniqueConstraint("job_id", "destination"),
)

delivery_items = Table(
    "delivery_items",
    metadata,
    Column(
        "delivery_id", Integer, ForeignKey("deliveries.delivery_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("position", Integer, primary_key=True),  # the order of sending: reports last
    Column("product", String(32), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    Column("series_instance_uid", Text, nullable=False),
    _moment("sent_at", known=False),
    _moment("committed_at", known=False),
)

commitments = Table(
    "commitments",
    metadata,
    Column("transaction_uid", Text, primary_key=True),
    Column(
        "delivery_id", Integer, ForeignKey("deliveries.delivery_id", ondelete="CASCADE"), nullable=False, index=True
    ),
    _moment("requested_at"),
    _moment("expires_at"),
    _moment("answered_at", known=False),
    Column("result", Text, nullable=False),
)

presences = Table(
    "presences",
    metadata,
    Column("association_id", String(64), primary_key=True),
    Column("study_id", String(ID_DIGITS), primary_key=True),
    _moment("seen_at"),
    Index(None, "study_id"),
)

expired_paths = Table(
    "expired_paths",
    metadata,
    Column("path", Text, primary_key=True),  # under the storage root; its rows are gone, the file goes next
)
