"""A case: the sequences of one patient as files, and as volumes with the truth.

Readers list `CaseFiles`; `load` reads one. A sequence that a set does not have is simply absent: the model trains with
it always dropped. Knows NIfTI and PNG; no DICOM.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from dicom_node.contract.slots import REFERENCE_ORDER, SequenceSlot
from training.scores import Mask
from worker.volume.geometry import Volume

LESION = (1,)


class CaseError(Exception):
    """A data set is not laid out as expected; the text names the file or folder and what was looked for."""


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """Where the parts of one patient lie."""

    name: str
    sequences: Mapping[SequenceSlot, Path]
    mask: Path | None
    """None: no truth, as in a test set without masks."""
    lesion_labels: tuple[int, ...] = LESION
    """Labels of the mask that count as lesion."""
    others: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One patient in memory."""

    name: str
    volumes: Mapping[SequenceSlot, Volume]
    reference: SequenceSlot
    """The slot that gives the grid, by the paper's order."""
    truth: Mask | None
    """(Z, Y, X) bool on the grid of `truth_of`; None where there is none."""
    truth_of: SequenceSlot
    """On which sequence's grid the truth lies."""


def load(files: CaseFiles) -> Case:
    """Read the sequences and the truth of a case. Raises `CaseError` for files that do not belong together."""
    if not files.sequences:
        raise CaseError(f"{files.name}: none of the four sequences is there")
    volumes = {slot: read_nifti(path) for slot, path in files.sequences.items()}
    reference = next(slot for slot in REFERENCE_ORDER if slot in volumes)
    truth, truth_of = None, reference
    if files.mask is not None:
        labels = read_nifti(files.mask)
        fitting = [slot for slot in REFERENCE_ORDER if slot in volumes and volumes[slot].grid.same_as(labels.grid, 0.1)]
        if not fitting:
            raise CaseError(f"{files.mask} lies on the grid of none of the sequences of {files.name}")
        truth, truth_of = np.isin(np.rint(labels.voxels).astype(np.int32), files.lesion_labels), fitting[0]
    return Case(name=files.name, volumes=volumes, reference=reference, truth=truth, truth_of=truth_of)


def read_nifti(path: Path) -> Volume:
    """A NIfTI file as a volume in LPS mm. Raises `CaseError` where it cannot be read or is not 3D."""
    try:
        image: Any = nibabel.load(path)
        voxels = np.asanyarray(image.dataobj, dtype=np.float32)
    except (OSError, nibabel.filebasedimages.ImageFileError, EOFError) as error:
        raise CaseError(f"{path} cannot be read as NIfTI: {error}") from error
    if voxels.ndim == 4 and voxels.shape[3] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim != 3:
        raise CaseError(f"{path} has {voxels.ndim} dimensions, a volume has 3")
    return Volume.from_ras(voxels, np.asarray(image.affine, dtype=np.float64))
