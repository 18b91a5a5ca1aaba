"""Patients on the model's grid as they lie on disk, ready to be sampled: one folder each.

    NAME/stack.npy   (4, Z, 256, 256) float16, superior slices last; zeros where a sequence is absent
    NAME/mask.npy    (Z, 256, 256) uint8, 1 = metastasis
    NAME/brain.npy   (Z, 256, 256) uint8, 1 = brain; where known
    NAME/meta.json   whatever wrote it says of the patient; "site" and "subject" (the person) are read here

Written by training/cohort and training/prepare; read by training/sampling and training/train.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from model.channels import SEQUENCES, SIZE_PX
from model.normalise import FOREGROUND_FRACTION, reference_intensity
from training.errors import TrainingError

VOXELS_A_LESION = 64
"""As many places of each lesion are kept to centre crops on."""
INDEXED = ("available", "references", "lesions", "head_zyx")
"""What index.json holds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """One patient, memory-mapped, with what sampling needs to know of it."""

    name: str
    subject: str
    """The person: one may stand here with several exams, as a patient each."""
    site: str
    stack: NDArray[np.float16]
    mask: NDArray[np.uint8]
    brain: NDArray[np.uint8] | None
    available: tuple[bool, ...]
    references: tuple[float, ...]
    """Each sequence's median of the deep brain (model/normalise)."""
    lesions: tuple[NDArray[np.int16], ...]
    """Of each lesion up to 64 voxels (n, 3) as z, y, x."""
    head_zyx: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    """First and last index along each axis that holds tissue."""


def patient_folders(folder: Path) -> list[Path]:
    """The folders of patients under a folder, by name."""
    return sorted(path.parent for path in folder.glob("*/stack.npy") if (path.parent / "mask.npy").exists())


def names_of(folder: Path, data: Path) -> tuple[str, str]:
    """What a patient of the folder `data` is called beside those of other folders: NAME, and FOLDER:NAME in a clash."""
    return folder.name, f"{data.resolve().name}:{folder.name}"  # as split.json keeps `data`


def open_patients(folder: Path) -> list[Patient]:
    """All patients under a folder, by name. Raises `TrainingError` where there is none."""
    found = patient_folders(folder)
    if not found:
        raise TrainingError(f"{folder} holds no patient: NAME/stack.npy and NAME/mask.npy are expected")
    return [open_patient(path) for path in found]


def open_patient(folder: Path) -> Patient:
    """Map one patient. What is slow to find (medians, lesions) is kept beside it in index.json for the next time.

    Raises `TrainingError` where a file cannot be read, where they do not belong together, or where there is no image.
    """
    stack, mask = _array(folder / "stack.npy"), _array(folder / "mask.npy")
    brain = _array(folder / "brain.npy") if (folder / "brain.npy").exists() else None
    if mask.shape[1:] != (SIZE_PX, SIZE_PX) or not mask.size or stack.shape != (len(SEQUENCES), *mask.shape):
        raise TrainingError(f"{folder}: stack {stack.shape} and mask {mask.shape}; (4, Z, 256, 256) and (Z, 256, 256)")
    if brain is not None and brain.shape != mask.shape:
        raise TrainingError(f"{folder}: brain.npy {brain.shape} and mask.npy {mask.shape} do not belong together")
    index = _index(folder, stack, mask)
    if not any(index["available"]):
        raise TrainingError(f"{folder}: all of stack.npy is zero; remove this patient")
    meta = _meta(folder / "meta.json")
    z, y, x = ((int(first), int(last)) for first, last in index["head_zyx"])
    return Patient(
        name=folder.name,
        subject=str(meta.get("subject") or folder.name),
        site=str(meta.get("site", "")),
        stack=stack,
        mask=mask,
        brain=brain,
        available=tuple(index["available"]),
        references=tuple(index["references"]),
        lesions=tuple(np.array(voxels, dtype=np.int16) for voxels in index["lesions"]),
        head_zyx=(z, y, x),
    )


def _array(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(f"{path} cannot be read: {error}; prepare this patient again") from error
    return array


def _meta(path: Path) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = {**json.loads(path.read_text())} if path.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{path} cannot be read: {error}; prepare this patient again") from error
    return meta


def _index(folder: Path, stack: NDArray[np.float16], mask: NDArray[np.uint8]) -> dict[str, Any]:
    path = folder / "index.json"
    return _kept(path) or _made(path, stack, mask)


def _kept(path: Path) -> dict[str, Any] | None:
    """An index that is whole, and not older than what it was made of."""
    made_of = [path.with_name(name).stat().st_mtime for name in ("stack.npy", "mask.npy")]
    if not path.exists() or path.stat().st_mtime < max(made_of):
        return None
    try:
        return {name: json.loads(path.read_text())[name] for name in INDEXED}
    except (ValueError, TypeError, KeyError):
        return None


def _made(path: Path, stack: NDArray[np.float16], mask: NDArray[np.uint8]) -> dict[str, Any]:
    volumes = [np.asarray(volume) for volume in stack]
    if not all(bool(np.isfinite(volume).all()) for volume in (*volumes, mask)):
        raise TrainingError(f"{path.parent}: stack.npy or mask.npy holds values that are not finite; prepare it again")
    available = [bool(volume.any()) for volume in volumes]
    references = [reference_intensity(volume) for volume in volumes]
    tissue = np.zeros(mask.shape, dtype=bool)
    for volume, here, reference in zip(volumes, available, references, strict=True):
        if here:
            tissue |= volume > FOREGROUND_FRACTION * reference
    index = {
        "available": available,
        "references": references,
        "lesions": [_places(voxels).tolist() for voxels in _components(np.asarray(mask))],
        "head_zyx": [_extent(tissue, axis) for axis in range(3)],
    }
    temporary = path.with_suffix(f".{os.getpid()}.tmp")  # torchrun's processes index the same patients at once
    temporary.write_text(json.dumps(index))
    temporary.replace(path)
    return index


def _components(mask: NDArray[np.uint8]) -> list[NDArray[np.int64]]:
    """The voxels (n, 3) of each lesion, 26-connected."""
    labels = np.asarray(cc3d.connected_components(mask > 0, connectivity=26))
    voxels = np.argwhere(labels)
    owner = labels[labels > 0]
    return [voxels[owner == number] for number in range(1, int(labels.max()) + 1)]


def _places(voxels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some of the voxels, evenly spread over their order."""
    if len(voxels) <= VOXELS_A_LESION:
        return voxels
    chosen: NDArray[np.int64] = voxels[np.linspace(0, len(voxels) - 1, VOXELS_A_LESION).astype(int)]
    return chosen


def _extent(tissue: NDArray[np.bool_], axis: int) -> tuple[int, int]:
    share = tissue.mean(axis=tuple(a for a in range(3) if a != axis))
    filled = np.flatnonzero(share > 0.01)
    return (int(filled[0]), int(filled[-1])) if filled.size else (0, tissue.shape[axis] - 1)
