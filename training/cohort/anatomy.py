"""Heads to image: label maps of tissues at about 1 mm, from a folder or from nilearn's wheel.

`load_anatomy` is called once a patient. A folder holds FreeSurfer labels inside the brain and 5xx outside it (the
SynthSeg label maps); without a folder nilearn's ICBM152 maps become a head (mni_head.py). Nothing is downloaded.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
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


@lru_cache(maxsize=2)
def load_anatomy(path: Path | None) -> Anatomy:
    """The head of a label map, or nilearn's head where `path` is None."""
    if path is None:
        return _anatomy(mni_head(), (1.0, 1.0, 1.0), ONE_HEAD)
    image: Any = canonical(nibabel.load(str(path)))
    labels = np.asarray(image.dataobj).astype(np.int32)
    lps = np.ascontiguousarray(labels[::-1, ::-1, :].T)
    x, y, z = (float(v) for v in image.header.get_zooms()[:3])
    return _anatomy(to_tissue(lps), (z, y, x), path.name)


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
    inside = np.isin(tissue[::4, ::4, ::4], BRAIN)
    z, y, x = (float(v) * 4 for v in np.argwhere(inside).mean(axis=0))
    return Anatomy(tissue=tissue, spacing_mm_zyx=spacing, centre_zyx=(z, y, x), source=source)
