"""What must hold once all is settled, whatever was killed: the invariants of the node, checked from outside.

Reads the catalog, the store, the job folders and what the PACS got. Gives breaches as plain lines; none is a pass.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from soak.storm import Ledger, data_set
from support.demo_pacs import Pacs

from dicom_node.catalog.database import Database
from dicom_node.catalog.deliveries import DeliveryState
from dicom_node.catalog.jobs import JobState
from dicom_node.catalog.queries import JobLine, StudyDetail, find_study, list_studies, show_study
from dicom_node.study.states import StudyState

SETTLED = frozenset({StudyState.DONE, StudyState.HELD, StudyState.NOT_PROCESSED, StudyState.FAILED})


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Breaches, and what was counted on the way."""

    breaches: tuple[str, ...]
    snapshots: int
    results: int
    """SEG and SR objects that the PACS has."""
    sent_twice: int
    """Objects that came more than once, with the same bytes."""


def unsettled(storage: Path) -> int:
    """How many studies are on their way still."""
    database = _database(storage)
    try:
        with database.read() as connection:
            return sum(line.state not in SETTLED for line in list_studies(connection, limit=100_000))
    finally:
        database.close()


def judge(storage: Path, ledger: Ledger, pacs: Pacs) -> Verdict:
    """Compare what was acknowledged and owed with what is there."""
    details = _details(storage, ledger)
    received: dict[str, set[bytes]] = {}
    for uid, data in pacs.got:
        received.setdefault(uid, set()).add(data)
    jobs = [job for detail in details.values() if detail for job in detail.jobs]
    breaches = [
        *_lost(storage, ledger.acknowledged),
        *_unprocessed(details),
        *_uncovered(ledger, details),
        *_results(storage, jobs, received),
        *_halves(storage),
    ]
    return Verdict(
        breaches=tuple(breaches),
        snapshots=len(jobs),
        results=len(received),
        sent_twice=len(pacs.got) - len(received),
    )


def _database(storage: Path) -> Database:
    return Database(f"sqlite:///{storage / 'catalog.sqlite'}")


def _details(storage: Path, ledger: Ledger) -> Mapping[str, StudyDetail | None]:
    database = _database(storage)
    found: dict[str, StudyDetail | None] = {}
    with database.read() as connection:
        known = {line.id for line in list_studies(connection, limit=100_000)}
        for uid in ledger.studies:
            study_id = find_study(connection, uid)
            found[uid] = show_study(connection, study_id) if study_id in known else None
    database.close()
    return found


def _lost(storage: Path, acknowledged: Mapping[str, bytes]) -> list[str]:
    """Each object that was answered by 0x0000 lies in the store with the bytes that were sent."""
    stored: dict[str, set[bytes]] = {}
    for path in storage.glob("instances/*/*.dcm"):
        uid, data = data_set(path)
        stored.setdefault(uid, set()).add(data)
    gone = [uid for uid in acknowledged if uid not in stored]
    altered = [uid for uid, data in acknowledged.items() if uid in stored and stored[uid] != {data}]
    return [f"acknowledged and lost: {uid}" for uid in gone] + [f"stored with other bytes: {uid}" for uid in altered]


def _unprocessed(details: Mapping[str, StudyDetail | None]) -> list[str]:
    lines = []
    for uid, detail in details.items():
        if detail is None:
            lines.append(f"no such study in the catalog: {uid}")
        elif detail.line.state is not StudyState.DONE:
            lines.append(f"study {detail.line.id} ended as {detail.line.state}: {detail.line.reason}")
    return lines


def _uncovered(ledger: Ledger, details: Mapping[str, StudyDetail | None]) -> list[str]:
    """The newest finished snapshot of each study holds all of its series."""
    lines = []
    for uid, detail in details.items():
        finished = [job for job in detail.jobs if job.state is JobState.COMPLETED] if detail else []
        used = sum(use.state == "used" for use in finished[0].outcome.slots) if finished and finished[0].outcome else 0
        if used != len(ledger.studies[uid].series):
            lines.append(f"study {uid}: {used} sequences used of {len(ledger.studies[uid].series)} sent")
    return lines


def _results(storage: Path, jobs: list[JobLine], received: Mapping[str, set[bytes]]) -> list[str]:
    """Exactly the delivered results are in the PACS, both objects of each, with the bytes that the worker wrote."""
    lines = [f"two different contents under one UID: {uid}" for uid, data in received.items() if len(data) != 1]
    owed: dict[str, str] = {}
    for job in jobs:
        if job.outcome is None or not job.deliveries:
            continue
        states = {delivery.state for delivery in job.deliveries}
        uids = {product.sop_instance_uid: product for product in job.outcome.products}
        there = [uid for uid in uids if uid in received]
        if states == {DeliveryState.DELIVERED}:
            lines += [f"job {job.id}: delivered, and the PACS lacks {uid}" for uid in uids if uid not in received]
            lines += [f"job {job.id}: the kinds of objects are {len(uids)}"] * (len(uids) != 2)
        elif there:
            lines.append(f"job {job.id}: {sorted(states)}, and the PACS has {len(there)} of its objects")
        for uid, product in uids.items():
            if uid in owed:
                lines.append(f"jobs {owed[uid]} and {job.id} share a UID")
            owed[uid] = job.id
            lines += _bytes(
                storage / "jobs" / job.id / "outcome" / product.file_name, product.sha256, received.get(uid)
            )
    return lines + [f"the PACS has an object that no job made: {uid}" for uid in received if uid not in owed]


def _bytes(path: Path, sha256: str, received: set[bytes] | None) -> list[str]:
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        return [f"{path.parent.parent.name}: {path.name} is not what the worker wrote"]
    if received is not None and received != {data_set(path)[1]}:
        return [f"{path.parent.parent.name}: the PACS got other bytes than {path.name}"]
    return []


def _halves(storage: Path) -> list[str]:
    """Nothing half-written stays: neither in the store's entrance nor as an outcome without its word."""
    lines = [f"half an object: {path.name}" for path in storage.glob("incoming/*")]
    return lines + [
        f"an outcome without outcome.json: {path.parent.name}"
        for path in storage.glob("jobs/*/outcome")
        if not (path / "outcome.json").is_file()
    ]
