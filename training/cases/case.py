"""A case: the sequences of one patient as files, and as volumes with the truth.

Readers list `CaseFiles`; `load` reads one. A sequence that a set does not have is simply absent: the model trains with
it always dropped. Knows NIfTI and PNG; no DICOM.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dicom_node.contract.slots import REFERENCE_ORDER, SequenceSlot
from training.cases.errors import CaseError
from training.cases.nifti import read_nifti
from training.scores import Float32, Mask
from worker.volume.geometry import Volume

__all__ = ["Case", "CaseError", "CaseFiles", "load", "read_nifti"]

LESION = (1,)
EVERY_LABEL: tuple[int, ...] = ()
"""Stands for all labels but 0: the mask is a binary one, in whatever number it is written."""
EMPTY = "it holds zeros only"


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """Where the parts of one patient lie."""

    name: str
    subject: str = ""
    """The person, who may have several cases; empty: the name says it."""
    sequences: Mapping[SequenceSlot, Path]
    mask: Path | None
    """None: no truth, as in a test set without masks."""
    lesion_labels: tuple[int, ...] = LESION
    """Labels of the mask that count as lesion, or `EVERY_LABEL`."""
    other_labels: tuple[int, ...] = ()
    """Labels that the layout knows and that are no lesion."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One patient in memory."""

    name: str
    subject: str
    """The person, who may have several cases."""
    volumes: Mapping[SequenceSlot, Volume]
    """Each holds something."""
    left_out: Mapping[SequenceSlot, str] = field(default_factory=dict)
    """Sequences that cannot be used, and why."""
    reference: SequenceSlot
    """The slot that gives the grid, by the paper's order."""
    truth: Mask | None
    """(Z, Y, X) bool on the grid of `truth_of`; None where there is none."""
    truth_of: SequenceSlot
    """On which sequence's grid the truth lies."""
    unread_labels: tuple[int, ...] = ()
    """Labels of the mask that are not taken as lesion, though the layout does not know them as anything else."""


def load(files: CaseFiles) -> Case:
    """Read the sequences and the truth of a case. Raises `CaseError` for files that do not belong together."""
    read = {slot: read_nifti(path) for slot, path in files.sequences.items()}
    volumes, left_out = without_empty(files.name, read)
    reference = next(slot for slot in REFERENCE_ORDER if slot in volumes)
    truth, truth_of = None, reference
    unread: tuple[int, ...] = ()
    if files.mask is not None:
        labels = read_nifti(files.mask)
        fitting = [slot for slot in REFERENCE_ORDER if slot in volumes and volumes[slot].grid.same_as(labels.grid, 0.1)]
        if not fitting:
            raise CaseError(f"{files.mask} lies on the grid of none of the sequences of {files.name}")
        truth, unread = lesions(labels.voxels, files.lesion_labels, files.other_labels, files.mask)
        truth_of = fitting[0]
    return Case(
        name=files.name,
        subject=files.subject or files.name,
        volumes=volumes,
        left_out=left_out,
        reference=reference,
        truth=truth,
        truth_of=truth_of,
        unread_labels=unread,
    )


def without_empty(
    name: str, volumes: Mapping[SequenceSlot, Volume]
) -> tuple[dict[SequenceSlot, Volume], dict[SequenceSlot, str]]:
    """The volumes that hold something, and the others with the reason. Raises `CaseError` where none holds anything."""
    filled = {slot: volume for slot, volume in volumes.items() if volume.voxels.any()}
    if not filled:
        raise CaseError(f"{name}: none of the four sequences is there and holds anything but zeros")
    return filled, {slot: EMPTY for slot in volumes if slot not in filled}


def lesions(
    labels: Float32, wanted: tuple[int, ...], others: tuple[int, ...], path: Path
) -> tuple[Mask, tuple[int, ...]]:
    """A mask of labels as truth: (Z, Y, X) bool where one of the wanted labels is, and the labels that remain unread.

    `others` are known to be no lesion. Raises `CaseError` where a mask holds unknown labels and none of the wanted.
    """
    whole = np.rint(labels).astype(np.int64)
    found = tuple(int(label) for label in np.unique(whole) if label != 0)
    taken = found if wanted == EVERY_LABEL else wanted
    unread = tuple(label for label in found if label not in (*taken, *others))
    if unread and not set(taken) & set(found):
        raise CaseError(
            f"{path} holds the labels {_listed(found)} and none of {_listed(wanted)}, which count as lesion; "
            "--labels chooses others"
        )
    return np.isin(whole, taken), unread


def _listed(labels: tuple[int, ...]) -> str:
    shown = ", ".join(str(label) for label in labels[:10])
    return shown if len(labels) <= 10 else f"{shown} and more"
