"""The snapshot of a complete study: which series the model gets, every object with its digest, and why. Pure.

Called by lifecycle.py. The same objects give the same digest, whatever the order in which they came (design,
invariant 3).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dicom_node.contract.messages import InstanceRef, JobRequest, Product, SnapshotSeries
from dicom_node.contract.slots import SequenceSlot
from dicom_node.records import StudyVerdict


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownSeries:
    """A series of the catalog with its objects."""

    series_instance_uid: str
    headers: Mapping[str, object]
    """Of its first object, with NumberOfSeriesRelatedInstances as received."""
    instances: tuple[InstanceRef, ...]
    positions_mm: tuple[tuple[float, float, float] | None, ...]

    @property
    def frames(self) -> int:
        """Frames of a multi-frame object; 1 for classic MR."""
        value = self.headers.get("NumberOfFrames", 1)
        return int(value) if isinstance(value, int | float | str) and str(value).isdigit() else 1


def snapshot_series(known: Sequence[KnownSeries], verdict: StudyVerdict) -> tuple[SnapshotSeries, ...]:
    """Every series of the study as it goes into the request; instances for the chosen ones only."""
    chosen = {index: slot for slot, index in verdict.chosen.items()}
    made = []
    for index, (series, said) in enumerate(zip(known, verdict.series, strict=True)):
        instances = sorted(series.instances, key=lambda ref: (ref.sop_instance_uid, ref.sha256))
        made.append(
            SnapshotSeries(
                series_instance_uid=series.series_instance_uid,
                slot=chosen.get(index, said.slot),
                chosen=index in chosen,
                confidence=said.confidence,
                reasons=said.reasons,
                description=str(series.headers.get("SeriesDescription") or ""),
                instances=tuple(instances) if index in chosen else (),
            )
        )
    return tuple(sorted(made, key=lambda series: series.series_instance_uid))


def digest(series: Sequence[SnapshotSeries]) -> str:
    """SHA-256 over slots, series and objects of the chosen series."""
    content = sorted(
        [str(one.slot), one.series_instance_uid, sorted([ref.sop_instance_uid, ref.sha256] for ref in one.instances)]
        for one in series
        if one.chosen
    )
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def make_request(
    *,
    study_instance_uid: str,
    series: tuple[SnapshotSeries, ...],
    products: tuple[Product, ...],
    created_at: datetime,
    predecessor_job_id: str | None,
) -> JobRequest:
    """The job of a snapshot. Its id follows from study and snapshot alone."""
    snapshot = digest(series)
    return JobRequest(
        job_id=hashlib.sha256(f"{study_instance_uid}/{snapshot}".encode()).hexdigest()[:32],
        study_instance_uid=study_instance_uid,
        snapshot_digest=snapshot,
        created_at=created_at.replace(microsecond=0).isoformat(),
        series=series,
        products=products,
        predecessor_job_id=predecessor_job_id,
    )


def missing_required(verdict: StudyVerdict, required: Sequence[SequenceSlot]) -> str:
    """Why this verdict does not make a job; empty where it does."""
    if not verdict.chosen:
        return "no usable series: none of them belongs to one of the four slots"
    missing = [slot.label for slot in required if slot not in verdict.chosen]
    return f"required by study.required_slots but missing: {', '.join(missing)}" if missing else ""
