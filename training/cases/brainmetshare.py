"""BrainMetShare (Stanford; the paper's Hospital A), as downloaded: PNG slices or NIfTI.

PNG: `Mets_XXX/{0,1,2,3,seg}/*.png`: 0 BRAVO, 1 T1 pre FSE, 2 T1 post FSE, 3 FLAIR; 256 x 256, 8 bit, brain-masked;
the test set has no masks. NIfTI: `Mets_XXX/{bravo,t1_pre,t1_gd,flair,seg}.nii.gz`, which is also what the cohort
simulator writes.
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from dicom_node.contract.slots import REFERENCE_ORDER, SequenceSlot
from model.channels import SLICE_SPACING_MM, SPACING_MM
from training.cases.case import Case, CaseError, CaseFiles
from worker.volume.geometry import Grid, Volume

NIFTI_NAMES = {
    SequenceSlot.BRAVO: "bravo",
    SequenceSlot.PRE_CUBE: "t1_pre",
    SequenceSlot.POST_CUBE: "t1_gd",
    SequenceSlot.FLAIR: "flair",
}
PNG_FOLDERS = {
    SequenceSlot.BRAVO: "0",
    SequenceSlot.PRE_CUBE: "1",
    SequenceSlot.POST_CUBE: "2",
    SequenceSlot.FLAIR: "3",
}
_PATIENT = "Mets_*"


def list_nifti(root: Path) -> list[CaseFiles]:
    """Every patient below `root`. Raises `CaseError` where there is none."""
    found = []
    for folder in _patients(root):
        paths = {slot: _nifti(folder, name) for slot, name in NIFTI_NAMES.items()}
        sequences = {slot: path for slot, path in paths.items() if path is not None}
        if sequences:
            found.append(CaseFiles(name=folder.name, sequences=sequences, mask=_nifti(folder, "seg")))
    if not found:
        raise CaseError(f"{root}: no Mets_*/ with bravo, t1_pre, t1_gd or flair .nii.gz")
    return found


def _nifti(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.nii.gz", folder / f"{name}.nii") if path.exists()), None)


def list_png(root: Path) -> list[Path]:
    """The folder of every patient below `root`, for `load_png`. Raises `CaseError` where there is none."""
    found = [folder for folder in _patients(root) if any((folder / name).is_dir() for name in PNG_FOLDERS.values())]
    if not found:
        raise CaseError(f"{root}: no Mets_*/ with folders 0, 1, 2, 3 of PNG slices")
    return found


def load_png(folder: Path) -> Case:
    """One patient of the PNG release. Slices run from below upwards by their number; 1 mm apart, 0.9375 mm in plane."""
    volumes = {}
    for slot, name in PNG_FOLDERS.items():
        if (folder / name).is_dir():
            volumes[slot] = _volume(_slices(folder / name))
    if not volumes:
        raise CaseError(f"{folder}: none of the folders 0, 1, 2, 3 is there")
    sizes = {volume.grid.shape_zyx for volume in volumes.values()}
    if len(sizes) > 1:
        raise CaseError(f"{folder}: the sequences have different numbers or sizes of slices: {sorted(sizes)}")
    truth = _slices(folder / "seg") > 0 if (folder / "seg").is_dir() else None
    if truth is not None and truth.shape not in sizes:
        raise CaseError(f"{folder / 'seg'}: the mask has another size than the sequences")
    reference = next(slot for slot in REFERENCE_ORDER if slot in volumes)
    return Case(name=folder.name, volumes=volumes, reference=reference, truth=truth, truth_of=reference)


def _patients(root: Path) -> list[Path]:
    if not root.is_dir():
        raise CaseError(f"{root} is no folder")
    return sorted(path for path in root.rglob(_PATIENT) if path.is_dir())


def _slices(folder: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    paths = sorted(folder.glob("*.png"), key=_number)
    if not paths:
        raise CaseError(f"{folder} holds no PNG slice")
    return np.stack([_read(path) for path in paths])


def _read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("F"), dtype=np.float32)
    except (OSError, SyntaxError) as error:
        raise CaseError(f"{path} cannot be read as PNG") from error


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", path.stem)
    if not digits:
        raise CaseError(f"{path}: a slice's name holds its number")
    return int(digits[-1])


def _volume(voxels: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Volume:
    affine = np.diag([SPACING_MM, SPACING_MM, SLICE_SPACING_MM, 1.0])
    z, y, x = voxels.shape
    return Volume(voxels=voxels, grid=Grid(shape_zyx=(z, y, x), affine=affine))
