"""Heads to image: label maps of tissues at about 1 mm, from a folder or from nilearn's wheel.

`load_anatomy` is called once a patient. A folder holds FreeSurfer labels inside the brain and 5xx outside it (the
SynthSeg label maps); without a folder nilearn's ICBM152 maps become a head (mni_head.py). Nothing is downloaded.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zlib import error as ZlibError

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from training.cohort.mni_head import canonical, mni_head
from training.cohort.tissues import BRAIN, Tissue
from training.errors import TrainingError

UInt8 = NDArray[np.uint8]

_FREESURFER: Final[dict[Tissue, tuple[int, ...]]] = {
    Tissue.WHITE: (2, 41, 28, 60, 85, 77, 251, 252, 253, 254, 255),
    Tissue.GREY: (3, 42, 17, 53, 18, 54),
    Tissue.CSF: (24,),
    Tissue.THALAMUS: (10, 49),
    Tissue.CAUDATE: (11, 50, 12, 51, 26, 58),
    Tissue.PALLIDUM: (13, 52),
    Tissue.BRAINSTEM: (16, 512),
    Tissue.CEREBELLAR_WHITE: (7, 46),
    Tissue.CEREBELLAR_GREY: (8, 47),
    Tissue.VENTRICLE: (4, 43, 5, 44, 14, 15, 72),
    Tissue.CHOROID: (31, 63),
    Tissue.MUSCLE: (507, 508),
    Tissue.SKIN: (511,),
    Tissue.BONE: (515,),
    Tissue.MARROW: (516,),
    Tissue.EYE: (506,),
    Tissue.MUCOSA: (509,),
    Tissue.SINUS: (514,),
    Tissue.ARTERY: (502, 30, 62),
}
"""Labels not named (sulcal and vessel labels 25, 57, 136, 137, 163, 164, 530 ...) fall to `_OTHERWISE`."""
_OTHERWISE: Final[dict[int, Tissue]] = {25: Tissue.WHITE, 57: Tissue.WHITE, 530: Tissue.WHITE}

_LARGEST_LABEL: Final = 65535
_DAMAGED: Final = (OSError, EOFError, ValueError, ZlibError, ImageFileError, HeaderDataError)
"""What nibabel, gzip and zlib raise for a file that is cut off or no image."""

ONE_HEAD: Final = "nilearn ICBM152 2009a"
"""The source without a folder."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Anatomy:
    """One head."""

    tissue: UInt8
    """(Z, Y, X) uint8 of `Tissue`, axes LPS: x to the patient's left, y to the back, z to the head."""
    spacing_mm_zyx: tuple[float, float, float]
    centre_zyx: tuple[float, float, float]
    """Centroid of the brain, voxels."""
    source: str
    """The label map's file name, or `ONE_HEAD`."""


def anatomy_files(folder: Path | None) -> list[Path]:
    """The label maps of a folder in order; none without a folder. Raises `TrainingError` where it holds none."""
    if folder is None:
        return []
    files = sorted([*folder.glob("*.nii.gz"), *folder.glob("*.nii")])
    if not files:
        raise TrainingError(f"--anatomy {folder}: no label maps (*.nii.gz) there")
    return files


def check_maps(folder: Path | None) -> None:
    """Look at every label map's header before the work begins. Raises `TrainingError` as `load_anatomy` does."""
    for path in anatomy_files(folder):
        _open(path)


@lru_cache(maxsize=2)
def load_anatomy(path: Path | None) -> Anatomy:
    """The head of a label map, or nilearn's head where `path` is None.

    Raises `TrainingError`, with the file's name, where it is damaged, not 3D, or holds no brain.
    """
    if path is None:
        return _anatomy(mni_head(), (1.0, 1.0, 1.0), ONE_HEAD)
    image = _open(path)
    try:
        labels = np.asarray(image.dataobj)
    except _DAMAGED as error:
        raise _unusable(path, str(error)) from error
    if not (labels.min() >= 0 and labels.max() <= _LARGEST_LABEL):
        raise _unusable(path, f"its values reach from {labels.min():g} to {labels.max():g}")
    lps = np.ascontiguousarray(labels.astype(np.int32)[::-1, ::-1, :].T)
    tissue = to_tissue(lps)
    if not _brain(tissue).any():
        raise _unusable(path, "no brain in it")
    x, y, z = (float(v) for v in image.header.get_zooms()[:3])
    return _anatomy(tissue, (z, y, x), path.name)


def _open(path: Path) -> Any:
    """The image turned to RAS+, its voxels not read yet."""
    try:
        image: Any = nibabel.load(str(path))
        shape: tuple[int, ...] = image.shape
        if len(shape) == 3 and min(shape) > 1:
            return canonical(image)
    except _DAMAGED as error:
        raise _unusable(path, str(error)) from error
    raise _unusable(path, f"its shape is {shape}")


def _unusable(path: Path, why: str) -> TrainingError:
    return TrainingError(
        f"--anatomy: {path} cannot be used ({' '.join(why.split())}): needed is a whole label map, 3D, with "
        "FreeSurfer's labels of the brain; mend or remove it"
    )


def to_tissue(labels: NDArray[np.int32]) -> UInt8:
    """FreeSurfer and 5xx labels -> `Tissue`; unknown labels inside the brain become white matter, others muscle."""
    table = np.zeros(max(int(labels.max()), 600) + 1, dtype=np.uint8)
    table[1:500] = Tissue.WHITE
    table[500:] = Tissue.MUSCLE
    for tissue, sources in _FREESURFER.items():
        for label in sources:
            table[label] = tissue
    for label, tissue in _OTHERWISE.items():
        table[label] = tissue
    out: UInt8 = table[labels]
    return out


def _anatomy(tissue: UInt8, spacing: tuple[float, float, float], source: str) -> Anatomy:
    z, y, x = (float(v) * 4 for v in np.argwhere(_brain(tissue)).mean(axis=0))
    return Anatomy(tissue=tissue, spacing_mm_zyx=spacing, centre_zyx=(z, y, x), source=source)


def _brain(tissue: UInt8) -> NDArray[np.bool_]:
    """Where the brain is, on every fourth voxel."""
    inside: NDArray[np.bool_] = np.isin(tissue[::4, ::4, ::4], BRAIN)
    return inside
