"""Builds what the receiver hands to the intake: records of stored objects, whole series of them.

    objects = received_series(SequenceSlot.FLAIR, study="7", count=12)

Equal arguments give equal UIDs and digests. The series description names the slot, which `classify` reads.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dicom_node.contract.slots import SequenceSlot
from dicom_node.records import ReceivedInstance, SeriesVerdict, StoredFile, StudyVerdict

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPACING_MM = 12.0
"""So that the twelve slices of `received_series` cover a head."""


def received(
    *,
    study: str = "1",
    series: str = "1",
    number: int = 1,
    patient: str = "one",
    content: str = "",
    description: str = "",
    headers: Mapping[str, object] | None = None,
    root: Path | None = None,
) -> ReceivedInstance:
    """One object; `content` makes other bytes under the same UID. With `root` its file lies in the store."""
    uid = f"1.2.{study}.{series}.{number}"
    sha256 = hashlib.sha256(f"{uid}/{patient}/{content}".encode()).hexdigest()
    path = f"instances/{sha256[:2]}/{sha256}.dcm"
    if root is not None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(uid.encode())
    return ReceivedInstance(
        file=StoredFile(path=path, sha256=sha256, size_bytes=len(uid)),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid=uid,
        series_instance_uid=f"1.2.{study}.{series}",
        study_instance_uid=f"1.2.{study}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        patient_digest=hashlib.sha256(patient.encode()).hexdigest(),
        headers={
            "SeriesDescription": description,
            "ImagePositionPatient": [0.0, 0.0, SPACING_MM * number],
            **(headers or {}),
        },
        calling_ae_title="SENDER",
        peer_address="127.0.0.1",
        received_at=NOON,
    )


def received_series(
    slot: SequenceSlot | None,
    *,
    study: str = "1",
    series: str = "",
    count: int = 12,
    patient: str = "one",
    root: Path | None = None,
) -> list[ReceivedInstance]:
    """A series of a slot (None: of no slot), its objects in the order of their slices."""
    place = series or str(1 + list(SequenceSlot).index(slot) if slot else 9)
    return [
        received(
            study=study, series=place, number=number + 1, patient=patient, description=slot or "localizer", root=root
        )
        for number in range(count)
    ]


def classify(series: Sequence[Mapping[str, object]]) -> StudyVerdict:
    """A classifier for tests: the series description is the slot; the series with most objects is chosen."""
    chosen: dict[SequenceSlot, int] = {}
    verdicts = []
    for index, headers in enumerate(series):
        slot = next((slot for slot in SequenceSlot if slot == headers["SeriesDescription"]), None)
        verdicts.append(SeriesVerdict(slot=slot, confidence=0.9 if slot else 0.0, reasons=("the description says so",)))
        if slot is not None and (slot not in chosen or _count(headers) > _count(series[chosen[slot]])):
            chosen[slot] = index
    return StudyVerdict(chosen=chosen, series=tuple(verdicts))


def _count(headers: Mapping[str, object]) -> int:
    count = headers["NumberOfSeriesRelatedInstances"]
    assert isinstance(count, int)
    return count
