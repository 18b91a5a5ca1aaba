"""All inputs on the model's grid: each series registered to the reference, checked, resampled; misaligned ones dropped.

Called by pipeline.py. A series that cannot be aligned is left out with its reason instead of being fused: input-level
dropout makes a missing sequence safe (design, invariant 6).
"""

import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dicom_node.contract.messages import JobRequest, SlotState, SlotUse
from dicom_node.contract.slots import SequenceSlot
from worker.inputs import Inputs
from worker.volume.alignment import Alignment
from worker.volume.geometry import SeriesVolume, Volume
from worker.volume.register import THOROUGH, register
from worker.volume.trust import check

SEED = 20210222
"""Of the registration's sampling: fixed, so that a second run gives the same bytes."""
UNREAD = "the model does not read this sequence"


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
    """Register every series to the reference, side by side, and keep those whose alignment can be trusted."""
    fixed = inputs.volumes[inputs.reference].volume
    volumes = {inputs.reference: inputs.volumes[inputs.reference]}
    alignments: dict[SequenceSlot, Alignment] = {}
    rejected = dict(inputs.rejected)
    others = {slot: series for slot, series in inputs.volumes.items() if slot != inputs.reference}
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:  # ITK lets go of the interpreter
        found = pool.map(lambda series: aligned_to(fixed, series.volume), others.values())
    for (slot, series), (alignment, reason) in zip(others.items(), found, strict=True):
        if reason:
            rejected[slot] = reason
        else:
            volumes[slot], alignments[slot] = series, alignment
    ordered = {slot: volumes[slot] for slot in SequenceSlot if slot in volumes}
    return Aligned(reference=inputs.reference, volumes=ordered, alignments=alignments, rejected=rejected)


def aligned_to(fixed: Volume, moving: Volume) -> tuple[Alignment, str]:
    """The way from `fixed` to `moving`, and why it cannot be trusted (empty: it can). Doubt gets a longer try."""
    quick = register(fixed, moving, seed=SEED)
    if not check(fixed, moving, quick):
        return quick, ""
    thorough = register(fixed, moving, seed=SEED, plan=THOROUGH)
    return thorough, check(fixed, moving, thorough)


def slot_uses(request: JobRequest, aligned: Aligned, read: Collection[SequenceSlot]) -> tuple[SlotUse, ...]:
    """What became of each slot, in the order of the channels: first-class content of SR, SEG and summary.

    A series that the network does not `read` is not used, though it may be the reference and give the planes.
    """
    return tuple(_slot_use(slot, request, aligned, read) for slot in SequenceSlot)


def _slot_use(slot: SequenceSlot, request: JobRequest, aligned: Aligned, read: Collection[SequenceSlot]) -> SlotUse:
    chosen = next((series for series in request.series if series.chosen and series.slot == slot), None)
    if chosen is None:
        return SlotUse(slot=slot, state=SlotState.MISSING, reason="no series of this kind arrived")
    unread = "" if slot in read else UNREAD
    rejected = unread if slot in aligned.volumes else aligned.rejected[slot]
    alignment = aligned.alignments.get(slot)
    return SlotUse(
        slot=slot,
        state=SlotState.REJECTED if rejected else SlotState.USED,
        reason=rejected or _remark(chosen.reasons),
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
