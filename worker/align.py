"""All inputs on the model's grid: each series registered to the reference, checked, resampled; misaligned ones dropped.

Called by pipeline.py. A series that cannot be aligned is left out with its reason instead of being fused: input-level
dropout makes a missing sequence safe (design, invariant 6).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dicom_node.contract.messages import JobRequest, SlotState, SlotUse
from dicom_node.contract.slots import SequenceSlot
from worker.inputs import Inputs
from worker.volume.alignment import Alignment
from worker.volume.geometry import SeriesVolume, Volume
from worker.volume.register import register
from worker.volume.trust import check

SEED = 20210222
"""Of the registration's sampling: fixed, so that a second run gives the same bytes."""


@dataclass(frozen=True, kw_only=True)
class Aligned:
    """The series that the model will see, each with its way to the reference, and what became of every slot."""

    reference: SequenceSlot
    volumes: Mapping[SequenceSlot, SeriesVolume]
    """Reference included."""
    alignments: Mapping[SequenceSlot, Alignment]
    """Without the reference."""
    rejected: Mapping[SequenceSlot, str]


def align(inputs: Inputs) -> Aligned:
    """Register every series to the reference and keep those whose alignment can be trusted."""
    fixed = inputs.volumes[inputs.reference].volume
    volumes = {inputs.reference: inputs.volumes[inputs.reference]}
    alignments: dict[SequenceSlot, Alignment] = {}
    rejected = dict(inputs.rejected)
    for slot, series in inputs.volumes.items():
        if slot == inputs.reference:
            continue
        alignment = register(fixed, series.volume, seed=SEED)
        reason = check(fixed, series.volume, alignment)
        if reason:
            rejected[slot] = reason
        else:
            volumes[slot], alignments[slot] = series, alignment
    ordered = {slot: volumes[slot] for slot in SequenceSlot if slot in volumes}
    return Aligned(reference=inputs.reference, volumes=ordered, alignments=alignments, rejected=rejected)


def slot_uses(request: JobRequest, aligned: Aligned) -> tuple[SlotUse, ...]:
    """What became of each slot, in the order of the channels: first-class content of SR, SEG and summary."""
    return tuple(_slot_use(slot, request, aligned) for slot in SequenceSlot)


def _slot_use(slot: SequenceSlot, request: JobRequest, aligned: Aligned) -> SlotUse:
    chosen = next((series for series in request.series if series.chosen and series.slot == slot), None)
    if chosen is None:
        return SlotUse(slot=slot, state=SlotState.MISSING, reason="no series of this kind arrived")
    used = slot in aligned.volumes
    alignment = aligned.alignments.get(slot)
    return SlotUse(
        slot=slot,
        state=SlotState.USED if used else SlotState.REJECTED,
        reason=_remark(chosen.reasons) if used else aligned.rejected[slot],
        series_instance_uid=chosen.series_instance_uid,
        confidence=chosen.confidence,
        registration=dict(alignment.quality) if alignment is not None else {},
    )


def _remark(reasons: tuple[str, ...]) -> str:
    """What the classifier wants said of a series that is used: that a 2D FLAIR serves, say."""
    return next((reason for reason in reasons if "2D" in reason), "")


def volumes_of(aligned: Aligned) -> Mapping[SequenceSlot, Volume]:
    """The voxels of the series by slot."""
    return {slot: series.volume for slot, series in aligned.volumes.items()}
