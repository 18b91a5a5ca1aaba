"""The inputs of a job: the chosen series of a snapshot, checked against their digests, read, and let through the gates.

Called by pipeline.py. A series that cannot be used rejects its slot with the reason; the others go on (paper: the model
works with whatever is there). A slab or a phantom in one slot so never becomes the reference of a good series.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dicom_node.contract.messages import JobRequest, SnapshotSeries
from dicom_node.contract.slots import REFERENCE_ORDER, SequenceSlot
from worker.errors import InputRefused, WorkerError
from worker.volume.geometry import SeriesVolume, Volume
from worker.volume.quality import require_brain
from worker.volume.read import read_series

_META_LENGTH_AT = 140
"""Preamble (128), "DICM" (4), then (0002,0000) UL with its 4 byte value (PS3.10 7.1)."""


class SnapshotAltered(WorkerError):
    """A file of the snapshot is not what the node stored: gone or changed. Another attempt gives the same."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What could be read of a snapshot."""

    volumes: Mapping[SequenceSlot, SeriesVolume]
    rejected: Mapping[SequenceSlot, str]
    """Slot -> why its series could not be read."""

    @property
    def reference(self) -> SequenceSlot:
        """The slot that gives the grid: BRAVO where it is present, else post-Gd CUBE, ... (paper, Methods)."""
        return next(slot for slot in REFERENCE_ORDER if slot in self.volumes)


def read_inputs(request: JobRequest, storage_root: Path) -> Inputs:
    """Read every chosen series and keep what may be a brain.

    Raises `InputRefused` where none is usable, `SnapshotAltered` on a changed file.
    """
    volumes: dict[SequenceSlot, SeriesVolume] = {}
    rejected: dict[SequenceSlot, str] = {}
    for series in request.series:
        if not series.chosen or series.slot is None:
            continue
        try:
            found = read_series(_verified(series, storage_root))
            require_brain(found.volume)
        except InputRefused as refusal:
            rejected[series.slot] = str(refusal)
        else:
            volumes[series.slot] = _without_padding(found)
    if not volumes:
        reasons = "; ".join(f"{slot.label}: {reason}" for slot, reason in rejected.items()) or "no series was chosen"
        raise InputRefused(f"no usable series ({reasons})")
    return Inputs(volumes=volumes, rejected=rejected)


def _without_padding(found: SeriesVolume) -> SeriesVolume:
    """Values below zero, which `require_brain` lets pass in the air only, become air: no later step expects any."""
    volume = found.volume
    if volume.voxels.min() >= 0:
        return found
    return replace(found, volume=Volume(voxels=np.maximum(volume.voxels, np.float32(0)), grid=volume.grid))


def _verified(series: SnapshotSeries, storage_root: Path) -> list[Path]:
    paths = []
    for instance in series.instances:
        path = storage_root / instance.path
        try:
            found = dataset_sha256(path)
        except FileNotFoundError as error:
            raise SnapshotAltered(f"an object of the {series.slot} series is gone from the store") from error
        if found != instance.sha256:
            raise SnapshotAltered(f"an object of the {series.slot} series was changed in the store")
        paths.append(path)
    return paths


def dataset_sha256(path: Path) -> str:
    """SHA-256 of the data set's bytes of a DICOM file, without preamble and file meta (PS3.10 7.1)."""
    with path.open("rb") as file:
        head = file.read(_META_LENGTH_AT + 4)
        if head[128:132] != b"DICM":
            raise SnapshotAltered("an object in the store is no DICOM file")
        file.seek(len(head) + int.from_bytes(head[_META_LENGTH_AT:], "little"))
        return hashlib.file_digest(file, "sha256").hexdigest()
